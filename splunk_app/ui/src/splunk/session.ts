// Who looks at this page, and what Splunk lets them do.

import { call } from './client';

export interface Session {
    user: string;
    email: string;
    roles: string[];
    capabilities: string[];
    can(capability: string): boolean;
}

/** `edit_storage_passwords` came with 9.1; before it `admin_all_objects` decided. */
const SECRETS = ['edit_storage_passwords', 'admin_all_objects'];

export async function current(signal?: AbortSignal): Promise<Session> {
    const answer = await call('GET', 'services/authentication/current-context', { signal });
    const content = answer.entry?.[0]?.content ?? {};
    const capabilities = list(content.capabilities);
    return {
        user: String(content.username ?? ''),
        email: String(content.email ?? ''),
        roles: list(content.roles),
        capabilities,
        can: (capability) => capabilities.includes(capability),
    };
}

/** May store secrets, and therefore set up accounts. */
export function setsUpAccounts(session: Session): boolean {
    return SECRETS.some((capability) => session.can(capability));
}

/** May create and change inputs. */
export function setsUpInputs(session: Session): boolean {
    return session.can('edit_modinput_defender_bridge') || session.can('admin_all_objects');
}

/** May write verdicts to Defender. */
export function triages(session: Session): boolean {
    return session.can('defender_triage') || session.can('admin_all_objects');
}

function list(value: unknown): string[] {
    return Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)];
}
