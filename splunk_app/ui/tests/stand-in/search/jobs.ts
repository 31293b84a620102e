// Search jobs: begun, watched, cancelled, their rows fetched, as splunkd has it.

import type { Stanza } from '../conf';
import type { Event } from '../modular_input';
import type { User } from '../users';
import { ask, type Row } from '../search_command';
import { COMMANDS } from './commands';
import { fieldsOf, type Fields } from './fields';
import { SplError, expand, split, words } from './pipeline';
import { instant } from './time';

export interface Job {
    sid: string;
    search: string;
    owner: string;
    state: 'QUEUED' | 'RUNNING' | 'DONE' | 'FAILED';
    messages: { type: string; text: string }[];
    rows: Row[];
    fields: string[];
    stop: AbortController;
    ended: Promise<void>;
}

export interface House {
    home: string;
    uri(): string;
    events: Event[];
    /** Seconds since 1970. */
    now(): number;
    conf(name: string): Map<string, Stanza>;
}

export class Jobs {
    readonly all = new Map<string, Job>();
    private count = 0;

    constructor(private readonly house: House) {}

    begin(user: User, search: string, earliest: string, latest: string): Job {
        this.count += 1;
        const job: Job = {
            sid: `${Math.floor(this.house.now())}.${this.count}`,
            search,
            owner: user.name,
            state: 'QUEUED',
            messages: [],
            rows: [],
            fields: [],
            stop: new AbortController(),
            ended: Promise.resolve(),
        };
        this.all.set(job.sid, job);
        job.ended = this.run(job, user, earliest, latest).then(
            () => {
                job.state = job.messages.some(({ type }) => type === 'FATAL') ? 'FAILED' : 'DONE';
            },
            (error: unknown) => {
                job.state = 'FAILED';
                job.messages.push({ type: 'FATAL', text: error instanceof SplError ? error.message : `${String(error)}` });
            },
        );
        return job;
    }

    private async run(job: Job, user: User, earliest: string, latest: string): Promise<void> {
        const commands = split(expand(job.search, this.house.conf('macros')));
        job.state = 'RUNNING';
        const now = this.house.now();
        const kinds = { eventtype: (name: string) => this.house.conf('eventtypes').get(name)?.get('search') };
        let rows: Fields[] | undefined;
        let order: string[] = [];
        for (const text of commands) {
            const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
            const own = this.house.conf('commands').get(name);
            if (own !== undefined) {
                const words_ = [...own].filter(([key]) => key.startsWith('command.arg.')).map(([, value]) => value);
                const told = await ask(
                    { home: this.house.home, uri: this.house.uri(), key: user.key, user: user.name, words: words_, command: name, arguments: words(rest), sid: job.sid },
                    rows?.map(asRow),
                    job.stop.signal,
                );
                job.messages.push(...told.messages);
                rows = told.rows.map((row) => new Map(Object.entries(row).map(([key, one]) => [key, Array.isArray(one) ? one : [one]])));
                order = told.rows[0] === undefined ? order : Object.keys(told.rows[0]);
                if (told.messages.some(({ type }) => type === 'ERROR' || type === 'FATAL') && rows.length === 0) {
                    throw new SplError(told.messages.map(({ text }) => text).join(' '));
                }
                continue;
            }
            if (rows === undefined && name === 'search') {
                rows = this.events(now, earliest, latest);
            } else if (rows === undefined && name !== 'makeresults') {
                throw new SplError(`The stand-in begins no search with '${name}'.`);
            }
            const command = COMMANDS[name];
            if (command === undefined) throw new SplError(`Unknown search command '${name}'.`);
            const warn = (text_: string) => job.messages.push({ type: 'WARN', text: text_ });
            rows = command(rest, rows ?? [], { now, kinds, warn });
            if (name === 'table') order = rest.split(/[\s,]+/).filter((field) => field !== '');
        }
        job.rows = (rows ?? []).map(asRow);
        const found = new Set(job.rows.flatMap((row) => Object.keys(row)));
        job.fields = [...order.filter((field) => found.has(field)), ...[...found].filter((field) => !order.includes(field))];
    }

    /** Newest first, as Splunk finds them. */
    private events(now: number, earliest: string, latest: string): Fields[] {
        const [from, to] = [instant(earliest === '' ? '0' : earliest, now), instant(latest, now)];
        const [props, transforms] = [this.house.conf('props'), this.house.conf('transforms')];
        return this.house.events
            .filter((event) => event.time >= from && event.time <= to)
            .sort((a, b) => b.time - a.time)
            .map((event) => fieldsOf(event, props, transforms));
    }
}

function asRow(fields: Fields): Row {
    return Object.fromEntries([...fields].map(([key, values]) => [key, values.length === 1 ? values[0]! : values]));
}

