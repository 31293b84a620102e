// Points in time and spans, as people read them. A number is milliseconds, a point in time counts them since 1970.

import { strings } from './strings';

const words = strings.time;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `42 s`, `5 min`, `3 h`, `2 days`: one unit is enough. */
export function span(length: number): string {
    const size = SECOND * Math.abs(Math.round(length / SECOND));
    if (size < MINUTE) return words.seconds(size / SECOND);
    if (size < HOUR) return words.minutes(Math.floor(size / MINUTE));
    if (size < 2 * DAY) return words.hours(Math.floor(size / HOUR));
    return words.days(Math.floor(size / DAY));
}

/** `5 min ago`, `in 3 h`. */
export function relative(time: number, now: number): string {
    const off = time - now;
    if (Math.abs(off) < SECOND) return words.now;
    return off < 0 ? words.ago(span(off)) : words.ahead(span(off));
}

/** The same of what has happened: a clock that is ahead, or a page that was drawn before, puts nothing into the future. */
export function age(time: number, now: number): string {
    return relative(Math.min(time, now), now);
}

/** `2026-01-31T12:00:00.1234567Z`, as Microsoft writes it; undefined for anything else. */
export function instant(text: string | null): number | undefined {
    if (text === null || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/u.test(text)) return undefined;
    const time = Date.parse(text);
    return Number.isNaN(time) ? undefined : time;
}

/** Below zero if `one` is earlier, by 100 ns as Microsoft prints them; what is no instant is earliest. */
export function compareInstants(one: string | null, other: string | null): number {
    const [here, there] = [instant(one), instant(other)];
    if (here === undefined || there === undefined) return Number(here !== undefined) - Number(there !== undefined);
    return here - there || fraction(one).localeCompare(fraction(other));
}

/** Below the millisecond, where `Date` no longer sees. */
function fraction(text: string | null): string {
    return (/\.(\d+)/u.exec(text ?? '')?.[1] ?? '').padEnd(9, '0');
}

/** In full and in the reader's time zone, for whoever points at it. */
export function exactly(time: number): string {
    return new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'long' }).format(new Date(time));
}
