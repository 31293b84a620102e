// The fields of an event: Splunk's own JSON extraction, then what the app's props.conf adds at search time.

import type { Event } from '../modular_input';
import type { Stanza } from '../conf';
import { compile, regex, text_, type Value } from './expression';

export type Fields = Map<string, string[]>;

/** limits.conf [spath] extraction_cutoff: what lies behind it is not extracted by itself. */
const CUTOFF = 5_000;

/** Every value below, by Splunk's path: `a.b{}.c`. */
function flatten(value: unknown, path: string, put: (path: string, value: string) => void): void {
    if (Array.isArray(value)) {
        for (const item of value) flatten(item, `${path}{}`, put);
    } else if (typeof value === 'object' && value !== null) {
        for (const [key, item] of Object.entries(value)) flatten(item, path === '' ? key : `${path}.${key}`, put);
    } else {
        put(path, value === null ? 'null' : String(value));
    }
}

/** What `spath(json, path)` finds. */
export function byPath(json: string, path: string): string[] {
    let parsed: unknown;
    try {
        parsed = JSON.parse(json);
    } catch {
        return [];
    }
    let found: unknown[] = [parsed];
    for (const part of path.split('.')) {
        const [, key = '', lists = ''] = /^(.*?)((?:\{\d*\})*)$/.exec(part)!;
        if (key !== '') found = found.flatMap((one) => (isObject(one) && key in one ? [one[key]] : []));
        for (const list of lists.match(/\{\d*\}/g) ?? []) {
            const at = list.slice(1, -1);
            found = found.flatMap((one) => (Array.isArray(one) ? (at === '' ? one : [one[Number(at)]]) : []));
        }
    }
    return found
        .filter((one) => one !== undefined)
        .map((one) => (one === null ? 'null' : typeof one === 'object' ? JSON.stringify(one) : String(one)));
}

function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The first bytes of an object, closed where they break off: what an extraction that stops there still sees. */
function beginning(raw: string): unknown {
    if (raw.length <= CUTOFF) return JSON.parse(raw);
    // From the cut-off backwards to the last place where the open brackets can be closed.
    for (let end = CUTOFF; end > 0; end = raw.lastIndexOf(',', end - 1)) {
        const open: string[] = [];
        let quoted = false;
        for (let at = 0; at < end; at += 1) {
            const c = raw[at]!;
            if (quoted) {
                if (c === '\\') at += 1;
                else if (c === '"') quoted = false;
            } else if (c === '"') quoted = true;
            else if (c === '{' || c === '[') open.push(c === '{' ? '}' : ']');
            else if (c === '}' || c === ']') open.pop();
        }
        if (quoted) continue;
        try {
            return JSON.parse(raw.slice(0, end) + open.reverse().join(''));
        } catch {
            // Inside a number, or between a key and its value.
        }
    }
    return {};
}

/** Calculated fields by their expression, each compiled once. */
const compiled = new Map<string, ReturnType<typeof compile>>();

function calculation(expression: string): ReturnType<typeof compile> {
    const known = compiled.get(expression);
    if (known !== undefined) return known;
    const made = compile(expression);
    compiled.set(expression, made);
    return made;
}

export function fieldsOf(event: Event, props: Map<string, Stanza>, transforms: Map<string, Stanza>): Fields {
    const fields: Fields = new Map();
    const put = (name: string, value: string) => fields.set(name, [...(fields.get(name) ?? []), value]);
    const stanza = props.get(event.sourcetype);
    if (event.raw.startsWith('{') && stanza?.get('KV_MODE') !== 'none') {
        try {
            flatten(beginning(event.raw), '', put);
        } catch {
            // Not JSON: no fields.
        }
    }
    for (const [key, value] of stanza ?? []) {
        if (!key.startsWith('REPORT-')) continue;
        for (const name of value.split(',').map((one) => one.trim())) {
            const transform = transforms.get(name);
            const format = /^(\w+)::\$(\d)$/.exec(transform?.get('FORMAT') ?? '');
            if (transform === undefined || format === null) continue;
            for (const match of event.raw.matchAll(regex(transform.get('REGEX')!, 'g'))) put(format[1]!, match[Number(format[2])]!);
        }
    }
    fields.set('_raw', [event.raw]);
    fields.set('_time', [String(event.time)]);
    for (const key of ['index', 'sourcetype', 'source', 'host'] as const) fields.set(key, [event[key]]);
    // All at once, as Splunk does: none sees what another calculates.
    const before = new Map(fields);
    const lookup = (name: string): Value => fold(before.get(name));
    for (const [key, value] of stanza ?? []) {
        if (!key.startsWith('EVAL-')) continue;
        const result = calculation(value)(lookup, event.time);
        const name = key.slice('EVAL-'.length);
        if (result === null) fields.delete(name);
        else fields.set(name, Array.isArray(result) ? result : [text_(result)]);
    }
    return fields;
}

function fold(values: string[] | undefined): Value {
    return values === undefined || values.length === 0 ? null : values.length === 1 ? values[0]! : values;
}
