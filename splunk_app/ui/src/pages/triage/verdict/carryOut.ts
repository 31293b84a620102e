// Carries rows out, one search after the other, and reports progress. Every row ends with an outcome, also where
// a search fails in between.
import { all, one, run, SearchFailure, type ResultRow } from '../../../splunk/search';
import { errorMessage } from '../../../splunk/failure';
import { outcomeOf, missing, placeOf, type Outcome } from '../model/outcome';
import { portions, undoSearch, updateSearch, type Row, type Undoing } from '../model/commands';
import { triage as strings } from '../strings';
import type { Subject } from '../model/vocabulary';

export interface Control {
    signal: AbortSignal;
    onProgress: (done: number, of: number) => void;
}

/** Throws only where nothing was written: a dry run, or a first search that Splunk refused. */
export async function carryOut(
    rows: readonly Row[],
    subject: Subject,
    dryRun: boolean,
    control: Control,
): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    const all = portions(rows);
    for (const [place, portion] of all.entries()) {
        control.onProgress(outcomes.length, rows.length);
        let begun = false;
        try {
            const { rows: found } = await run(updateSearch(portion, subject, dryRun), {
                signal: control.signal,
                onBegun: () => (begun = true),
            });
            if (dryRun && portion.some((row) => isGarbled(row, found))) throw new Error(strings.act.garbled);
            outcomes.push(...outcomesOf(portion, found));
        } catch (error) {
            const stopped = control.signal.aborted;
            // A search that failed says so; a search whose answer was lost may have written.
            const lost = begun && !(error instanceof SearchFailure);
            if (dryRun || (place === 0 && !stopped && !lost)) throw error;
            const why = stopped ? strings.act.stoppedRow : errorMessage(error);
            outcomes.push(...portion.map((row) => without(row, why, stopped || begun)));
            const rest = all.slice(place + 1).flat();
            outcomes.push(...rest.map((row) => without(row, why, false)));
            break;
        }
    }
    control.onProgress(rows.length, rows.length);
    return outcomes;
}

/** The outcome of each row; a row that the search did not return has none of its own. */
function outcomesOf(portion: readonly Row[], found: readonly ResultRow[]): Outcome[] {
    const outcomes = new Map(found.map(outcomeOf).map((outcome) => [placeOf(outcome), outcome]));
    return portion.map(
        (row) =>
            outcomes.get(placeOf({ account: row.defender_account ?? '', id: row.id ?? '' })) ??
            without(row, strings.outcome.unsaid, true),
    );
}

/** Whether the search returned another text than was typed; line breaks may differ. */
function isGarbled(row: Row, found: readonly ResultRow[]): boolean {
    const plain = (text: string): string => text.replace(/\s+/gu, ' ').trim();
    const back = found.find((each) => one(each, 'id') === row.id && one(each, 'defender_account') === row.defender_account);
    const typed = Object.entries(row).filter(([name]) => name.startsWith('defender_'));
    return back !== undefined && typed.some(([name, value]) => plain(all(back, name).join(' ')) !== plain(value));
}

function without(row: Row, why: string, begun: boolean): Outcome {
    return missing(row.id ?? '', row.defender_account ?? '', why, begun);
}

/** Undoes batches, the newest first. */
export async function undoBatches(batches: readonly string[], control: Control, how: Undoing = {}): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const [place, batch] of [...batches].reverse().entries()) {
        control.onProgress(place, batches.length);
        try {
            const { rows } = await run(undoSearch(batch, how), { signal: control.signal });
            outcomes.push(...rows.map(outcomeOf));
        } catch (error) {
            if (outcomes.length === 0) throw error;
            outcomes.push(missing(batch, '', errorMessage(error), true));
            break;
        }
    }
    control.onProgress(batches.length, batches.length);
    return outcomes;
}
