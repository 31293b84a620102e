// A request that failed: why, and a button to try again.

import Button from '@splunk/react-ui/Button';
import Message from '@splunk/react-ui/Message';
import { errorMessage } from '../splunk/failure';
import { strings } from '../strings';

export function Failed({ error, again, title }: { error: unknown; again?: () => void; title?: string }) {
    return (
        <Message type="error" appearance="fill">
            {title !== undefined && <Message.Title>{title}</Message.Title>}
            <div role="alert">{errorMessage(error)}</div>
            {again !== undefined && (
                <div style={{ marginTop: 8 }}>
                    <Button onClick={again}>{strings.failure.tryAgain}</Button>
                </div>
            )}
        </Message>
    );
}
