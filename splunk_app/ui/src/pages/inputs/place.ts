// Whether this Splunk is the one inputs should run on, in words.

import type { Server } from '../../splunk/server';
import { strings } from '../../strings';

export function whereToRun(server: Server | undefined): { type: 'info' | 'warning'; text: string } | undefined {
    const words = strings.inputs.place;
    switch (server?.place) {
        case 'search_head':
            return { type: 'warning', text: words.searchHead };
        case 'search_head_cluster':
            return { type: 'warning', text: words.cluster };
        case 'cloud':
            return { type: 'info', text: words.cloud };
        default:
            return undefined;
    }
}
