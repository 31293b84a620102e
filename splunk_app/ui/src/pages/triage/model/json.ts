// Reading JSON that somebody else wrote: every field may be absent, null or of
// another type than documented, and nothing here throws.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export function parsed(text: string): JsonObject | null {
    try {
        return object(JSON.parse(text) as Json);
    } catch {
        return null;
    }
}

export function object(value: Json | undefined): JsonObject | null {
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
}

export function objects(value: Json | undefined): JsonObject[] {
    if (!Array.isArray(value)) return [];
    return value.map(object).filter((item): item is JsonObject => item !== null);
}

/** The first of these fields that says something, as text. */
export function text(from: JsonObject | null, ...names: string[]): string | null {
    for (const name of names) {
        const value = from?.[name];
        if (typeof value === 'string' && value.trim() !== '') return value;
        if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    }
    return null;
}

export function texts(from: JsonObject | null, name: string): string[] {
    const value = from?.[name];
    if (!Array.isArray(value)) return [];
    return value.flatMap((item) => {
        if (typeof item === 'string' && item.trim() !== '') return [item];
        return typeof item === 'number' ? [String(item)] : [];
    });
}

/** Each value once, in order, the empty ones left out. */
export function distinct(values: Iterable<string | null | undefined>): string[] {
    return [...new Set([...values].flatMap((value) => (value ? [value] : [])))];
}
