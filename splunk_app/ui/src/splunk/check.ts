// Tests an account or a stream: the search command makes its checks where the account lives.

import * as search from './search';
import { address, names, option } from './spl';

export type CheckState = 'ok' | 'warning' | 'failed';

/** The settings of a stream, as in inputs.conf; what is empty is not given. */
export type Stream = Record<string, string>;

export interface CheckResult {
    /** The input it is about; may be empty. */
    input: string;
    check: string;
    state: CheckState;
    /** The permission or capability it is about; may be empty. */
    permission: string;
    finding: string;
    remedy: string;
}

export async function check(account: string, options: search.SearchOptions, stream: Stream = {}): Promise<CheckResult[]> {
    const found = await search.run(command(account, stream), options);
    const results = found.rows.map((row) => ({
        input: search.one(row, 'input'),
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

export function command(account: string, stream: Stream = {}): string {
    const settings = Object.entries(stream)
        .filter(([, value]) => value !== '')
        .map(([name, value]) => (value.includes('://') ? address(name, value) : names(name, value.split(','))));
    return ['| defendercheck', option('account', account), ...settings].join(' ');
}

function stateOf(text: string): CheckState {
    return text === 'ok' || text === 'warning' ? text : 'failed';
}

/** The worst of all. */
export function worst(results: CheckResult[]): CheckState {
    if (results.some(({ state }) => state === 'failed')) return 'failed';
    return results.some(({ state }) => state === 'warning') ? 'warning' : 'ok';
}
