// The documents splunkd hands a modular input, and the events it takes back.

import { run, type Ended } from './process';
import { APP } from './place';

export interface Event {
    time: number;
    index: string;
    sourcetype: string;
    source: string;
    host: string;
    raw: string;
}

export interface Caller {
    home: string;
    uri: string;
    key: string;
}

function escape(text: string): string {
    return text.replace(/[<>&"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

function unescape(text: string): string {
    const named: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
    return text.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (_, decimal, hexadecimal, name) =>
        name !== undefined ? named[name]! : String.fromCodePoint(decimal ? Number(decimal) : parseInt(hexadecimal, 16)),
    );
}

function head(caller: Caller): string {
    return `<server_host>sh1</server_host><server_uri>${caller.uri}</server_uri><session_key>${escape(caller.key)}</session_key><checkpoint_dir>${caller.home}/var/lib/splunk/modinputs/${APP}</checkpoint_dir>`;
}

function parameters(values: Record<string, string>): string {
    return Object.entries(values)
        .map(([key, value]) => `<param name="${escape(key)}">${escape(value)}</param>`)
        .join('');
}

/** What the executable has against it; undefined where it takes it. */
export async function validate(caller: Caller, name: string, values: Record<string, string>): Promise<string | undefined> {
    const document = `<?xml version="1.0" encoding="UTF-8"?>\n<items>${head(caller)}<item name="${escape(name)}">${parameters(values)}</item></items>\n`;
    const ended = await run(caller.home, ['--validate-arguments'], document);
    if (ended.code === 0) return undefined;
    const message = /<message>(.*?)<\/message>/s.exec(ended.stdout)?.[1];
    return message === undefined ? `the executable ended with ${ended.code}` : unescape(message);
}

/** One run of one stanza, to its end. */
export async function poll(caller: Caller, name: string, values: Record<string, string>): Promise<{ events: Event[]; ended: Ended }> {
    const document = `<?xml version="1.0" encoding="UTF-8"?>\n<input>${head(caller)}<configuration><stanza name="${APP}://${escape(name)}" app="${APP}">${parameters(values)}</stanza></configuration></input>\n`;
    const ended = await run(caller.home, [], document);
    return { events: events(ended.stdout, values), ended };
}

function events(stream: string, values: Record<string, string>): Event[] {
    return [...stream.matchAll(/<event\b[^>]*>(.*?)<\/event>/gs)].map(([, inside = '']) => {
        const part = (name: string) => {
            const found = new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(inside)?.[1];
            return found === undefined ? undefined : unescape(found);
        };
        return {
            time: Number(part('time') ?? Date.now() / 1000),
            index: part('index') ?? values.index ?? 'main',
            sourcetype: part('sourcetype') ?? values.sourcetype ?? '',
            source: part('source') ?? '',
            host: part('host') ?? 'sh1',
            raw: part('data') ?? '',
        };
    });
}
