// A search's text: macros filled in, cut at its pipes. Quotes and brackets are respected, nothing is guessed.

import type { Stanza } from '../conf';

/** A search that cannot be run as it stands; its words go to the job's messages. */
export class SplError extends Error {}

const DEEPEST = 20;

/** `` `name` `` and `` `name(a, "b")` ``, from macros.conf; also inside quotes, as Splunk does it. */
export function expand(text: string, macros: Map<string, Stanza>, depth = 0): string {
    if (depth > DEEPEST) throw new SplError('The search contains a macro that names itself.');
    return text.replace(/`([^`]*)`/g, (_, call: string) => {
        const parts = /^\s*([\w.-]+)\s*(?:\((.*)\))?\s*$/s.exec(call);
        if (parts === null) throw new SplError(`Error in 'SearchParser': The macro \`${call}\` cannot be read.`);
        const given = parts[2] === undefined ? [] : commas(parts[2]).map(unquoted);
        const name = given.length === 0 ? parts[1]! : `${parts[1]}(${given.length})`;
        const macro = macros.get(name);
        if (macro === undefined) {
            throw new SplError(`Error in 'SearchParser': The search specifies a macro '${name}' that cannot be found.`);
        }
        if (macro.get('iseval') === '1' || macro.get('iseval') === 'true') throw new SplError(`The stand-in runs no eval-based macro (${name}).`);
        let definition = macro.get('definition') ?? '';
        const names = (macro.get('args') ?? '').split(',').map((one) => one.trim());
        given.forEach((value, at) => {
            definition = definition.replaceAll(`$${names[at]}$`, value);
        });
        return expand(definition, macros, depth + 1);
    });
}

/** The commands, in order. */
export function split(text: string): string[] {
    const parts = cut(text, '|').map((part) => part.trim());
    if (parts[0] === '') parts.shift();
    if (parts.length === 0 || parts.some((part) => part === '')) throw new SplError('Error in \'SearchParser\': Missing a search command before \'|\'.');
    return parts;
}

export function commas(text: string): string[] {
    return cut(text, ',').map((part) => part.trim());
}

/** Outside quotes, parentheses and brackets. */
function cut(text: string, at: string): string[] {
    const parts = [''];
    let depth = 0;
    let quoted = false;
    for (let place = 0; place < text.length; place += 1) {
        const c = text[place]!;
        if (quoted) {
            if (c === '\\') {
                parts[parts.length - 1] += c + (text[place + 1] ?? '');
                place += 1;
                continue;
            }
            if (c === '"') quoted = false;
        } else if (c === '"') quoted = true;
        else if (c === '[' || c === '(') depth += 1;
        else if (c === ']' || c === ')') depth -= 1;
        else if (c === at && depth === 0) {
            parts.push('');
            continue;
        }
        parts[parts.length - 1] += c;
    }
    if (quoted) throw new SplError("Error in 'SearchParser': Unbalanced quotes.");
    if (depth !== 0) throw new SplError("Error in 'SearchParser': Mismatched brackets.");
    return parts;
}

/** Words of a command; a quoted part belongs to the word it stands in. */
export function words(text: string): string[] {
    return text.match(/(?:[^\s"\\]|\\.|"(?:[^"\\]|\\.)*")+/gs) ?? [];
}

export function unquoted(text: string): string {
    const inside = /^"(.*)"$/s.exec(text.trim())?.[1];
    return inside === undefined ? text.trim() : inside.replace(/\\(["\\])/g, '$1');
}
