// Stanzas of the app's own conf files.

import { APP } from './web';
import { call, segment, settings } from './client';
import { SplunkFailure } from './failure';

export type Settings = Record<string, string>;

export interface Stanza {
    name: string;
    settings: Settings;
}

function path(conf: string, stanza?: string): string {
    const file = `servicesNS/nobody/${APP}/configs/conf-${segment(conf)}`;
    return stanza === undefined ? file : `${file}/${segment(stanza)}`;
}

export async function list(conf: string, signal?: AbortSignal): Promise<Stanza[]> {
    try {
        const answer = await call('GET', path(conf), { query: { count: -1 }, signal });
        return (answer.entry ?? []).map((entry) => ({ name: entry.name, settings: settings(entry) }));
    } catch (error) {
        // A conf file without a stanza does not exist to splunkd.
        if (error instanceof SplunkFailure && error.kind === 'missing') return [];
        throw error;
    }
}

export async function create(conf: string, name: string, values: Settings): Promise<void> {
    await call('POST', path(conf), { form: { ...values, name } });
}

/** An empty value empties the setting; one that is not given stays. */
export async function edit(conf: string, name: string, values: Settings): Promise<void> {
    await call('POST', path(conf, name), { form: values });
}

export async function remove(conf: string, name: string): Promise<void> {
    await call('DELETE', path(conf, name));
}
