// A message above other content, read out when it appears.
import type { ReactNode } from 'react';
import Message from '@splunk/react-ui/Message';

interface Props {
    type: 'error' | 'warning' | 'info';
    title?: string;
    children: ReactNode;
}

export function Notice({ type, title, children }: Props) {
    return (
        <Message type={type} appearance="fill" style={{ marginBottom: 12 }}>
            {title !== undefined && <Message.Title>{title}</Message.Title>}
            <div role={type === 'error' ? 'alert' : 'status'}>{children}</div>
        </Message>
    );
}
