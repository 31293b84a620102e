// Recent verdicts, read from the ledger: one line per call, newest first.
import { compareInstants } from './instant';
import { parsed, object, text } from './json';
import type { Subject } from './vocabulary';

/** A thousand rows of the largest call, and some more. */
export const LEDGER_SEARCH = '`defender_bridge_index` `defender_bridge_triage` | head 2000 | fields _time, _raw';

export interface Batch {
    id: string;
    time: string;
    actor: string;
    action: string;
    subject: Subject;
    /** Through which its first row went. */
    account: string;
    targets: string[];
    /** How many rows ended how. */
    outcomes: Map<string, number>;
    /** What was asked, the words of the first row. */
    requested: [string, string][];
    /** The batch that this one took back. */
    undoes: string | null;
    /** The batch that took this one back. */
    undoneBy: string | null;
}

export function batchesIn(raws: readonly string[]): Batch[] {
    const batches = new Map<string, Batch>();
    for (const raw of raws) {
        const json = parsed(raw);
        const id = text(json, 'batch');
        if (json === null || id === null || json.dry_run === true) continue;
        const outcome = text(json, 'outcome') ?? 'failed';
        const time = text(json, 'time') ?? '';
        const target = text(json, 'target');
        const known = batches.get(id);
        const batch: Batch = known ?? {
            id,
            time,
            actor: text(json, 'actor') ?? '',
            action: text(json, 'action') ?? '',
            subject: text(json, 'subject') === 'incident' ? 'incident' : 'alert',
            account: text(json, 'account') ?? '',
            targets: [],
            outcomes: new Map(),
            requested: Object.entries(object(json.requested) ?? {}).flatMap(([name, value]) => {
                const said = text({ value }, 'value') ?? (Array.isArray(value) ? value.join(', ') : '');
                return said === '' ? [] : [[name, said] as [string, string]];
            }),
            undoes: text(json, 'undoes'),
            undoneBy: null,
        };
        batches.set(id, batch);
        if (compareInstants(time, batch.time) > 0) batch.time = time;
        if (target !== null && !batch.targets.includes(target)) batch.targets.push(target);
        batch.outcomes.set(outcome, (batch.outcomes.get(outcome) ?? 0) + 1);
    }
    for (const batch of batches.values()) {
        const undone = batches.get(batch.undoes ?? '');
        if (undone !== undefined && batch.outcomes.has('updated')) undone.undoneBy = batch.id;
    }
    return [...batches.values()].sort((one, other) => compareInstants(other.time, one.time));
}

/** Only what was written can be taken back, and only once. */
export function isUndoable(batch: Batch): boolean {
    return batch.outcomes.has('updated') && batch.undoneBy === null && batch.undoes === null;
}
