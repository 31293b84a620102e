// The state of each input, from the health events its runs leave in the index.

import * as search from './search';
import { APP } from './web';

export interface Health {
    /** Of the input, without its scheme. */
    name: string;
    host: string;
    account: string;
    feed: string;
    api: string;
    outcome: 'ok' | 'stopped' | 'error';
    /** Why, where the newest run failed. */
    error: string;
    /** When the newest run began, in milliseconds since 1970, and how long it took. */
    begun: number;
    took: number;
    /** Last update of the newest object delivered. */
    watermark: string;
    /** Of a stream: since when nothing came; empty where something did. */
    silentSince: string;
    /** Within the time looked at. */
    events: number;
    throttles: number;
    openGaps: number;
    /** Names of the servers it ran on of late. */
    servers: string[];
    /** Where its position is kept: `local`, `kvstore` or `blob`. */
    checkpoint: string;
}

/** How far back is looked; older runs say little about now. */
const LOOKED_AT = '-24h';
/** How long a server counts as one the input runs on. */
const OF_LATE = '-4h';

export const SEARCH =
    'search `defender_bridge_index` `defender_bridge_health`' +
    // An event says its server since there is more than one place to keep a position; `host` may be set for the input.
    ` | eval begun=_time, recent=if(_time>relative_time(now(), "${OF_LATE}"), coalesce(server, host), null())` +
    ' | stats latest(outcome) as outcome latest(error) as error latest(begun) as begun latest(duration_ms) as took' +
    ' latest(watermark) as watermark sum(events) as events sum(throttles) as throttles latest(open_gaps) as open_gaps' +
    ' latest(account) as account latest(feed) as feed latest(api) as api latest(host) as host values(recent) as servers' +
    // Latest of the newest event, not the latest there is: an event without it ends a silence.
    ' latest(checkpoint) as checkpoint latest(eval(coalesce(silent_since, ""))) as silent_since by stanza';

export async function newest(signal?: AbortSignal): Promise<Health[]> {
    const { rows } = await search.run(SEARCH, { earliest: LOOKED_AT, signal });
    return rows.map((row) => {
        const text = (field: string) => search.one(row, field);
        const outcome = text('outcome') === 'ok' || text('outcome') === 'stopped' ? (text('outcome') as 'ok') : 'error';
        return {
            name: text('stanza').replace(new RegExp(`^${APP}://`), ''),
            host: text('host'),
            account: text('account'),
            feed: text('feed'),
            api: text('api'),
            outcome,
            error: outcome === 'error' ? text('error') : '',
            begun: Number(text('begun')) * 1000,
            took: Number(text('took')),
            watermark: text('watermark'),
            silentSince: text('silent_since'),
            events: Number(text('events') || 0),
            throttles: Number(text('throttles') || 0),
            openGaps: Number(text('open_gaps') || 0),
            servers: search.all(row, 'servers'),
            checkpoint: text('checkpoint') || 'local',
        };
    });
}
