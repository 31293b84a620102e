// An input as it is typed: which fields its feed and API need, what is saved of them, and at which of them the
// executable's refusal belongs.

import type { Input } from '../../splunk/inputs';
import { strings } from '../../strings';

export const FEEDS = ['alerts', 'incidents', 'event_hub', 'storage'] as const;
export const SEVERITIES = ['', 'informational', 'low', 'medium', 'high'] as const;
export const TRANSPORTS = ['amqp', 'websocket'] as const;
/** As Microsoft Graph spells them. */
export const SOURCES = [
    'microsoftDefenderForEndpoint',
    'microsoftDefenderForIdentity',
    'microsoftDefenderForOffice365',
    'microsoftDefenderForCloudApps',
    'microsoftDefenderForCloud',
    'microsoft365Defender',
    'azureAdIdentityProtection',
    'dataLossPrevention',
    'microsoftSentinel',
] as const;

export interface Draft {
    name: string;
    account: string;
    feed: string;
    api: string;
    index: string;
    interval: string;
    start: string;
    overlap: string;
    settle: string;
    checkpoint: string;
    min_severity: string;
    service_sources: string[];
    event_hub_namespace: string;
    event_hub: string;
    consumer_group: string;
    transport: string;
    storage_account: string;
    tables: string;
    checkpoint_container: string;
}

export type Field = keyof Draft;
export type Wrong = Partial<Record<Field, string>>;

/** Whether it follows a stream, and does not poll. */
export function isStream(feed: string): boolean {
    return feed === 'event_hub' || feed === 'storage';
}

/** Where a position of this feed can be kept. */
export function checkpoints(feed: string): string[] {
    if (feed === 'event_hub') return ['local', 'blob'];
    return feed === 'storage' ? ['local'] : ['local', 'kvstore'];
}

/** Which APIs a feed can be read from. */
export function apis(feed: string): string[] {
    if (isStream(feed)) return ['graph'];
    return feed === 'incidents' ? ['graph', 'xdr'] : ['graph', 'mde'];
}

export function filtersSeverity(draft: Draft): boolean {
    return draft.api !== 'xdr' && !isStream(draft.feed);
}

export function filtersSources(draft: Draft): boolean {
    return draft.api === 'graph' && draft.feed === 'alerts';
}

export function draft(of?: Input): Draft {
    const text = (key: string, usual: string) => of?.settings[key]?.trim() || usual;
    return {
        name: of?.name ?? '',
        account: text('account', ''),
        feed: text('feed', 'alerts'),
        api: text('api', 'graph'),
        index: text('index', of === undefined ? 'main' : 'default'),
        interval: text('interval', '60'),
        start: text('start', '-7d'),
        overlap: text('overlap', '15m'),
        settle: text('settle', '60s'),
        checkpoint: text('checkpoint', 'local'),
        min_severity: text('min_severity', ''),
        service_sources: text('service_sources', '')
            .split(',')
            .map((one) => one.trim())
            .filter((one) => one !== ''),
        event_hub_namespace: text('event_hub_namespace', ''),
        event_hub: text('event_hub', ''),
        consumer_group: text('consumer_group', '$Default'),
        transport: text('transport', 'amqp'),
        storage_account: text('storage_account', ''),
        tables: text('tables', ''),
        checkpoint_container: text('checkpoint_container', ''),
    };
}

export function cloned(of: Input, taken: string[]): Draft {
    let name = `${of.name}_copy`;
    for (let number = 2; taken.includes(name); number += 1) name = `${of.name}_copy${number}`;
    return { ...draft(of), name };
}

/** What does not go with the feed gives way. */
export function changed(before: Draft, part: Partial<Draft>): Draft {
    const after = { ...before, ...part };
    if (!apis(after.feed).includes(after.api)) after.api = 'graph';
    if (!checkpoints(after.feed).includes(after.checkpoint)) after.checkpoint = 'local';
    if (!isStream(after.feed) && /^(earliest|latest)$/.test(after.start.trim())) after.start = '-7d';
    return after;
}

/** What is saved: every setting of the form, and nothing of what this kind of input cannot have. */
export function settings(draft: Draft): Record<string, string> {
    return {
        account: draft.account,
        feed: draft.feed,
        api: draft.api,
        index: draft.index.trim(),
        interval: draft.interval.trim(),
        start: draft.start.trim(),
        overlap: draft.overlap.trim(),
        settle: draft.settle.trim(),
        checkpoint: draft.checkpoint,
        min_severity: filtersSeverity(draft) ? draft.min_severity : '',
        service_sources: filtersSources(draft) ? draft.service_sources.join(',') : '',
        ...streamed(draft),
    };
}

/** A stream as the connection test takes it; Event Hubs' own group is what it takes anyway. */
export function tested(draft: Draft): Record<string, string> {
    const { consumer_group = '', tables = '', ...rest } = streamed(draft);
    return {
        ...rest,
        consumer_group: consumer_group === '$Default' ? '' : consumer_group,
        tables: tables.replaceAll(/\s/g, ''),
        feed: draft.feed,
        checkpoint: draft.checkpoint,
    };
}

/** Of a feed that has none of these they are empty. */
function streamed(draft: Draft): Record<string, string> {
    const hub = (text: string) => (draft.feed === 'event_hub' ? text.trim() : '');
    return {
        event_hub_namespace: hub(draft.event_hub_namespace),
        event_hub: hub(draft.event_hub),
        consumer_group: hub(draft.consumer_group),
        transport: hub(draft.transport),
        storage_account: draft.feed === 'storage' ? draft.storage_account.trim() : '',
        tables: isStream(draft.feed) ? draft.tables.trim() : '',
        checkpoint_container: draft.checkpoint === 'blob' ? hub(draft.checkpoint_container) : '',
    };
}

/** What can be said before the executable is asked. */
export function wrong(draft: Draft, isNew: boolean, taken: string[]): Wrong {
    const words = strings.inputs.wrong;
    const found: Wrong = {};
    if (isNew) {
        const name = draft.name.trim();
        if (name === '') found.name = words.name;
        else if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) found.name = words.nameForm;
        else if (taken.includes(name)) found.name = words.nameTaken;
    }
    if (draft.account === '') found.account = words.account;
    if (draft.index.trim() === '') found.index = words.index;
    if (!isInterval(draft.interval)) found.interval = words.interval;
    if (draft.checkpoint === 'blob' && !draft.checkpoint_container.trim().startsWith('https://')) found.checkpoint_container = words.container;
    return found;
}

/** Seconds, or a cron schedule of five fields. */
function isInterval(text: string): boolean {
    return /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) > 0 : /^\S+(\s+\S+){4}$/.test(text.trim());
}

/** Milliseconds between runs; undefined for a cron schedule. */
export function pause(interval: string): number | undefined {
    return /^\d+(\.\d+)?$/.test(interval.trim()) ? Number(interval) * 1000 : undefined;
}

/** Where the executable's refusal belongs: it begins with the parameter's name, or speaks of the account. */
export function refusedAt(said: string): Field | undefined {
    const named =
        /^(account|feed|api|start|overlap|settle|checkpoint_container|checkpoint|min_severity|service_sources|event_hub_namespace|event_hub|consumer_group|transport|storage_account|tables)\b(?=:| "| )/.exec(said.trim())?.[1] as Field | undefined;
    if (named !== undefined) return named;
    if (/\bindex\b/i.test(said) && /not exist|invalid|disabled/i.test(said)) return 'index';
    if (/\binterval\b/i.test(said)) return 'interval';
    return undefined;
}
