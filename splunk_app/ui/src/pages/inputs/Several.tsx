// Inputs that more than one server ran of late: each object may come as often.

import Message from '@splunk/react-ui/Message';
import { Notice } from '../../parts/Page';
import type { Health } from '../../splunk/health';
import type { Input } from '../../splunk/inputs';
import { strings } from '../../strings';

const words = strings.inputs.several;

export function Several({ inputs, health }: { inputs: Input[]; health: Health[] }) {
    const shared = new Set(inputs.filter(({ settings }) => settings.checkpoint === 'kvstore').map(({ name }) => name));
    return (
        <>
            {health
                .filter(({ servers }) => servers.length > 1)
                .map(({ name, servers }) => (
                    <Notice key={name}>
                        <Message type={shared.has(name) ? 'info' : 'warning'} appearance="fill">
                            <Message.Title>{words.title(name, servers)}</Message.Title>
                            <div>{shared.has(name) ? words.kvstore : words.local}</div>
                        </Message>
                    </Notice>
                ))}
        </>
    );
}
