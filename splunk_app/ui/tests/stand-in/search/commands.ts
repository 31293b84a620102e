// The commands of the app's searches, on rows held in memory. What is not here is refused by name: an empty
// result would look like an answer.

import { SplError, commas, unquoted, words } from './pipeline';
import { compile, number_, text_, truth, type Value } from './expression';
import { byPath, type Fields } from './fields';
import { terms, type Kinds } from './terms';

export interface Context {
    /** Seconds since 1970. */
    now: number;
    kinds: Kinds;
    warn(text: string): void;
}

type Rows = Fields[];
type Command = (rest: string, rows: Rows, context: Context) => Rows;

export const value = (row: Fields, field: string): Value => {
    const values = row.get(field);
    return values === undefined || values.length === 0 ? null : values.length === 1 ? values[0]! : values;
};

function put(row: Fields, field: string, result: Value): void {
    if (result === null) row.delete(field);
    else row.set(field, Array.isArray(result) ? result : [text_(result)]);
}

/** Options such as `limit=5`, and what is left. */
function options(rest: string, known: string[]): [Record<string, string>, string] {
    const found: Record<string, string> = {};
    const left = words(rest).filter((word) => {
        const [, name, text] = /^(\w+)=(.*)$/s.exec(word) ?? [];
        if (name === undefined || !known.includes(name)) return true;
        found[name] = unquoted(text!);
        return false;
    });
    return [found, left.join(' ')];
}

function names(text: string): string[] {
    return text
        .split(/[\s,]+/)
        .map(unquoted)
        .filter((name) => name !== '');
}

function like(pattern: string): RegExp {
    return new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*')}$`);
}

export const COMMANDS: Record<string, Command> = {
    search: (rest, rows, { kinds }) => {
        const test = terms(rest, kinds);
        return rows.filter((row) => test((field) => row.get(field) ?? []));
    },

    where: (rest, rows, { now }) => {
        const test = compile(rest);
        return rows.filter((row) => truth(test((field) => value(row, field), now)));
    },

    eval: (rest, rows, { now }) => {
        for (const assignment of commas(rest)) {
            const [, name, expression] = /^\s*("[^"]+"|'[^']+'|[\w.:{}-]+)\s*=(.*)$/s.exec(assignment) ?? [];
            if (name === undefined) throw new SplError(`Error in 'eval' command: ${assignment} assigns nothing.`);
            const result = compile(expression!);
            for (const row of rows) put(row, name.replace(/^["']|["']$/g, ''), result((field) => value(row, field), now));
        }
        return rows;
    },

    fields: (rest, rows) => {
        const remove = /^\s*-/.test(rest);
        const patterns = names(rest.replace(/^\s*[+-]/, '')).map(like);
        for (const row of rows) {
            for (const field of [...row.keys()]) {
                const named = patterns.some((pattern) => pattern.test(field));
                // Inner fields stay unless they are taken away by name.
                if (remove ? named : !named && !field.startsWith('_')) row.delete(field);
            }
        }
        return rows;
    },

    table: (rest, rows) => {
        const wanted = names(rest);
        return rows.map((row) => {
            const kept: Fields = new Map();
            for (const name of wanted) {
                if (!name.includes('*')) kept.set(name, row.get(name) ?? ['']);
                else for (const [field, values] of row) if (like(name).test(field) && !field.startsWith('_')) kept.set(field, values);
            }
            return kept;
        });
    },

    rename: (rest, rows) => {
        for (const part of commas(rest.replace(/(\bas\s+(?:"[^"]*"|\S+))\s+(?=\S)/gi, '$1, ').replace(/,\s*,/g, ','))) {
            const [, from, to] = /^("[^"]+"|\S+)\s+as\s+("[^"]+"|\S+)$/i.exec(part) ?? [];
            if (from === undefined) throw new SplError(`Error in 'rename' command: ${part} renames nothing.`);
            for (const row of rows) {
                const values = row.get(unquoted(from));
                if (values === undefined) continue;
                row.delete(unquoted(from));
                row.set(unquoted(to!), values);
            }
        }
        return rows;
    },

    dedup: (rest, rows) => {
        const [{ keepempty = 'false' }, left] = options(rest, ['keepempty', 'keepevents', 'consecutive', 'sortby']);
        const [, count, fields] = /^\s*(\d+)?\s*(.*)$/s.exec(left)!;
        const by = names(fields!);
        if (by.length === 0) throw new SplError("Error in 'dedup' command: No field is named.");
        const seen = new Map<string, number>();
        return rows.filter((row) => {
            const cells = by.map((field) => row.get(field));
            if (cells.some((cell) => cell === undefined)) return keepempty === 'true';
            const key = JSON.stringify(cells);
            seen.set(key, (seen.get(key) ?? 0) + 1);
            return seen.get(key)! <= Number(count ?? 1);
        });
    },

    sort: (rest, rows) => {
        const [{ limit }, left] = options(rest, ['limit']);
        const [, first, list] = /^\s*(\d+\s+)?(.*)$/s.exec(left)!;
        const keys = list!.split(/[\s,]+(?=[-+\w"])/).filter((one) => one !== '');
        const by = keys.map((key) => {
            const [, sign, kind, plain] = /^\s*([-+]?)\s*(?:(num|str|auto|ip)\()?([^)]*)\)?\s*$/.exec(key)!;
            return { down: sign === '-', text: kind === 'str', field: unquoted(plain!) };
        });
        const sorted = [...rows].sort((a, b) => {
            for (const { down, text, field } of by) {
                const [x, y] = [value(a, field), value(b, field)];
                if (x === null || y === null) {
                    if (x === y) continue;
                    return x === null ? 1 : -1;
                }
                const [p, q] = [number_(x), number_(y)];
                const order = !text && p !== null && q !== null ? p - q : text_(x) < text_(y) ? -1 : text_(x) > text_(y) ? 1 : 0;
                if (order !== 0) return down ? -order : order;
            }
            return 0;
        });
        // Splunk's own trap: without a 0 it keeps ten thousand.
        const most = Number(limit ?? first ?? 10_000);
        return most === 0 ? sorted : sorted.slice(0, most);
    },

    head: (rest, rows) => {
        const [{ limit }, left] = options(rest, ['limit']);
        const most = limit ?? (left.trim() || '10');
        if (!/^\d+$/.test(most)) throw new SplError("The stand-in's head takes a number.");
        return rows.slice(0, Number(most));
    },

    tail: (rest, rows) => rows.slice(-Number(rest.trim() || 10)).reverse(),

    reverse: (_, rows) => [...rows].reverse(),

    fillnull: (rest, rows) => {
        const [{ value: filler = '0' }, left] = options(rest, ['value']);
        const wanted = names(left);
        const all = wanted.length > 0 ? wanted : [...new Set(rows.flatMap((row) => [...row.keys()]))];
        for (const row of rows) for (const field of all) if (value(row, field) === null) row.set(field, [filler]);
        return rows;
    },

    mvexpand: (rest, rows) => {
        const field = unquoted(rest);
        return rows.flatMap((row) => (row.get(field) ?? ['']).map((one) => new Map(row).set(field, [one])));
    },

    spath: (rest, rows) => {
        const [{ input = '_raw', output, path }, left] = options(rest, ['input', 'output', 'path']);
        const wanted = path ?? unquoted(left);
        if (wanted === '') throw new SplError("The stand-in's spath needs a path.");
        for (const row of rows) {
            const found = byPath(text_(value(row, input)), wanted);
            if (found.length > 0) row.set(output ?? wanted, found);
        }
        return rows;
    },

    rex: (rest, rows) => {
        const [{ field = '_raw', max_match: most = '1' }, left] = options(rest, ['field', 'max_match']);
        const pattern = new RegExp(unquoted(left).replace(/\(\?P?</g, '(?<'), 'g');
        for (const row of rows) {
            const found = [...text_(value(row, field)).matchAll(pattern)].slice(0, Number(most) || Infinity);
            for (const match of found) {
                for (const [name, text] of Object.entries(match.groups ?? {})) {
                    if (text !== undefined) row.set(name, match === found[0] ? [text] : [...(row.get(name) ?? []), text]);
                }
            }
        }
        return rows;
    },

    stats: (rest, rows, { now }) => grouped(rest, rows, now).map(({ row }) => row),

    eventstats: (rest, rows, { now }) => {
        for (const { row, of } of grouped(rest, rows, now)) for (const one of of) for (const [name, values] of row) one.set(name, values);
        return rows;
    },

    /** Also the first command of a search. */
    makeresults: (rest, rows, { now }) => {
        if (rows.length > 0) throw new SplError("Error in 'makeresults' command: This command must be the first command of a search.");
        const [{ format, data, count = '1' }, left] = options(rest, ['format', 'data', 'count', 'annotate']);
        if (left.trim() !== '') throw new SplError(`Error in 'makeresults' command: Invalid argument: '${left.trim()}'`);
        if (format === undefined) return Array.from({ length: Number(count) }, () => new Map([['_time', [String(Math.floor(now))]]]));
        if (format !== 'json') throw new SplError("The stand-in's makeresults takes format=json.");
        let parsed: unknown;
        try {
            parsed = JSON.parse(data ?? '');
        } catch {
            throw new SplError("Error in 'makeresults' command: The data is no JSON.");
        }
        if (!Array.isArray(parsed)) throw new SplError("Error in 'makeresults' command: The data is no array of objects.");
        return parsed.map((object: Record<string, unknown>) => {
            const row: Fields = new Map([
                ['_raw', [JSON.stringify(object)]],
                ['_time', [String(Math.floor(now))]],
            ]);
            for (const [key, one] of Object.entries(object)) {
                if (one === null) continue;
                row.set(key, Array.isArray(one) ? one.map(String) : [typeof one === 'object' ? JSON.stringify(one) : String(one)]);
            }
            return row;
        });
    },
};

/** What stands in parentheses, five deep: `max(eval(if(isnull(x), null(), y)))`. */
const INSIDE = [...Array(5)].reduce((deeper: string) => `(?:[^()"]|"[^"]*"|\\(${deeper}\\))*`, '[^()]*');
const AGGREGATION = new RegExp(`(\\w+)(?:\\((${INSIDE})\\))?(?:\\s+as\\s+("[^"]+"|[\\w.:{}-]+))?\\s*,?\\s*`, 'gi');

/** Aggregations and the rows each came from. */
function grouped(rest: string, rows: Rows, now: number): { row: Fields; of: Rows }[] {
    const [, list, , byText] = /^(.*?)(\s+by\s+(.*))?$/is.exec(rest.trim())!;
    const by = byText === undefined ? [] : names(byText);
    const wanted = [...list!.matchAll(AGGREGATION)].map(
        ([whole, function_, inside, as]) => ({ function_: function_!.toLowerCase(), inside: inside?.trim(), as: as === undefined ? whole!.trim().replace(/,$/, '') : unquoted(as) }),
    );
    const groups = new Map<string, Rows>();
    for (const row of rows) {
        // A row with several values of a field belongs to several groups; one without belongs to none.
        let keys: string[][] = [[]];
        for (const field of by) keys = keys.flatMap((key) => (row.get(field) ?? []).map((one) => [...key, one]));
        for (const key of keys) groups.set(JSON.stringify(key), [...(groups.get(JSON.stringify(key)) ?? []), row]);
    }
    if (by.length === 0 && groups.size === 0) groups.set('[]', []);
    return [...groups].map(([key, of]) => {
        const row: Fields = new Map();
        (JSON.parse(key) as string[]).forEach((one, at) => row.set(by[at]!, [one]));
        for (const { function_, inside, as } of wanted) put(row, as, aggregate(function_, inside, of, now));
        return { row, of };
    });
}

function aggregate(function_: string, inside: string | undefined, of: Rows, now: number): Value {
    if (inside === undefined || inside === '') {
        if (function_ === 'count' || function_ === 'c') return of.length;
        throw new SplError(`Error in 'stats' command: ${function_} needs a field.`);
    }
    const expression = /^eval\((.*)\)$/is.exec(inside)?.[1];
    const node = expression === undefined ? undefined : compile(expression);
    const of_ = (row: Fields): string[] => {
        if (node === undefined) return row.get(unquoted(inside)) ?? [];
        const result = node((field) => value(row, field), now);
        return result === null || result === false ? [] : Array.isArray(result) ? result : [text_(result)];
    };
    const all = of.flatMap(of_);
    const numbers = all.map((one) => number_(one)).filter((one): one is number => one !== null);
    const byTime = (sign: 1 | -1) => {
        let best: Fields | undefined;
        for (const row of of) {
            if (of_(row).length === 0) continue;
            const time = Number(row.get('_time')?.[0] ?? 0);
            if (best === undefined || sign * (time - Number(best.get('_time')?.[0] ?? 0)) > 0) best = row;
        }
        return best === undefined ? null : of_(best).length === 1 ? of_(best)[0]! : of_(best);
    };
    switch (function_) {
        case 'count':
        case 'c':
            return all.length;
        case 'dc':
        case 'distinct_count':
            return new Set(all).size;
        case 'sum':
            return numbers.length === 0 ? null : numbers.reduce((a, b) => a + b, 0);
        case 'avg':
        case 'mean':
            return numbers.length === 0 ? null : numbers.reduce((a, b) => a + b, 0) / numbers.length;
        case 'max':
        case 'min': {
            if (all.length === 0) return null;
            const pick = function_ === 'max' ? Math.max : Math.min;
            if (numbers.length === all.length) return pick(...numbers);
            const sorted = [...all].sort();
            return function_ === 'max' ? sorted[sorted.length - 1]! : sorted[0]!;
        }
        case 'values':
            return all.length === 0 ? null : [...new Set(all)].sort();
        case 'list':
            return all.length === 0 ? null : all.slice(0, 100);
        case 'first':
            return all[0] ?? null;
        case 'last':
            return all[all.length - 1] ?? null;
        case 'latest':
            return byTime(1);
        case 'earliest':
            return byTime(-1);
        case 'latest_time':
        case 'earliest_time': {
            const times = of.filter((row) => of_(row).length > 0).map((row) => Number(row.get('_time')?.[0]));
            return times.length === 0 ? null : (function_ === 'latest_time' ? Math.max : Math.min)(...times);
        }
        default: {
            const percent = /^(?:p|perc|median)(\d*)$/.exec(function_);
            if (percent === null) throw new SplError(`The stand-in's stats knows no ${function_}().`);
            const sorted = [...numbers].sort((a, b) => a - b);
            return sorted[Math.min(sorted.length - 1, Math.floor((Number(percent[1] || 50) / 100) * sorted.length))] ?? null;
        }
    }
}
