// The app's search commands with their rows. A verdict leaves the page as a search of the user's own session: the
// rows stand in the search, and `defenderupdate` reads them. What a person typed is a value of a row, never SPL.
//
// A row carries the state the page showed, so that the executable notices a change since. Many rows go in several
// searches, one after the other: a search has a limited length, and the user sees progress.
import type { Item } from './item';
import { object, parsed, type Json, type JsonObject } from './json';
import type { Subject } from './vocabulary';
import { option, rows as made } from '../../../splunk/spl';

export type Row = Record<string, string>;

/** Through which account each object is written. */
type AccountOf = (item: Item) => string;

/** Searches longer than that are slow to parse, and some proxies refuse them. */
const ROWS = 200;
const CHARACTERS = 200_000;

export function rowsOf(
    items: readonly Item[],
    parameters: Record<string, string>,
    accountOf: AccountOf,
    overrule: ReadonlySet<string> = new Set(),
): Row[] {
    const asked = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [`defender_${name}`, value]));
    return items.map((item) => ({
        id: item.id,
        // Without the last update a row overrules any change since.
        ...(overrule.has(item.key) ? {} : { lastUpdateDateTime: item.updated, ...item.snapshot }),
        defender_account: accountOf(item),
        defender_api: item.api,
        ...asked,
    }));
}

/** The rows, in portions that fit into one search each. */
export function portions(rows: readonly Row[]): Row[][] {
    const all: Row[][] = [];
    let length = 0;
    for (const row of rows) {
        const more = made([row]).length;
        const last = all.at(-1);
        if (last === undefined || last.length >= ROWS || length + more > CHARACTERS) {
            all.push([row]);
            length = more;
        } else {
            last.push(row);
            length += more;
        }
    }
    return all;
}

export function updateSearch(rows: Row[], subject: Subject, dryRun: boolean): string {
    const flag = dryRun ? ' dry_run=1' : '';
    return `${made(rows)} | defenderupdate subject=${subject}${flag}`;
}

/** What Defender says now of these objects of one account. */
export function liveSearch(items: readonly Item[], account: string): string {
    const [first] = items;
    const rows = items.map((item) => ({ id: item.id }));
    const subject = first?.subject ?? 'alert';
    const api = first?.api ?? 'graph';
    return `${made(rows)} | defenderget ${option('account', account)} subject=${subject} api=${api}`;
}

export interface Undoing {
    /** How far back the ledger is searched; the command itself looks back thirty days. */
    earliest?: string;
    /** The user saw whose batch it is, and confirmed: otherwise the command makes a dry run of somebody else's. */
    confirmed?: boolean;
}

export function undoSearch(batch: string, { earliest = '', confirmed = false }: Undoing = {}): string {
    const since = /^(0|-\d+[a-z]+)$/u.test(earliest) ? ` earliest=${earliest}` : '';
    return `| defenderundo ${option('batch', batch)}${since}${confirmed ? ' dry_run=false' : ''}`;
}

/** One state as `defender_before` and `defender_after` print it. */
export function stateOf(said: string): Record<string, string> | null {
    const json: JsonObject | null = parsed(said);
    if (json === null) return null;
    const flat = Object.entries(json).map(([name, value]) => [name, shown(value)] as const);
    return Object.fromEntries(flat.filter(([, value]) => value !== ''));
}

function shown(value: Json): string {
    if (value === null) return '';
    if (Array.isArray(value)) return value.map(shown).join(', ');
    return object(value) === null ? String(value) : JSON.stringify(value);
}
