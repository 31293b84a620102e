// Instants and spans as people say them.

import { strings } from '../strings';

const words = strings.time;

/** `42 s`, `5 min`, `3 h`, `2 days`: one unit is enough. */
export function span(seconds: number): string {
    const size = Math.abs(Math.round(seconds));
    if (size < 60) return words.seconds(size);
    if (size < 3_600) return words.minutes(Math.floor(size / 60));
    if (size < 2 * 86_400) return words.hours(Math.floor(size / 3_600));
    return words.days(Math.floor(size / 86_400));
}

/** Both in seconds since 1970. */
export function relative(time: number, now: number): string {
    const off = time - now;
    if (Math.abs(off) < 1) return words.now;
    return off < 0 ? words.ago(span(off)) : words.ahead(span(off));
}

/** Seconds since 1970 of `2026-01-31T12:00:00.1234567Z`; undefined for anything else. */
export function instant(text: string): number | undefined {
    const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z$/.exec(text);
    if (parts === null) return undefined;
    const whole = Date.parse(`${parts[1]}Z`);
    return Number.isNaN(whole) ? undefined : whole / 1000 + Number(parts[2] ?? 0);
}

/** In full, for whoever points at it. */
export function full(time: number): string {
    return new Date(time * 1000).toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC');
}
