// The proxy's settings and its password: checked as the executable reads them, saved in two stores.

import * as conf from '../../splunk/conf';
import { errorMessage } from '../../splunk/failure';
import * as passwords from '../../splunk/passwords';
import { strings } from '../../strings';

const words = strings.settings;

export interface ProxyDraft {
    url: string;
    username: string;
    no_proxy: string;
    password: string;
}

export function wrongProxy(draft: ProxyDraft): Partial<Record<keyof ProxyDraft, string>> {
    const found: Partial<Record<keyof ProxyDraft, string>> = {};
    if (draft.url.trim() !== '' && !isProxy(draft.url.trim())) found.url = words.proxy.wrongUrl;
    if (draft.password !== '' && draft.username.trim() === '') found.username = words.proxy.passwordWithoutUser;
    return found;
}

function isProxy(text: string): boolean {
    try {
        const url = new URL(text.includes('://') ? text : `http://${text}`);
        return /^https?:$/.test(url.protocol) && url.hostname !== '' && url.username === '' && url.password === '';
    } catch {
        return false;
    }
}

export function wrongLimit(text: string): string | undefined {
    return /^(|[1-9][0-9]{0,5})$/.test(text.trim()) ? undefined : words.limits.wrong;
}

/** As Splunk names indexes. */
export function wrongIndex(text: string): string | undefined {
    return /^(|[a-z0-9][a-z0-9_-]{0,79})$/.test(text.trim()) ? undefined : words.limits.wrongIndex;
}

/** The settings are saved, the password is not. */
export class HalfSaved extends Error {
    override readonly name = 'HalfSaved';
}

/** `before`: the user name as saved. An empty password keeps what is stored; no user name needs none. */
export async function saveProxy(draft: ProxyDraft, before: string): Promise<void> {
    const username = draft.username.trim();
    await conf.edit('defender_bridge_settings', 'proxy', { url: draft.url.trim(), username, no_proxy: draft.no_proxy.trim() });
    try {
        if (draft.password !== '') await passwords.put('proxy', draft.password);
        else if (username === '' && before !== '') await passwords.forget('proxy');
    } catch (error) {
        throw new HalfSaved(errorMessage(error));
    }
}
