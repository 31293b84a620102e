// Tests an account: the search command makes its checks where the account lives.

import * as search from './search';
import { option } from './spl';

export type CheckState = 'ok' | 'warning' | 'failed';

export interface CheckResult {
    check: string;
    state: CheckState;
    /** The permission or capability it is about; may be empty. */
    permission: string;
    finding: string;
    remedy: string;
}

export async function check(account: string, options: search.SearchOptions): Promise<CheckResult[]> {
    const found = await search.run(`| defendercheck ${option('account', account)}`, options);
    const results = found.rows.map((row) => ({
        check: search.one(row, 'check'),
        state: stateOf(search.one(row, 'state')),
        permission: search.one(row, 'permission'),
        finding: search.one(row, 'finding'),
        remedy: search.one(row, 'remedy'),
    }));
    const errors = found.messages.filter((message) => /^(error|fatal)$/i.test(message.type));
    if (results.length === 0 && errors.length > 0) throw new search.SearchFailure(errors.map(({ text }) => text).join(' '));
    return results;
}

function stateOf(text: string): CheckState {
    return text === 'ok' || text === 'warning' ? text : 'failed';
}

/** The worst of all. */
export function worst(results: CheckResult[]): CheckState {
    if (results.some(({ state }) => state === 'failed')) return 'failed';
    return results.some(({ state }) => state === 'warning') ? 'warning' : 'ok';
}
