// An account as it is typed: which fields its kind needs, what is wrong with them, what is saved of them.
// The rules are those of the executable, told before it is asked.

import type { Settings } from '../../splunk/conf';
import { truth } from '../../splunk/client';
import { strings } from '../../strings';

export const CONF = 'defender_bridge_account';
/** Days before its end from which a credential is warned about; the executable's own number. */
const WARN_DAYS = 30;

export const AUTHS = ['secret', 'certificate', 'managed_identity', 'workload_identity', 'connection_string'] as const;
export const CLOUDS = ['commercial', 'gcc', 'gcc_high', 'dod', 'custom'] as const;
export const URLS = ['login_url', 'graph_url', 'mde_url', 'xdr_url'] as const;

type Auth = (typeof AUTHS)[number];
export type Cloud = (typeof CLOUDS)[number];

export interface Account {
    name: string;
    tenant_id: string;
    client_id: string;
    auth: Auth;
    cloud: Cloud;
    login_url: string;
    graph_url: string;
    mde_url: string;
    xdr_url: string;
    ca_file: string;
    read_only: boolean;
    secret_expires: string;
    /** When this page stored its credential; empty where it did not. */
    secret_stored: string;
}

/** What is typed: the settings, and secrets that go nowhere but into Splunk's store. */
export interface Draft extends Account {
    secret: string;
    key: string;
    certificate: string;
}

export type Wrong = Partial<Record<keyof Draft, string>>;

export function account(name: string, settings: Settings): Account {
    const text = (key: string) => (settings[key] ?? '').trim();
    return {
        name,
        tenant_id: text('tenant_id'),
        client_id: text('client_id'),
        auth: oneOf(AUTHS, text('auth'), 'secret'),
        cloud: oneOf(CLOUDS, text('cloud'), 'commercial'),
        login_url: text('login_url'),
        graph_url: text('graph_url'),
        mde_url: text('mde_url'),
        xdr_url: text('xdr_url'),
        ca_file: text('ca_file'),
        read_only: truth(text('read_only')),
        secret_expires: text('secret_expires'),
        secret_stored: text('secret_stored'),
    };
}

function oneOf<T extends string>(known: readonly T[], text: string, usual: T): T {
    return known.find((one) => one === text.toLowerCase()) ?? usual;
}

export function draft(of?: Account): Draft {
    return { ...(of ?? account('', {})), secret: '', key: '', certificate: '' };
}

export function cloned(of: Account, taken: string[]): Draft {
    let name = `${of.name}_copy`;
    for (let number = 2; taken.includes(name); number += 1) name = `${of.name}_copy${number}`;
    return { ...draft(of), name, secret_stored: '' };
}

/** Whether Splunk stores something secret for this kind. */
export function needsSecret(auth: Auth): boolean {
    return auth === 'secret' || auth === 'certificate' || auth === 'connection_string';
}

/** Whether somebody signs in, so that a tenant and a client have to be named. */
export function signsIn(auth: Auth): boolean {
    return auth !== 'connection_string';
}

/** The secret that was typed, as the executable reads it; undefined where none was. */
export function secretOf(draft: Draft): string | undefined {
    if (draft.auth === 'secret' || draft.auth === 'connection_string') return draft.secret.trim() || undefined;
    if (draft.auth !== 'certificate') return undefined;
    const parts = [draft.key.trim(), draft.certificate.trim()];
    return parts.every((part) => part === '') ? undefined : `${parts.join('\n')}\n`;
}

/** What is written to the conf file: every key, so that what no longer holds is emptied. */
export function settings(draft: Draft): Settings {
    const custom = draft.cloud === 'custom';
    return {
        tenant_id: draft.tenant_id.trim(),
        client_id: draft.client_id.trim(),
        auth: draft.auth,
        cloud: draft.cloud,
        login_url: custom ? draft.login_url.trim() : '',
        graph_url: custom ? draft.graph_url.trim() : '',
        mde_url: custom ? draft.mde_url.trim() : '',
        xdr_url: custom ? draft.xdr_url.trim() : '',
        ca_file: draft.ca_file.trim(),
        read_only: draft.read_only ? 'true' : 'false',
        secret_expires: needsSecret(draft.auth) ? draft.secret_expires.trim() : '',
    };
}

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** `before`: the account as saved; undefined while it is new. `taken`: names of all accounts. */
export function wrong(draft: Draft, before: Account | undefined, taken: string[]): Wrong {
    const words = strings.accounts.wrong;
    const found: Wrong = {};
    if (before === undefined) {
        const name = draft.name.trim();
        if (name === '') found.name = words.name;
        else if (!/^[A-Za-z0-9_.-]+$/.test(name) || /^\.+$/.test(name)) found.name = words.nameForm;
        else if (name === 'proxy') found.name = words.nameProxy;
        else if (taken.includes(name)) found.name = words.nameTaken;
    }
    const tenant = draft.tenant_id.trim();
    if (tenant === '') {
        if (draft.auth !== 'workload_identity' && signsIn(draft.auth)) found.tenant_id = words.tenant;
    } else if (/^(common|organizations|consumers)$/i.test(tenant)) found.tenant_id = words.tenantNone;
    else if (!/^[A-Za-z0-9.-]*[A-Za-z0-9][A-Za-z0-9.-]*$/.test(tenant)) found.tenant_id = words.tenantForm;
    const client = draft.client_id.trim();
    if (client === '') {
        if (needsSecret(draft.auth) && signsIn(draft.auth)) found.client_id = words.client;
    } else if (!/^[A-Za-z0-9._-]+$/.test(client)) found.client_id = words.clientForm;

    // A credential of another kind does not count.
    const must = before === undefined || before.auth !== draft.auth;
    if (draft.auth === 'secret') {
        const secret = draft.secret.trim();
        if (secret === '' && must) found.secret = words.secret;
        else if (GUID.test(secret)) found.secret = words.secretId;
    }
    if (draft.auth === 'connection_string') {
        const text = draft.secret.trim();
        if (text === '' && must) found.secret = words.connectionString;
        else if (text !== '' && !/(^|;)\s*(Endpoint\s*=\s*sb:\/\/|BlobEndpoint\s*=|AccountName\s*=)/i.test(text)) found.secret = words.connectionStringForm;
        else if (/(^|;)\s*AccountKey\s*=/i.test(text)) found.secret = words.connectionStringKey;
    }
    if (draft.auth === 'certificate') {
        const [key, certificate] = [draft.key.trim(), draft.certificate.trim()];
        if (key !== '' || certificate !== '' || must) {
            if (key === '') found.key = must ? words.key : words.pair;
            else if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(key)) found.key = words.keyLocked;
            else if (!/^-----BEGIN (RSA )?PRIVATE KEY-----[^]+-----END \1?PRIVATE KEY-----/m.test(key)) found.key = words.keyForm;
            if (certificate === '') found.certificate = must ? words.certificate : words.pair;
            else if (!/-----BEGIN CERTIFICATE-----[^]+-----END CERTIFICATE-----/.test(certificate)) found.certificate = words.certificateForm;
        }
    }
    const day = draft.secret_expires.trim();
    if (needsSecret(draft.auth) && day !== '' && dayOf(day) === undefined) found.secret_expires = words.day;
    if (draft.cloud === 'custom') {
        for (const key of URLS) {
            const url = draft[key].trim();
            if (url !== '' && !isBase(url)) found[key] = words.url;
        }
        if (draft.login_url.trim() === '' && signsIn(draft.auth)) found.login_url = words.urlMissing;
    }
    return found;
}

function isBase(text: string): boolean {
    try {
        const url = new URL(text);
        return url.protocol === 'https:' && url.username === '' && url.password === '' && !/[?#]/.test(text);
    } catch {
        return false;
    }
}

/** Its beginning in UTC, in milliseconds. */
function dayOf(text: string): number | undefined {
    if (!/^\d{4}-\d\d-\d\d$/.test(text)) return undefined;
    const time = Date.parse(`${text}T00:00:00Z`);
    return Number.isNaN(time) || !new Date(time).toISOString().startsWith(text) ? undefined : time;
}

/** Whole days until the credential ends, 0 on its last day, negative after it. */
export function daysLeft(of: Account, now: number): number | undefined {
    const day = needsSecret(of.auth) ? dayOf(of.secret_expires) : undefined;
    if (day === undefined) return undefined;
    return Math.round((day - Math.floor(now / 86_400_000) * 86_400_000) / 86_400_000);
}

export function expiresSoon(of: Account, now: number): boolean {
    const days = daysLeft(of, now);
    return days !== undefined && days <= WARN_DAYS;
}
