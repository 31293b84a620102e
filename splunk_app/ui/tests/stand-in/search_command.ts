// The other side of a search command: splunkd's questions over the chunked protocol (`chunked 1.0,m,b`).

import { start, Bytes } from './process';

export type Row = Record<string, string | string[]>;

export interface Search {
    home: string;
    uri: string;
    key: string;
    user: string;
    /** `command.arg.N` of commands.conf. */
    words: string[];
    command: string;
    arguments: string[];
    sid: string;
}

export interface Told {
    rows: Row[];
    messages: { type: string; text: string }[];
}

/** `rows` undefined: the first command of its search, which makes rows. */
export async function ask(search: Search, rows: Row[] | undefined, signal?: AbortSignal): Promise<Told> {
    const child = start(search.home, search.words);
    const hangUp = () => child.stdin.end();
    signal?.addEventListener('abort', hangUp, { once: true });
    child.stdin.on('error', () => {});
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString('utf8')));
    const bytes = new Bytes(child.stdout);
    const say = (metadata: object, body = '') => {
        const text = JSON.stringify(metadata);
        child.stdin.write(`chunked 1.0,${Buffer.byteLength(text)},${Buffer.byteLength(body)}\n${text}${body}`);
    };
    const told: Told = { rows: [], messages: [] };
    const hear = async () => {
        const lengths = /^chunked 1\.0,(\d+),(\d+)$/.exec(await bytes.line());
        if (lengths === null) throw new Error(`${search.command} speaks no chunked protocol: ${log}`);
        const metadata = JSON.parse((await bytes.take(Number(lengths[1]))).toString('utf8') || '{}');
        told.rows.push(...read((await bytes.take(Number(lengths[2]))).toString('utf8')));
        for (const [type, text] of metadata.inspector?.messages ?? []) told.messages.push({ type, text });
        return metadata as { finished?: boolean; generating?: boolean };
    };
    try {
        say({
            action: 'getinfo',
            preview: false,
            streaming_command_will_restart: false,
            searchinfo: {
                args: search.arguments.map((word) => word.replace(/^(\w+)="(.*)"$/s, (_, name, value) => `${name}=${value.replace(/\\(.)/g, '$1')}`)),
                raw_args: search.arguments,
                dispatch_dir: `${search.home}/var/run/splunk/dispatch/${search.sid}`,
                sid: search.sid,
                app: 'defender_bridge',
                owner: search.user,
                username: search.user,
                session_key: search.key,
                splunkd_uri: search.uri,
                splunk_version: '10.6.0.5',
                search: '',
                command: search.command,
                maxresultrows: 50000,
                earliest_time: '0',
                latest_time: '0',
            },
        });
        let answer = await hear();
        while (answer.finished !== true) {
            const more = rows ?? [];
            say({ action: 'execute', finished: rows !== undefined }, rows === undefined ? '' : written(more));
            answer = await hear();
        }
        return told;
    } catch (error) {
        if (signal?.aborted) return told;
        throw error;
    } finally {
        signal?.removeEventListener('abort', hangUp);
        child.stdin.end();
        await new Promise((resolve) => (child.exitCode === null && child.signalCode === null ? child.on('close', resolve) : resolve(undefined)));
    }
}

function cell(text: string): string {
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function written(rows: Row[]): string {
    const fields = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const lines = [fields.flatMap((field) => [cell(field), cell(`__mv_${field}`)]).join(',')];
    for (const row of rows) {
        const cells = fields.flatMap((field) => {
            const value = row[field];
            if (!Array.isArray(value)) return [cell(value ?? ''), ''];
            return [cell(value.join('\n')), cell(value.map((one) => `$${one.replace(/\$/g, '$$$$')}$`).join(';'))];
        });
        lines.push(cells.join(','));
    }
    return `${lines.join('\r\n')}\r\n`;
}

function read(body: string): Row[] {
    const [header, ...records] = csv(body);
    return records.map((record) => {
        const row: Row = {};
        header!.forEach((field, at) => {
            const value = record[at] ?? '';
            if (field.startsWith('__mv_')) {
                if (value !== '') row[field.slice(5)] = several(value);
            } else if (row[field] === undefined) {
                row[field] = value;
            }
        });
        return row;
    });
}

function several(text: string): string[] {
    return [...text.matchAll(/\$((?:[^$]|\$\$)*)\$(?:;|$)/g)].map((match) => match[1]!.replace(/\$\$/g, '$'));
}

function csv(text: string): string[][] {
    const records: string[][] = [];
    let record: string[] = [];
    let value = '';
    let quoted = false;
    for (let at = 0; at < text.length; at += 1) {
        const c = text[at]!;
        if (quoted) {
            if (c !== '"') value += c;
            else if (text[at + 1] === '"') value += text[++at];
            else quoted = false;
        } else if (c === '"') quoted = true;
        else if (c === ',') {
            record.push(value);
            value = '';
        } else if (c === '\n') {
            record.push(value);
            records.push(record);
            record = [];
            value = '';
        } else if (c !== '\r') value += c;
    }
    return records;
}
