// Secrets go to splunkd's store and never come back: nothing here can read one, and no page may.

import { APP } from './web';
import { call, segment } from './client';
import { SplunkFailure } from './failure';

/** splunkd keeps no longer value safely; longer ones go in pieces `<name>#1`, `<name>#2`, … */
export const LONGEST = 255;
/** As many as the executable reads. */
const MOST_PIECES = 256;

const STORE = `servicesNS/nobody/${APP}/storage/passwords`;

function entry(name: string): string {
    return `${STORE}/${segment(entryName(name))}`;
}

/** As splunkd names the entry: `\` and `:` inside a part of it are escaped. */
export function entryName(name: string): string {
    return `${APP}:${name.replace(/[\\:]/g, '\\$&')}:`;
}

/** Stores a secret of any length under this name, in place of what was there. */
export async function put(name: string, secret: string): Promise<void> {
    const parts = pieces(secret);
    if (parts.length > MOST_PIECES) throw new RangeError(`a secret of ${parts.length} pieces is too long`);
    if (parts.length === 1) {
        await putOne(name, secret);
        await forgetFrom(name, 1);
        return;
    }
    for (const [at, part] of parts.entries()) await putOne(`${name}#${at + 1}`, part);
    // A whole secret beside the pieces would win over them.
    await forgetOne(name);
    await forgetFrom(name, parts.length + 1);
}

/** Removes whatever is stored under this name; nothing there is well. */
export async function forget(name: string): Promise<void> {
    await forgetOne(name);
    await forgetFrom(name, 1);
}

async function putOne(name: string, password: string): Promise<void> {
    try {
        await call('POST', STORE, { form: { realm: APP, name, password } });
    } catch (error) {
        if (!(error instanceof SplunkFailure) || error.kind !== 'exists') throw error;
        await call('POST', entry(name), { form: { password } });
    }
}

/** Whether there was one. */
async function forgetOne(name: string): Promise<boolean> {
    try {
        await call('DELETE', entry(name));
        return true;
    } catch (error) {
        if (error instanceof SplunkFailure && error.kind === 'missing') return false;
        throw error;
    }
}

async function forgetFrom(name: string, first: number): Promise<void> {
    for (let piece = first; piece <= MOST_PIECES; piece += 1) {
        if (!(await forgetOne(`${name}#${piece}`))) return;
    }
}

/** Cut by bytes of UTF-8, never inside a character. */
export function pieces(secret: string, most = LONGEST): string[] {
    const encoder = new TextEncoder();
    const parts: string[] = [];
    let part = '';
    let size = 0;
    for (const character of secret) {
        const bytes = encoder.encode(character).length;
        if (size + bytes > most) {
            parts.push(part);
            part = '';
            size = 0;
        }
        part += character;
        size += bytes;
    }
    parts.push(part);
    return parts;
}
