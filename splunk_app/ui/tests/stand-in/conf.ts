// Conf files as splunkd layers them: what the app ships, and what was saved over it.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { APP, REPOSITORY } from './place';

export type Stanza = Map<string, string>;

export function parse(text: string): Map<string, Stanza> {
    const stanzas = new Map<string, Stanza>();
    let stanza: Stanza = new Map();
    const lines = text.replace(/\\\r?\n/g, '\n\\').split(/\r?\n/);
    let key = '';
    for (const line of lines) {
        if (line.startsWith('\\') && key !== '') {
            stanza.set(key, `${stanza.get(key)}\n${line.slice(1)}`);
            continue;
        }
        if (/^\s*(#|$)/.test(line)) continue;
        const head = /^\[(.*)\]\s*$/.exec(line);
        if (head) {
            stanza = stanzas.get(head[1]!) ?? new Map<string, string>();
            stanzas.set(head[1]!, stanza);
            continue;
        }
        const at = line.indexOf('=');
        if (at < 0) throw new Error(`no setting: ${line}`);
        key = line.slice(0, at).trim();
        stanza.set(key, line.slice(at + 1).trim());
    }
    return stanzas;
}

/** The app's conf files, as shipped. */
export function shipped(): Map<string, Map<string, Stanza>> {
    const folder = join(REPOSITORY, 'default');
    const files = readdirSync(folder).filter((name) => name.endsWith('.conf'));
    return new Map(files.map((name) => [name.slice(0, -5), parse(readFileSync(join(folder, name), 'utf8'))]));
}

export class Confs {
    private readonly defaults = shipped();
    private readonly local = new Map<string, Map<string, Stanza>>();

    names(conf: string): string[] {
        const names = new Set([...(this.defaults.get(conf)?.keys() ?? []), ...(this.local.get(conf)?.keys() ?? [])]);
        return [...names];
    }

    stanza(conf: string, name: string): Record<string, string> | undefined {
        const below = this.defaults.get(conf)?.get(name);
        const above = this.local.get(conf)?.get(name);
        if (below === undefined && above === undefined) return undefined;
        return Object.fromEntries([...(below ?? []), ...(above ?? [])]);
    }

    set(conf: string, name: string, values: Record<string, string>): void {
        const file = this.local.get(conf) ?? new Map<string, Stanza>();
        this.local.set(conf, file);
        file.set(name, new Map([...(file.get(name) ?? []), ...Object.entries(values)]));
    }

    /** Only what was saved here can go; what the app ships stays. */
    remove(conf: string, name: string): boolean {
        return this.local.get(conf)?.delete(name) ?? false;
    }
}

/** `metadata/default.meta`: which roles may read and write a conf file. */
export function access(conf: string): { read: string[]; write: string[] } {
    const meta = parse(readFileSync(join(REPOSITORY, 'splunk_app/metadata/default.meta'), 'utf8'));
    const rule = meta.get(conf)?.get('access') ?? meta.get('')?.get('access') ?? '';
    const roles = (what: string) =>
        new RegExp(`${what}\\s*:\\s*\\[([^\\]]*)\\]`).exec(rule)?.[1]?.split(',').map((role) => role.trim()) ?? [];
    return { read: roles('read'), write: roles('write') };
}

export { APP };
