// Recent verdicts, read from the ledger: one line per call, newest first.
import { compareInstants } from '../../../time';
import { parsed, object, text, texts, type JsonObject } from './json';
import type { Subject } from './vocabulary';

/** A thousand rows of the largest call, and some more. */
export const LEDGER_SEARCH =
    '`defender_bridge_index` `defender_bridge_triage` | head 2000 | fields _time, _raw | defenderledger | fields _time, _raw, authentic';

export interface Batch {
    id: string;
    time: string;
    actor: string;
    action: string;
    subject: Subject;
    /** The account of its first row. */
    account: string;
    targets: string[];
    /** How many rows have each outcome. */
    outcomes: Map<string, number>;
    /** The fields that were to be set, by its first row. */
    requested: [string, string][];
    /** How many of its entries this app did not sign, by what the judgement is: `false`, `unsigned`, `unknown`. */
    strange: Map<string, number>;
    /** How many targets the batch changed, itself or by their incident, by the entries this app signed. */
    changed: number;
    /** Other users who asked for rows of the batch. */
    others: string[];
    /** The batch that this one undid. */
    undoes: string | null;
    /** The batch that undid this one, all of it. */
    undoneBy: string | null;
}

/** An event of the ledger, and whether this app wrote it. */
export interface Entry {
    raw: string;
    authentic: string;
}

/** Names the object of an entry; a verdict on a merged incident went to its successor. */
function placeOf(entry: JsonObject): string {
    const id = text(entry, 'merged_into', 'target') ?? '';
    return JSON.stringify([text(entry, 'account'), text(entry, 'subject'), id]);
}

/**
 * Whoever can index events can plant entries. So a batch is described by the entries this app signed, where there
 * are any; and only signed entries make a batch undoable, or undone.
 */
export function batchesIn(entries: readonly Entry[]): Batch[] {
    const batches = new Map<string, Batch>();
    const ours = (entry: Entry): number => (entry.authentic === 'true' ? 0 : 1);
    const changed = new Map<string, Set<string>>();
    /** Of each batch the objects that are as before again, and the batch that undid them. */
    const restored = new Map<string, Map<string, string>>();
    for (const { raw, authentic } of [...entries].sort((one, other) => ours(one) - ours(other))) {
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
            strange: new Map(),
            changed: 0,
            others: [],
            requested: Object.entries(object(json.requested) ?? {}).flatMap(([name, value]) => {
                const said = text({ value }, 'value') ?? (Array.isArray(value) ? value.join(', ') : '');
                return said === '' ? [] : [[name, said] as [string, string]];
            }),
            undoes: text(json, 'undoes'),
            undoneBy: null,
        };
        batches.set(id, batch);
        const actor = text(json, 'actor') ?? '';
        if (actor !== batch.actor && !batch.others.includes(actor)) batch.others.push(actor);
        if (authentic !== 'true') {
            batch.strange.set(authentic, (batch.strange.get(authentic) ?? 0) + 1);
        } else {
            const place = placeOf(json);
            if (outcome === 'updated' || texts(json, 'changed').length > 0) of(changed, id, () => new Set()).add(place);
            const undoes = text(json, 'undoes');
            if (undoes !== null && (outcome === 'updated' || outcome === 'unchanged')) {
                of(restored, undoes, () => new Map()).set(place, id);
            }
        }
        if (compareInstants(time, batch.time) > 0) batch.time = time;
        if (target !== null && !batch.targets.includes(target)) batch.targets.push(target);
        batch.outcomes.set(outcome, (batch.outcomes.get(outcome) ?? 0) + 1);
    }
    for (const batch of batches.values()) {
        const places = [...(changed.get(batch.id) ?? [])];
        batch.changed = places.length;
        const by = places.map((place) => restored.get(batch.id)?.get(place) ?? null);
        if (!by.includes(null)) batch.undoneBy = by.at(-1) ?? null;
    }
    return [...batches.values()].sort((one, other) => compareInstants(other.time, one.time));
}

function of<T>(all: Map<string, T>, name: string, anew: () => T): T {
    const known = all.get(name) ?? anew();
    all.set(name, known);
    return known;
}

/** A batch that changed something and is not undone; a partly undone one can be undone again. */
export function isUndoable(batch: Batch): boolean {
    return batch.changed > 0 && batch.undoneBy === null && batch.undoes === null;
}
