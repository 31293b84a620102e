// How this Splunk keeps to what the app relies on: the search command looks, the page adds what only it can know.

import * as search from './search';

export type Result = 'ok' | 'unexpected' | 'unknown' | 'not_reached';

export interface Contract {
    contract: string;
    result: Result;
    found: string;
    expected: string;
    what_to_do: string;
}

export const SCRIPT = 'page script';
const LOADERS = ['script', 'dashboard.js'];
const RESULTS: Result[] = ['ok', 'unexpected', 'unknown', 'not_reached'];
/** Characters of one cell of the report. */
const LONGEST = 700;

/** `loader`: how this page's script was loaded, as its root says. */
export async function selftest(loader: string, options: search.SearchOptions): Promise<Contract[]> {
    const found = await search.run('| defenderselftest', options);
    const errors = found.messages.filter((message) => /^(error|fatal)$/i.test(message.type));
    if (found.rows.length === 0 && errors.length > 0) throw new search.SearchFailure(errors.map(({ text }) => text).join(' '));
    return contracts(found.rows, loader);
}

export function contracts(rows: search.ResultRow[], loader: string): Contract[] {
    const told = rows.map((row) => ({
        contract: search.one(row, 'contract'),
        result: RESULTS.find((one) => one === search.one(row, 'result')) ?? 'unknown',
        found: search.one(row, 'found'),
        expected: search.one(row, 'expected'),
        what_to_do: search.one(row, 'what_to_do'),
    }));
    if (told.length === 0) return [];
    return [...told.filter(({ contract }) => contract !== SCRIPT), script(loader)];
}

function script(loader: string): Contract {
    const known = LOADERS.includes(loader);
    return {
        contract: SCRIPT,
        result: known ? 'ok' : 'unknown',
        found: known ? loader : 'the page does not say',
        expected: LOADERS.join(' or '),
        what_to_do: known ? '' : 'Reload the page without the browser’s cache.',
    };
}

/** As text for an issue: a table that stays one, whatever is in its cells. */
export function markdown(all: Contract[], at: Date): string {
    const columns = ['contract', 'result', 'found', 'expected', 'what_to_do'] as const;
    const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
    return [
        `Defender Bridge self-test, ${at.toISOString().slice(0, 19)}Z`,
        '',
        line(columns),
        line(columns.map(() => '---')),
        ...all.map((one) => line(columns.map((column) => cell(one[column])))),
        '',
    ].join('\n');
}

function cell(text: string): string {
    const short = [...text.replace(/[\s\p{C}]+/gu, ' ').trim()].slice(0, LONGEST).join('');
    return short.replace(/[\\`|<>[\]]/gu, '\\$&');
}
