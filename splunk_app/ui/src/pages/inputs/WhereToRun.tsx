// Whether this Splunk is the one inputs should run on, told before they are created.

import Message from '@splunk/react-ui/Message';
import { MessageArea } from '../../parts/Page';
import type { Server } from '../../splunk/server';
import { strings } from '../../strings';

export function WhereToRun({ server }: { server: Server | undefined }) {
    const hint = hintFor(server);
    if (hint === undefined) return null;
    return (
        <MessageArea>
            <Message type={hint.type} appearance="fill">
                {hint.text}
            </Message>
        </MessageArea>
    );
}

function hintFor(server: Server | undefined): { type: 'warning'; text: string } | undefined {
    const words = strings.inputs.place;
    switch (server?.place) {
        case 'search_head':
            return { type: 'warning', text: words.searchHead };
        case 'search_head_cluster':
            return { type: 'warning', text: words.cluster };
        case 'cloud':
            return { type: 'warning', text: words.cloud };
        default:
            return undefined;
    }
}
