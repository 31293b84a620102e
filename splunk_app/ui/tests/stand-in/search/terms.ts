// What `search` keeps: terms, fields, AND, OR, NOT, wildcards.

import { SplError, unquoted } from './pipeline';

/** The values of a field; none where there is no such field. */
export type Values = (field: string) => string[];
type Test = (of: Values) => boolean;

export interface Kinds {
    /** The search of an event type. */
    eventtype(name: string): string | undefined;
}

function tokens(text: string): string[] {
    return text.match(/"(?:[^"\\]|\\.)*"|[()]|,|(?:!=|<=|>=|=|<|>)|[^\s()"=<>!,]+/gs) ?? [];
}

const SIGNS = ['=', '!=', '<', '>', '<=', '>='];

export function terms(text: string, kinds: Kinds): Test {
    const list = tokens(text);
    let at = 0;

    const any = (): Test => {
        let left = every();
        while (list[at] === 'OR') {
            at += 1;
            const [a, b] = [left, every()];
            left = (of) => a(of) || b(of);
        }
        return left;
    };
    const every = (): Test => {
        const tests: Test[] = [];
        while (at < list.length && list[at] !== 'OR' && list[at] !== ')') {
            if (list[at] === 'AND') at += 1;
            else tests.push(one());
        }
        return (of) => tests.every((test) => test(of));
    };
    const one = (): Test => {
        const token = list[at++]!;
        if (token === 'NOT') {
            const inner = one();
            return (of) => !inner(of);
        }
        if (token === '(') {
            const inner = any();
            if (list[at++] !== ')') throw new SplError("Error in 'search' command: Unable to parse the search: unbalanced parentheses.");
            return inner;
        }
        const sign = list[at];
        if (sign !== undefined && SIGNS.includes(sign)) {
            at += 1;
            const value = list[at++];
            if (value === undefined) throw new SplError(`Error in 'search' command: ${token}${sign} has no value.`);
            return compared(unquoted(token), sign, unquoted(value), kinds);
        }
        if (sign === 'IN' && list[at + 1] === '(') {
            at += 2;
            const values: string[] = [];
            while (list[at] !== ')') {
                if (at >= list.length) throw new SplError("Error in 'search' command: IN has no end.");
                if (list[at] !== ',') values.push(unquoted(list[at]!));
                at += 1;
            }
            at += 1;
            const tests = values.map((value) => compared(unquoted(token), '=', value, kinds));
            return (of) => tests.some((test) => test(of));
        }
        if (token === ')' || SIGNS.includes(token)) throw new SplError(`Error in 'search' command: Unable to parse the search at '${token}'.`);
        const word = wildcard(unquoted(token), false);
        return (of) => of('_raw').some((raw) => word.test(raw)) || unquoted(token) === '*';
    };

    const test = any();
    if (at < list.length) throw new SplError(`Error in 'search' command: Unable to parse the search at '${list[at]}'.`);
    return test;
}

function compared(field: string, sign: string, value: string, kinds: Kinds): Test {
    if (field === 'eventtype' && sign === '=') {
        const search = kinds.eventtype(value);
        if (search === undefined) throw new SplError(`Eventtype '${value}' does not exist or is disabled.`);
        return terms(search, kinds);
    }
    if (sign === '=' || sign === '!=') {
        const pattern = wildcard(value, true);
        const has: Test = (of) => of(field).some((one) => pattern.test(one));
        // A field that is not there is not unequal either.
        return sign === '=' ? has : (of) => of(field).length > 0 && !has(of);
    }
    const limit = Number(value);
    if (Number.isNaN(limit)) throw new SplError(`Error in 'search' command: ${field}${sign} needs a number.`);
    return (of) =>
        of(field).some((one) => {
            const number = Number(one);
            return one.trim() !== '' && ({ '<': number < limit, '>': number > limit, '<=': number <= limit, '>=': number >= limit }[sign] ?? false);
        });
}

function wildcard(text: string, whole: boolean): RegExp {
    const inner = text.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*');
    return new RegExp(whole ? `^${inner}$` : inner, 'is');
}
