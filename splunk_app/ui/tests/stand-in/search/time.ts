// Splunk's relative times, in UTC.

import { SplError } from './pipeline';

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
const NAMES: [RegExp, string][] = [
    [/^(s|sec|secs|second|seconds)$/, 's'],
    [/^(m|min|mins|minute|minutes)$/, 'm'],
    [/^(h|hr|hrs|hour|hours)$/, 'h'],
    [/^(d|day|days)$/, 'd'],
    [/^(w|week|weeks)$/, 'w'],
];

function unit(name: string): string {
    const found = NAMES.find(([pattern]) => pattern.test(name));
    if (found === undefined) throw new SplError(`Invalid time unit "${name}".`);
    return found[1];
}

/** Seconds since 1970. */
export function instant(text: string, now: number): number {
    const wanted = text.trim();
    if (wanted === '' || wanted === 'now' || wanted === 'now()') return now;
    if (/^\d+(\.\d+)?$/.test(wanted)) return Number(wanted);
    if (/^\d{4}-/.test(wanted)) return Date.parse(wanted) / 1000;
    let time = now;
    let rest = wanted;
    while (rest !== '') {
        const step = /^([+-])(\d*)([a-z]+)/i.exec(rest);
        const snap = /^@([a-z]+)\d?/i.exec(rest);
        if (step) {
            const by = Number(step[2] === '' ? 1 : step[2]) * UNITS[unit(step[3]!)]!;
            time += step[1] === '-' ? -by : by;
            rest = rest.slice(step[0].length);
        } else if (snap) {
            const size = UNITS[unit(snap[1]!)]!;
            time = Math.floor(time / size) * size;
            rest = rest.slice(snap[0].length);
        } else throw new SplError(`Invalid time "${text}".`);
    }
    return time;
}

export function strftime(time: number, format: string): string {
    const date = new Date(time * 1000);
    const two = (value: number) => String(value).padStart(2, '0');
    const parts: Record<string, string> = {
        Y: String(date.getUTCFullYear()),
        m: two(date.getUTCMonth() + 1),
        d: two(date.getUTCDate()),
        H: two(date.getUTCHours()),
        M: two(date.getUTCMinutes()),
        S: two(date.getUTCSeconds()),
        F: date.toISOString().slice(0, 10),
        T: date.toISOString().slice(11, 19),
        s: String(Math.floor(time)),
        z: '+0000',
        Z: 'UTC',
        '%': '%',
    };
    return format.replace(/%(\d?[A-Za-z%])/g, (_, code: string) => {
        const digits = /^(\d?)[NQ]$/.exec(code);
        if (digits) return String(time % 1).slice(2, 2 + Number(digits[1] || 3)).padEnd(Number(digits[1] || 3), '0');
        const part = parts[code];
        if (part === undefined) throw new SplError(`The stand-in knows no %${code}.`);
        return part;
    });
}

/** Only ISO 8601, however its format is written. */
export function strptime(text: string): number | null {
    const iso = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/.exec(text);
    if (iso === null) return null;
    const time = Date.parse(`${iso[1]}${iso[3] ?? 'Z'}`);
    return Number.isNaN(time) ? null : time / 1000 + Number(iso[2] ?? 0);
}
