// What Defender says at this moment, beside what the index says.
import { one, run, type ResultRow } from '../../../splunk/search';
import type { Item } from '../model/item';
import { liveSearch } from '../model/commands';
import type { Change } from '../model/outcome';
import { spelled } from '../model/vocabulary';

export interface Live {
    /** As the ledger spells a state. */
    state: Record<string, string>;
    differs: Change[];
}

/** An error carries Defender's own words. */
export async function readLive(item: Item, account: string, signal: AbortSignal): Promise<Live> {
    const { rows } = await run(liveSearch([item], account), { signal });
    const row = rows[0] ?? {};
    const updated = one(row, 'defender_live_last_update');
    if (updated === '') throw new Error(one(row, 'defender_live_message'));
    return liveOf(item, row);
}

function liveOf(item: Item, row: ResultRow): Live {
    const said = (name: string): string => one(row, `defender_live_${name}`);
    const state = {
        status: said('status'),
        classification: said('classification'),
        determination: said('determination'),
        assigned_to: said('assigned_to'),
        updated: said('last_update'),
    };
    const shown = {
        status: item.status,
        classification: item.classification,
        determination: item.determination,
        assigned_to: item.owner,
    };
    const differs = Object.entries(shown).flatMap(([field, before]) => {
        const after = spelled(state[field as keyof typeof shown]);
        const same = (before ?? '').toLowerCase() === (after ?? '').toLowerCase();
        return same ? [] : [{ field, before: before ?? '', after: after ?? '' }];
    });
    return { state, differs };
}
