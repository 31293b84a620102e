// The app's modular inputs. splunkd has the executable judge what is saved, so a refusal is the executable's.

import { APP } from './web';
import { call, segment, settings, truth } from './client';

export interface Input {
    name: string;
    enabled: boolean;
    /** Where it was created; an input of another app can be looked at, not changed, here. */
    app: string;
    settings: Record<string, string>;
}

function path(name?: string, verb?: string): string {
    const scheme = `servicesNS/nobody/${APP}/data/inputs/${APP}`;
    if (name === undefined) return scheme;
    return verb === undefined ? `${scheme}/${segment(name)}` : `${scheme}/${segment(name)}/${verb}`;
}

export async function list(signal?: AbortSignal): Promise<Input[]> {
    const answer = await call('GET', path(), { query: { count: -1 }, signal });
    return (answer.entry ?? []).map((entry) => ({
        name: entry.name,
        enabled: !truth(entry.content.disabled),
        app: entry.acl?.app ?? APP,
        settings: settings(entry),
    }));
}

export async function create(name: string, values: Record<string, string>): Promise<void> {
    await call('POST', path(), { form: { ...values, name } });
}

export async function edit(name: string, values: Record<string, string>): Promise<void> {
    await call('POST', path(name), { form: values });
}

export async function enable(name: string): Promise<void> {
    await call('POST', path(name, 'enable'), { form: {} });
}

export async function disable(name: string): Promise<void> {
    await call('POST', path(name, 'disable'), { form: {} });
}

export async function remove(name: string): Promise<void> {
    await call('DELETE', path(name));
}
