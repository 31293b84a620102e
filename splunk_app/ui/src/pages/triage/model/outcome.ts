// The outcome of each row, and what a person does about it.
import { one as cell, type ResultRow } from '../../../splunk/search';
import { stateOf } from './commands';
import { triage as strings } from '../strings';
import { spelled } from './vocabulary';

/** From what needs a person most to what needs none. */
export const OUTCOMES = [
    'failed',
    'forbidden',
    'invalid',
    'not_found',
    'conflict',
    'throttled',
    'deferred',
    'updated',
    'planned',
    'unchanged',
] as const;
type OutcomeName = (typeof OUTCOMES)[number];

const WELL = new Set<string>(['updated', 'planned', 'unchanged']);
/** Trying the very same again may help. */
const PASSING = new Set<string>(['deferred', 'throttled', 'failed']);

export interface Change {
    field: string;
    before: string;
    after: string;
}

export interface Outcome {
    id: string;
    /** The account that wrote the row; empty where it is not known. */
    account: string;
    outcome: OutcomeName;
    message: string;
    advice: string;
    changes: Change[];
    verified: boolean | null;
    requestId: string;
    batch: string;
    /** What an undo leaves as it is. */
    stays: string;
    /** The state Defender showed after the write. */
    after: Record<string, string> | null;
}

export function outcomeOf(row: ResultRow): Outcome {
    const said = cell(row, 'defender_outcome');
    const outcome = OUTCOMES.find((known) => known === said) ?? 'failed';
    const verified = cell(row, 'defender_verified');
    const message = cell(row, 'defender_message');
    return {
        id: cell(row, 'id') || cell(row, 'defender_target'),
        account: cell(row, 'defender_account'),
        outcome,
        message: message || (said === '' ? strings.outcome.unsaid : ''),
        advice:
            outcome === 'updated' && verified === '0'
                ? strings.outcome.unverified
                : (strings.outcome.advice[outcome] ?? ''),
        changes: changesOf(row),
        verified: verified === '' ? null : verified === '1',
        requestId: cell(row, 'defender_request_id'),
        batch: cell(row, 'defender_batch'),
        stays: cell(row, 'defender_not_undone'),
        after: stateOf(cell(row, 'defender_after')),
    };
}

/** Names the object of an outcome: ids are unique within a tenant only, and incidents are numbered from one. */
export function placeOf({ account, id }: { account: string; id: string }): string {
    return `${account}/${id}`;
}

/** The outcome of a row that no search returned. */
export function missing(id: string, account: string, why: string, begun: boolean): Outcome {
    return {
        id,
        account,
        outcome: begun ? 'failed' : 'deferred',
        message: why,
        advice: begun ? strings.outcome.unknown : strings.outcome.notBegun,
        changes: [],
        verified: null,
        requestId: '',
        batch: '',
        stays: '',
        after: null,
    };
}

function changesOf(row: ResultRow): Change[] {
    const before = stateOf(cell(row, 'defender_before')) ?? {};
    const after = stateOf(cell(row, 'defender_after')) ?? askedFor(row);
    const fields = cell(row, 'defender_changed').split(/[,\n]/u).filter(Boolean);
    return fields.map((field) => {
        if (field === 'comment') return { field, before: '', after: cell(row, 'defender_comment') };
        return {
            field,
            before: spelled(before[field] ?? '') ?? '',
            after: spelled(after[field] ?? '') ?? '',
        };
    });
}

/** A dry run leaves no state behind: the row's own fields say what would be set. */
function askedFor(row: ResultRow): Record<string, string> {
    const asked = (name: string): string => cell(row, `defender_${name}`);
    const [add, remove] = [asked('tags_add'), asked('tags_remove')];
    return {
        status: asked('status'),
        classification: asked('classification'),
        determination: asked('determination'),
        assigned_to: asked('assigned_to'),
        tags: [add && `+ ${add}`, remove && `\u2212 ${remove}`].filter(Boolean).join(' '),
    };
}

export function isWell(outcome: Outcome): boolean {
    return WELL.has(outcome.outcome);
}

export function mayPass(outcome: Outcome): boolean {
    return PASSING.has(outcome.outcome);
}

/** How many rows have each outcome, the worst first. */
export function tally(outcomes: readonly Outcome[]): [OutcomeName, number][] {
    return OUTCOMES.flatMap((name) => {
        const count = outcomes.filter(({ outcome }) => outcome === name).length;
        return count === 0 ? [] : [[name, count] as [OutcomeName, number]];
    });
}

/** The worst first, so that nobody has to look for them. */
export function worstFirst(outcomes: readonly Outcome[]): Outcome[] {
    return [...outcomes].sort((one, other) => OUTCOMES.indexOf(one.outcome) - OUTCOMES.indexOf(other.outcome));
}

/** The batches that an undo takes back. */
export function batchesOf(outcomes: readonly Outcome[]): string[] {
    const written = outcomes.filter((outcome) => outcome.outcome === 'updated' && outcome.batch);
    return [...new Set(written.map((outcome) => outcome.batch))];
}
