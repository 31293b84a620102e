// Saving and deleting an account: two stores, settings and secrets, and an honest word on which half was done.

import * as conf from '../../splunk/conf';
import * as passwords from '../../splunk/passwords';
import { CONF, needsSecret, secretOf, settings, type Account, type Draft } from './account';

/** Which of the two halves was saved. */
export type SaveResult =
    | { done: 'all' }
    /** Everything but the note that a credential was stored. */
    | { done: 'all_but_note' }
    | { done: 'nothing'; error: unknown }
    /** The settings are saved, the secret is not. */
    | { done: 'settings'; error: unknown };

/** Settings first, so that no secret is stored that no settings name. */
export async function save(draft: Draft, before: Account | undefined, now: Date): Promise<SaveResult> {
    const name = draft.name.trim();
    try {
        if (before === undefined) await conf.create(CONF, name, settings(draft));
        else await conf.edit(CONF, name, settings(draft));
    } catch (error) {
        return { done: 'nothing', error };
    }
    const secret = secretOf(draft);
    let note: string | undefined;
    try {
        if (secret !== undefined) {
            await passwords.put(name, secret);
            note = now.toISOString().replace(/\.\d+Z$/, 'Z');
        } else if (!needsSecret(draft.auth) && before !== undefined && needsSecret(before.auth)) {
            // Nobody would look for it there any more.
            await passwords.forget(name);
            note = '';
        }
    } catch (error) {
        return { done: 'settings', error };
    }
    if (note !== undefined) {
        try {
            await conf.edit(CONF, name, { secret_stored: note });
        } catch {
            return { done: 'all_but_note' };
        }
    }
    return { done: 'all' };
}

type RemoveResult = { done: 'all' } | { done: 'nothing' | 'secret'; error: unknown };

/** The secret first: settings without one say so, a secret without settings says nothing. */
export async function remove(name: string): Promise<RemoveResult> {
    try {
        await passwords.forget(name);
    } catch (error) {
        return { done: 'nothing', error };
    }
    try {
        await conf.remove(CONF, name);
    } catch (error) {
        return { done: 'secret', error };
    }
    return { done: 'all' };
}
