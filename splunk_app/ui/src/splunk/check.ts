// Tests an account: the search command looks at it point by point, where the account lives.

import * as search from './search';
import { option } from './spl';

export type Verdict = 'ok' | 'warning' | 'failed';

export interface Point {
    point: string;
    verdict: Verdict;
    /** The permission or capability it is about; may be empty. */
    permission: string;
    cause: string;
    remedy: string;
}

export async function check(account: string, wish: search.Wish): Promise<Point[]> {
    const found = await search.run(`| defendercheck ${option('account', account)}`, wish);
    const points = found.rows.map((row) => ({
        point: search.one(row, 'point'),
        verdict: verdictOf(search.one(row, 'verdict')),
        permission: search.one(row, 'permission'),
        cause: search.one(row, 'cause'),
        remedy: search.one(row, 'remedy'),
    }));
    const errors = found.messages.filter((message) => /^(error|fatal)$/i.test(message.type));
    if (points.length === 0 && errors.length > 0) throw new search.SearchFailure(errors.map(({ text }) => text).join(' '));
    return points;
}

function verdictOf(text: string): Verdict {
    return text === 'ok' || text === 'warning' ? text : 'failed';
}

/** The worst of all. */
export function worst(points: Point[]): Verdict {
    if (points.some(({ verdict }) => verdict === 'failed')) return 'failed';
    return points.some(({ verdict }) => verdict === 'warning') ? 'warning' : 'ok';
}
