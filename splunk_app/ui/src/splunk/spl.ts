// Values inside a search. Nothing a person or an event says may ever be read as SPL: rows travel as JSON in
// which every character that could mean something is written by its number.

export type Row = Record<string, string | number | boolean | null | string[]>;

/** Characters that mean nothing to SPL, to JSON or to macros (backticks), wherever they stand. */
const HARMLESS = /^[A-Za-z0-9 _.@:,-]$/;
const WORD = /^[A-Za-z0-9_][A-Za-z0-9_.@:-]*$/;

/** `| makeresults format=json data="[…]"`: the rows, as the first command of a search. */
export function rows(values: Row[]): string {
    return `| makeresults format=json data="${escaped(json(values))}"`;
}

/** `name="value"` of a command, for values that are names; anything else is a fault of the caller. */
export function option(name: string, value: string): string {
    if (!/^[a-z_]+$/.test(name)) throw new TypeError(`${name} is no option`);
    if (!WORD.test(value)) throw new TypeError(`${name}: only letters, digits and _ . @ : - can stand in a search`);
    return `${name}="${value}"`;
}

/** The same for several names, separated by commas. */
export function names(name: string, values: string[]): string {
    return `${option(name, values[0] ?? '').slice(0, -1)}${values.slice(1).map((value) => `,${option(name, value).slice(name.length + 2, -1)}`).join('')}"`;
}

/** The same for an https address without query. */
export function address(name: string, value: string): string {
    if (!/^[a-z_]+$/.test(name)) throw new TypeError(`${name} is no option`);
    if (!/^https:\/\/[A-Za-z0-9_.:/-]+$/.test(value)) throw new TypeError(`${name}: only an https address without ? and # can stand in a search`);
    return `${name}="${value}"`;
}

function json(value: Row | Row[] | Row[string]): string {
    if (Array.isArray(value)) return `[${value.map((item) => json(item)).join(',')}]`;
    if (typeof value === 'string') return text(value);
    if (typeof value === 'object' && value !== null) {
        const pairs = Object.entries(value).map(([key, item]) => `${text(key)}:${json(item)}`);
        return `{${pairs.join(',')}}`;
    }
    return JSON.stringify(value);
}

/** By UTF-16 unit, as JSON counts. */
function text(value: string): string {
    let written = '"';
    for (let at = 0; at < value.length; at += 1) {
        const unit = value.charAt(at);
        written += HARMLESS.test(unit) ? unit : `\\u${value.charCodeAt(at).toString(16).padStart(4, '0')}`;
    }
    return `${written}"`;
}

/** Inside SPL's quotes `\` and `"` are escaped by `\`. */
function escaped(value: string): string {
    return value.replace(/[\\"]/g, '\\$&');
}
