// Instants as Microsoft prints them, down to 100 ns, compared as instants.

/** Below zero if `one` is earlier; what is no instant is earliest. */
export function compareInstants(one: string | null, other: string | null): number {
    const [here, there] = [one, other].map((said) => (said === null ? NaN : Date.parse(said)));
    const [a, b] = [here ?? NaN, there ?? NaN];
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(!Number.isNaN(a)) - Number(!Number.isNaN(b));
    return a - b || fraction(one).localeCompare(fraction(other));
}

/** Below the millisecond, where `Date` no longer sees. */
function fraction(said: string | null): string {
    return (/\.(\d+)/u.exec(said ?? '')?.[1] ?? '').padEnd(9, '0');
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
];

/** `3 hours ago`. */
export function ago(said: string, now: number): string {
    const passed = Date.parse(said) - now;
    if (Number.isNaN(passed)) return said;
    const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' });
    for (const [unit, length] of UNITS) {
        if (Math.abs(passed) >= length) return words.format(Math.trunc(passed / length), unit);
    }
    return words.format(0, 'minute').replace('this minute', 'just now');
}

/** The full instant in the reader's time zone, for a tooltip. */
export function exactly(said: string): string {
    const at = new Date(said);
    if (Number.isNaN(at.getTime())) return said;
    return new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'long' }).format(at);
}
