// One call to splunkd through Splunk Web's proxy. Secrets travel only in bodies, never in a URL.

import { SplunkFailure, kindOf, said } from './failure';
import { formKey, splunkd } from './web';

export interface Entry {
    name: string;
    id?: string;
    acl?: { can_write?: boolean; app?: string; owner?: string };
    content: Record<string, unknown>;
}

export interface Answer {
    entry?: Entry[];
    messages?: { type: string; text: string }[];
    [key: string]: unknown;
}

export interface Call {
    query?: Record<string, string | number | undefined>;
    form?: Record<string, string | undefined>;
    json?: unknown;
    signal?: AbortSignal;
}

/** One name as a part of a path: splunkd takes `/` and `:` inside a name only encoded. */
export function segment(name: string): string {
    return encodeURIComponent(name).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

export async function call(method: 'GET' | 'POST' | 'DELETE', path: string, request: Call = {}): Promise<Answer> {
    const query = new URLSearchParams({ output_mode: 'json' });
    for (const [key, value] of Object.entries(request.query ?? {})) {
        if (value !== undefined) query.set(key, String(value));
    }
    const headers: Record<string, string> = { 'X-Requested-With': 'XMLHttpRequest' };
    const key = formKey();
    if (method !== 'GET' && key !== undefined) headers['X-Splunk-Form-Key'] = key;
    let body: string | undefined;
    if (request.json !== undefined) {
        headers['Content-Type'] = 'application/json';
        body = JSON.stringify(request.json);
    } else if (request.form !== undefined) {
        headers['Content-Type'] = 'application/x-www-form-urlencoded; charset=UTF-8';
        body = encoded(request.form);
    }

    let response: Response;
    let text: string;
    try {
        response = await fetch(`${splunkd()}/${path}?${query}`, {
            method,
            headers,
            body,
            credentials: 'include',
            signal: request.signal,
        });
        text = await response.text();
    } catch (error) {
        if (request.signal?.aborted) throw error;
        throw new SplunkFailure('network', '', 0);
    }
    if (!response.ok) {
        const words = said(text);
        throw new SplunkFailure(kindOf(response.status, words), words, response.status);
    }
    if (text.trim() === '') return {};
    try {
        return JSON.parse(text) as Answer;
    } catch {
        // Splunk Web shows its sign-in page with 200 where the session is over.
        const kind = /<html/i.test(text) ? 'session' : 'broken';
        throw new SplunkFailure(kind, '', response.status);
    }
}

function encoded(form: Record<string, string | undefined>): string {
    const body = new URLSearchParams();
    for (const [key, value] of Object.entries(form)) {
        if (value !== undefined) body.set(key, value);
    }
    return body.toString();
}

/** The settings of an entry, as a conf file spells them, without what splunkd adds. */
export function settings(entry: Entry): Record<string, string> {
    const found: Record<string, string> = {};
    for (const [key, value] of Object.entries(entry.content)) {
        if (key.startsWith('eai:')) continue;
        if (typeof value === 'string') found[key] = value;
        else if (typeof value === 'boolean') found[key] = value ? '1' : '0';
        else if (typeof value === 'number') found[key] = String(value);
    }
    return found;
}

/** splunkd's spellings of true. */
export function truth(value: unknown): boolean {
    return value === true || value === 1 || /^(1|true|t|yes|y|on)$/i.test(String(value ?? ''));
}
