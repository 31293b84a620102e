// Inputs that more than one server ran of late: each object may come as often.

import Message from '@splunk/react-ui/Message';
import { MessageArea } from '../../parts/Page';
import type { Health } from '../../splunk/health';
import { strings } from '../../strings';

const words = strings.inputs.several;

export function SeveralServers({ health }: { health: Health[] }) {
    return (
        <>
            {health
                .filter(({ servers }) => servers.length > 1)
                // So it is meant to be.
                .filter(({ checkpoint }) => checkpoint !== 'blob')
                .map(({ name, servers, checkpoint }) => (
                    <MessageArea key={name}>
                        <Message type={checkpoint === 'kvstore' ? 'info' : 'warning'} appearance="fill">
                            <Message.Title>{words.title(name, servers)}</Message.Title>
                            <div>{checkpoint === 'kvstore' ? words.kvstore : words.local}</div>
                        </Message>
                    </MessageArea>
                ))}
        </>
    );
}
