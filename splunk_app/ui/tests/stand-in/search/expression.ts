// Expressions of eval and where: the part of them that the app's own searches use, and a refusal for the rest.

import { SplError } from './pipeline';
import { instant, strftime, strptime } from './time';
import { byPath } from './fields';

export type Value = string | number | boolean | string[] | null;
export type Lookup = (field: string) => Value;
type Node = (of: Lookup, now: number) => Value;

type Token = { kind: 'number' | 'string' | 'name' | 'field' | 'sign'; text: string };

const SIGNS = /^(==|!=|<>|<=|>=|[-+*/%.()<>=,])/;

function tokens(text: string): Token[] {
    const found: Token[] = [];
    let rest = text;
    while ((rest = rest.trimStart()) !== '') {
        const string = /^"((?:[^"\\]|\\.)*)"/s.exec(rest);
        const field = /^'([^']*)'/.exec(rest);
        const number = /^\d+(\.\d+)?/.exec(rest);
        const name = /^[A-Za-z_][\w:]*(\{\})?/.exec(rest);
        const sign = SIGNS.exec(rest);
        const take = (kind: Token['kind'], length: number, value: string) => {
            found.push({ kind, text: value });
            rest = rest.slice(length);
        };
        // Only quotes and backslashes are escaped; \d of a regular expression stays.
        if (string) take('string', string[0].length, string[1]!.replace(/\\(["\\])/g, '$1'));
        else if (field) take('field', field[0].length, field[1]!);
        else if (number) take('number', number[0].length, number[0]);
        else if (name) take('name', name[0].length, name[0]);
        else if (sign) take('sign', sign[0].length, sign[0]);
        else throw new SplError(`The expression is malformed near '${rest.slice(0, 30)}'.`);
    }
    return found;
}

export function compile(text: string): Node {
    const list = tokens(text);
    let at = 0;
    const peek = () => list[at];
    const is = (text: string) => peek()?.kind === 'sign' && peek()!.text === text;
    const word = (name: string) => peek()?.kind === 'name' && peek()!.text.toUpperCase() === name;
    const expect = (text: string) => {
        if (!is(text)) throw new SplError(`The expression is malformed: expected ${text}${peek() ? ` before '${peek()!.text}'` : ''}.`);
        at += 1;
    };

    const or = (): Node => chain(() => chain(not, 'AND', (a, b) => (o, n) => truth(a(o, n)) && truth(b(o, n))), 'OR', (a, b) => (o, n) => truth(a(o, n)) || truth(b(o, n)));
    const chain = (next: () => Node, name: string, join: (a: Node, b: Node) => Node): Node => {
        let left = next();
        while (word(name)) {
            at += 1;
            left = join(left, next());
        }
        return left;
    };
    const not = (): Node => {
        if (!word('NOT')) return comparison();
        at += 1;
        const inner = not();
        return (o, n) => !truth(inner(o, n));
    };
    const comparison = (): Node => {
        const left = sum();
        if (word('LIKE')) {
            at += 1;
            const right = sum();
            return (o, n) => like(String(left(o, n) ?? ''), String(right(o, n) ?? ''));
        }
        if (word('IN')) {
            at += 1;
            expect('(');
            const right = list_();
            return (o, n) => right.some((one) => equal(left(o, n), one(o, n)));
        }
        const sign = peek();
        if (sign?.kind !== 'sign' || !['=', '==', '!=', '<>', '<', '>', '<=', '>='].includes(sign.text)) return left;
        at += 1;
        const right = sum();
        return (o, n) => compare(left(o, n), sign.text, right(o, n));
    };
    const sum = (): Node => {
        let left = product();
        while (is('+') || is('-') || is('.')) {
            const sign = list[at++]!.text;
            const [a, b] = [left, product()];
            left = (o, n) => {
                const [x, y] = [a(o, n), b(o, n)];
                if (x === null || y === null) return null;
                if (sign === '.') return text_(x) + text_(y);
                if (sign === '+' && (number_(x) === null || number_(y) === null)) return text_(x) + text_(y);
                const [p, q] = [number_(x), number_(y)];
                return p === null || q === null ? null : sign === '+' ? p + q : p - q;
            };
        }
        return left;
    };
    const product = (): Node => {
        let left = unary();
        while (is('*') || is('/') || is('%')) {
            const sign = list[at++]!.text;
            const [a, b] = [left, unary()];
            left = (o, n) => {
                const [p, q] = [number_(a(o, n)), number_(b(o, n))];
                if (p === null || q === null || (sign !== '*' && q === 0)) return null;
                return sign === '*' ? p * q : sign === '/' ? p / q : p % q;
            };
        }
        return left;
    };
    const unary = (): Node => {
        if (!is('-')) return primary();
        at += 1;
        const inner = unary();
        return (o, n) => {
            const value = number_(inner(o, n));
            return value === null ? null : -value;
        };
    };
    const primary = (): Node => {
        const token = list[at++];
        if (token === undefined) throw new SplError('The expression is malformed: it ends too early.');
        if (token.kind === 'number') return () => Number(token.text);
        if (token.kind === 'string') return () => token.text;
        if (token.kind === 'field') return (o) => o(token.text);
        if (token.kind === 'sign') {
            if (token.text !== '(') throw new SplError(`The expression is malformed near '${token.text}'.`);
            const inner = or();
            expect(')');
            return inner;
        }
        if (!is('(')) return (o) => o(token.text);
        at += 1;
        const given = is(')') ? (expect(')'), []) : list_();
        const function_ = FUNCTIONS[token.text.toLowerCase()];
        if (function_ === undefined) throw new SplError(`The stand-in knows no function ${token.text}().`);
        return function_(given);
    };
    const list_ = (): Node[] => {
        const nodes = [or()];
        while (is(',')) {
            at += 1;
            nodes.push(or());
        }
        expect(')');
        return nodes;
    };

    const node = or();
    if (at < list.length) throw new SplError(`The expression is malformed near '${list[at]!.text}'.`);
    return node;
}

export function truth(value: Value): boolean {
    return value === true || value === 1 || value === 'true' || value === 'True';
}

export function number_(value: Value): number | null {
    if (typeof value === 'number') return value;
    if (typeof value === 'boolean') return value ? 1 : 0;
    const one = Array.isArray(value) ? value[0] : value;
    return typeof one === 'string' && /^\s*-?\d+(\.\d+)?([eE][+-]?\d+)?\s*$/.test(one) ? Number(one) : null;
}

export function text_(value: Value): string {
    if (value === null) return '';
    if (Array.isArray(value)) return value.join(' ');
    if (typeof value === 'number') return String(Number(value.toPrecision(15)));
    return String(value);
}

function several(value: Value): string[] {
    return value === null ? [] : Array.isArray(value) ? value : [text_(value)];
}

function fold(values: string[]): Value {
    return values.length === 0 ? null : values.length === 1 ? values[0]! : values;
}

function equal(left: Value, right: Value): boolean {
    if (left === null || right === null) return false;
    const [a, b] = [number_(left), number_(right)];
    if (a !== null && b !== null) return a === b;
    return several(left).some((one) => one === text_(right));
}

function compare(left: Value, sign: string, right: Value): Value {
    if (left === null || right === null) return false;
    if (sign === '=' || sign === '==') return equal(left, right);
    if (sign === '!=' || sign === '<>') return !equal(left, right);
    const [a, b] = [number_(left), number_(right)];
    const order = a !== null && b !== null ? a - b : text_(left) < text_(right) ? -1 : text_(left) > text_(right) ? 1 : 0;
    return { '<': order < 0, '>': order > 0, '<=': order <= 0, '>=': order >= 0 }[sign]!;
}

function like(text: string, pattern: string): boolean {
    const expression = pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/%/g, '.*').replace(/_/g, '.');
    return new RegExp(`^${expression}$`, 's').test(text);
}

/** PCRE as JavaScript has it: the inline flag is the one difference the app's expressions have. */
export function regex(pattern: string, flags = ''): RegExp {
    const inline = /^\(\?([ims]+)\)/.exec(pattern);
    try {
        return new RegExp(inline ? pattern.slice(inline[0].length) : pattern, flags + (inline?.[1] ?? ''));
    } catch (error) {
        throw new SplError(`The regex '${pattern}' cannot be used: ${String(error)}`);
    }
}

type Maker = (nodes: Node[]) => Node;
/** Functions of values already there. */
const plain =
    (work: (...values: Value[]) => Value): Maker =>
    (nodes) =>
    (o, n) =>
        work(...nodes.map((node) => node(o, n)));
const math = (work: (value: number) => number) => plain((value) => (number_(value ?? null) === null ? null : work(number_(value!)!)));

const FUNCTIONS: Record<string, Maker> = {
    if: ([test, yes, no]) => (o, n) => (truth(test!(o, n)) ? yes!(o, n) : no!(o, n)),
    case: (nodes) => (o, n) => {
        for (let at = 0; at + 1 < nodes.length; at += 2) if (truth(nodes[at]!(o, n))) return nodes[at + 1]!(o, n);
        return null;
    },
    coalesce: plain((...values) => values.find((value) => value !== null) ?? null),
    true: plain(() => true),
    false: plain(() => false),
    null: plain(() => null),
    isnull: plain((value) => value === null),
    isnotnull: plain((value) => value !== null),
    isnum: plain((value) => number_(value!) !== null),
    nullif: plain((a, b) => (equal(a!, b!) ? null : a!)),
    lower: plain((value) => (value === null ? null : text_(value!).toLowerCase())),
    upper: plain((value) => (value === null ? null : text_(value!).toUpperCase())),
    len: plain((value) => (value === null ? null : text_(value!).length)),
    trim: plain((value) => (value === null ? null : text_(value!).trim())),
    substr: plain((value, from, length) => {
        if (value === null) return null;
        const begin = number_(from!)! > 0 ? number_(from!)! - 1 : text_(value!).length + number_(from!)!;
        return length === undefined ? text_(value!).slice(begin) : text_(value!).slice(begin, begin + number_(length)!);
    }),
    replace: plain((value, pattern, by) => (value === null ? null : text_(value!).replace(regex(text_(pattern!), 'g'), text_(by!).replace(/\\(\d)/g, '$$$1')))),
    match: plain((value, pattern) => several(value!).some((one) => regex(text_(pattern!)).test(one))),
    like: plain((value, pattern) => value !== null && like(text_(value!), text_(pattern!))),
    in: plain((value, ...list) => list.some((one) => equal(value!, one))),
    tonumber: plain((value) => number_(value!)),
    tostring: plain((value, how) => {
        if (value === null) return null;
        const number = number_(value!);
        if (how === undefined || number === null) return typeof value === 'boolean' ? (value ? 'True' : 'False') : text_(value!);
        if (how === 'commas') return number.toLocaleString('en-US', { maximumFractionDigits: 2 });
        if (how !== 'duration') throw new SplError(`The stand-in writes no "${text_(how)}".`);
        const days = Math.floor(number / 86400);
        const clock = new Date((number % 86400) * 1000).toISOString().slice(11, 19);
        return days > 0 ? `${days}+${clock}` : clock;
    }),
    round: plain((value, digits) => {
        const number = number_(value!);
        return number === null ? null : Number(number.toFixed(digits === undefined ? 0 : number_(digits)!));
    }),
    floor: math(Math.floor),
    ceil: math(Math.ceil),
    ceiling: math(Math.ceil),
    abs: math(Math.abs),
    max: plain((...values) => Math.max(...values.map(number_).filter((one): one is number => one !== null))),
    min: plain((...values) => Math.min(...values.map(number_).filter((one): one is number => one !== null))),
    now: () => (_, now) => now,
    time: () => (_, now) => now,
    relative_time: plain((time, by) => instant(text_(by!), number_(time!) ?? 0)),
    strftime: plain((time, format) => (number_(time!) === null ? null : strftime(number_(time!)!, text_(format!)))),
    strptime: plain((text) => (text === null ? null : strptime(text_(text!)))),
    split: plain((value, by) => (value === null ? null : fold(text_(value!).split(text_(by!))))),
    mvcount: plain((value) => (value === null ? null : several(value!).length)),
    mvindex: plain((value, from, to) => {
        const values = several(value!);
        const place = (node: Value) => (number_(node)! < 0 ? values.length + number_(node)! : number_(node)!);
        return fold(values.slice(place(from!), (to === undefined ? place(from!) : place(to)) + 1));
    }),
    mvjoin: plain((value, by) => (value === null ? null : several(value!).join(text_(by!)))),
    mvdedup: plain((value) => fold([...new Set(several(value!))])),
    mvsort: plain((value) => fold([...several(value!)].sort())),
    mvappend: plain((...values) => fold(values.flatMap(several))),
    spath: plain((json, path) => (json === null ? null : fold(byPath(text_(json!), text_(path!))))),
    json_extract: plain((json, path) => (json === null ? null : fold(byPath(text_(json!), text_(path!))))),
    json_object: plain((...pairs) =>
        JSON.stringify(Object.fromEntries(pairs.flatMap((key, at) => (at % 2 === 0 ? [[text_(key), pairs[at + 1] ?? null]] : [])))),
    ),
    urldecode: plain((value) => (value === null ? null : decodeURIComponent(text_(value!)))),
    mvmap: ([list, each]) => (o, n) => {
        // The field named first stands for each of its values in turn.
        const values = several(list!(o, n));
        const names = new Set<string>();
        list!((field) => (names.add(field), null), n);
        const name = [...names][0] ?? '';
        return fold(values.flatMap((value) => several(each!((field) => (field === name ? value : o(field)), n))));
    },
    mvfilter: ([test]) => (o, n) => {
        const names = new Set<string>();
        test!((field) => (names.add(field), 'x'), n);
        const name = [...names][0] ?? '';
        return fold(several(o(name)).filter((value) => truth(test!((field) => (field === name ? value : o(field)), n))));
    },
};
