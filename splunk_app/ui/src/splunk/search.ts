// Runs a search and brings its rows. Jobs, not oneshot: a search that waits in Splunk's queue or takes long
// holds up no request, can be watched and can be cancelled.

import { APP, config } from './web';
import { call, segment, truth, type Answer, type Call } from './client';
import { SplunkFailure, type Said } from './failure';
import { strings } from '../strings';

export type ResultRow = Record<string, string | string[]>;

export interface Found {
    sid: string;
    rows: ResultRow[];
    /** What the search said beside its rows: warnings, information. */
    messages: Said[];
}

export type State = 'queued' | 'running' | 'done';

export interface SearchOptions {
    earliest?: string;
    latest?: string;
    signal?: AbortSignal;
    /** Splunk has taken the search: from now on it may write, whether or not its answer arrives. */
    onBegun?: () => void;
    onState?: (state: State) => void;
}

/** A search that came to nothing, in its own words. */
export class SearchFailure extends Error {
    override readonly name = 'SearchFailure';
}

/** Pauses between two looks at a job: none at first, then ever longer ones. */
const FIRST_PAUSE = 150;
const LONGEST_PAUSE = 2_000;
/** How often in a row it may go unanswered: a proxy that restarts must not cut off what is being written. */
const MOST_UNANSWERED = 5;
/** Seconds splunkd keeps the job after it was last asked for. */
const KEPT = '120';

export async function run(search: string, options: SearchOptions = {}): Promise<Found> {
    const sid = await begin(search, options);
    options.onBegun?.();
    try {
        const messages = await ended(sid, options);
        const answer = await patiently(`${jobs()}/${segment(sid)}/results`, { query: { count: 0 }, signal: options.signal });
        const rows = Array.isArray(answer.results) ? (answer.results as ResultRow[]) : [];
        return { sid, rows, messages };
    } catch (error) {
        // Also when nobody waits any more: it would go on running for nothing.
        if (!(error instanceof SearchFailure)) void cancel(sid);
        throw error instanceof SplunkFailure && error.kind === 'missing' ? new Error(strings.failure.searchGone) : error;
    }
}

async function begin(search: string, options: SearchOptions): Promise<string> {
    const answer = await call('POST', jobs(), {
        form: {
            search: /^\s*(\||search\s)/.test(search) ? search : `search ${search}`,
            exec_mode: 'normal',
            earliest_time: options.earliest ?? '-1m',
            latest_time: options.latest ?? 'now',
            timeout: KEPT,
        },
        signal: options.signal,
    });
    if (typeof answer.sid !== 'string') throw new SplunkFailure('broken', '', 200);
    return answer.sid;
}

async function ended(sid: string, options: SearchOptions): Promise<Said[]> {
    let pause = FIRST_PAUSE;
    for (;;) {
        const answer = await patiently(`${jobs()}/${segment(sid)}`, { signal: options.signal });
        const content = answer.entry?.[0]?.content ?? {};
        const messages = said(content.messages);
        if (truth(content.isFailed) || content.dispatchState === 'FAILED') {
            throw new SearchFailure(worst(messages) ?? strings.failure.search);
        }
        if (truth(content.isDone)) {
            options.onState?.('done');
            const fatal = messages.find((message) => /^fatal$/i.test(message.type));
            if (fatal !== undefined) throw new SearchFailure(fatal.text);
            return messages;
        }
        options.onState?.(content.dispatchState === 'QUEUED' ? 'queued' : 'running');
        await rest(pause, options.signal);
        pause = Math.min(pause * 1.6, LONGEST_PAUSE);
    }
}

/** A look changes nothing, so it is repeated where Splunk does not answer. */
async function patiently(path: string, options: Call): Promise<Answer> {
    for (let unanswered = 1; ; unanswered += 1) {
        try {
            return await call('GET', path, options);
        } catch (error) {
            const passes = error instanceof SplunkFailure && (error.kind === 'network' || error.kind === 'broken');
            if (!passes || unanswered === MOST_UNANSWERED) throw error;
        }
        await rest(LONGEST_PAUSE, options.signal);
    }
}

export async function cancel(sid: string): Promise<void> {
    try {
        await call('POST', `${jobs()}/${segment(sid)}/control`, { form: { action: 'cancel' } });
    } catch {
        // It ends by itself.
    }
}

/** In the app, for its macros and commands; as the user, whose job it is. */
function jobs(): string {
    return `servicesNS/${segment(config().USERNAME ?? 'nobody')}/${APP}/search/jobs`;
}

function said(messages: unknown): Said[] {
    if (!Array.isArray(messages)) return [];
    return messages.filter((message): message is Said => typeof message?.text === 'string');
}

function worst(messages: Said[]): string | undefined {
    for (const level of [/^fatal$/i, /^error$/i, /^warn/i]) {
        const texts = messages.filter((message) => level.test(message.type)).map((message) => message.text);
        if (texts.length > 0) return [...new Set(texts)].join(' ');
    }
    return undefined;
}

function rest(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, milliseconds);
        signal?.addEventListener(
            'abort',
            () => {
                clearTimeout(timer);
                reject(signal.reason);
            },
            { once: true },
        );
    });
}

/** The one value of a field that may have several, or none. */
export function one(row: ResultRow, field: string): string {
    const value = row[field];
    return Array.isArray(value) ? (value[0] ?? '') : (value ?? '');
}

/** All values of a field. */
export function all(row: ResultRow, field: string): string[] {
    const value = row[field];
    if (Array.isArray(value)) return value;
    return value === undefined || value === '' ? [] : [value];
}
