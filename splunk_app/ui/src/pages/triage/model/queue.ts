// The queue: the newest state of each alert or incident that the index holds.
import { compareInstants } from '../../../time';
import { distinct } from './json';
import { itemOf, type Event, type Item } from './item';
import { severityRank, type Subject } from './vocabulary';

/** Nobody reads more objects, and a browser would be slow with them. */
export const MOST = 1000;

/**
 * Every revision of an object is an event; the newest comes first and wins.
 * The page reads Microsoft's JSON itself, because Splunk's own extraction
 * stops early in long events.
 */
export const QUEUE_SEARCH: Record<Subject, string> = {
    alert: `\`defender_bridge_index\` \`defender_bridge_alerts\` | \`defender_bridge_newest_alerts\` | head ${MOST} | fields _time, _raw, source, index`,
    incident: `\`defender_bridge_index\` \`defender_bridge_incidents\` | \`defender_bridge_newest_incidents\` | head ${MOST} | fields _time, _raw, source, index`,
};

/**
 * Every revision of one object, by an id of letters, digits and signs that end no quotes. A calculated field alone
 * would have Splunk read every event; where JSON can print the id in one way only, it stands beside it as a word.
 */
export function revisionsOf(subject: Subject, id: string): string {
    const [macro, field] =
        subject === 'alert' ? ['defender_bridge_alerts', 'alert_id'] : ['defender_bridge_incidents', 'incident_id'];
    const said = id.replace(/["\\]/gu, '');
    const word = /^[A-Za-z0-9_.-]+$/u.test(said) ? ` "${said}"` : '';
    return `\`defender_bridge_index\` \`${macro}\`${word} ${field}="${said}"`;
}

/** Newest state per object, whatever order the events come in. */
export function newest(events: readonly Event[], subject: Subject): Item[] {
    const items = new Map<string, Item>();
    for (const event of events) {
        const item = itemOf(event, subject);
        if (item === null) continue;
        const known = items.get(item.key);
        if (known === undefined || compareInstants(item.updated, known.updated) > 0) {
            items.set(item.key, item);
        }
    }
    return [...items.values()];
}

export interface QueueFilter {
    status: 'open' | 'all' | string;
    severity: string;
    product: string;
    owner: 'any' | 'me' | 'none' | string;
    words: string;
}

export const NO_FILTER: QueueFilter = {
    status: 'all',
    severity: '',
    product: '',
    owner: 'any',
    words: '',
};
export const OPEN_FILTER: QueueFilter = { ...NO_FILTER, status: 'open' };

export function filtered(items: readonly Item[], by: QueueFilter, mine: readonly string[]): Item[] {
    const words = by.words.toLowerCase().split(/\s+/u).filter(Boolean);
    return items.filter(
        (item) =>
            isStatus(item, by.status) &&
            (by.severity === '' || item.severity === by.severity) &&
            (by.product === '' || item.product === by.product) &&
            isOwner(item, by.owner, mine) &&
            words.every((word) => searchable(item).includes(word)),
    );
}

function isStatus(item: Item, status: string): boolean {
    if (status === 'all') return true;
    const done = item.status === 'resolved' || item.status === 'redirected';
    return status === 'open' ? !done : (item.status ?? 'new') === status;
}

function isOwner(item: Item, owner: string, mine: readonly string[]): boolean {
    if (owner === 'any') return true;
    if (owner === 'none') return item.owner === null;
    const wanted = owner === 'me' ? mine : [owner];
    return wanted.some((name) => name.toLowerCase() === item.owner?.toLowerCase());
}

function searchable(item: Item): string {
    const parts = [
        item.id,
        item.incidentId,
        item.title,
        item.owner,
        item.category,
        item.threat,
        item.actor,
        ...item.devices,
        ...item.users,
        ...item.techniques,
        ...item.tags,
    ];
    return parts.filter(Boolean).join('\n').toLowerCase();
}

export type Column = 'severity' | 'title' | 'status' | 'owner' | 'product' | 'updated' | 'created';
export interface Order {
    by: Column;
    descending: boolean;
}

/** Sorted, equal ones by last update, newest first. */
export function sorted(items: readonly Item[], order: Order): Item[] {
    const sign = order.descending ? -1 : 1;
    return [...items].sort(
        (one, other) =>
            sign * compare(one, other, order.by) ||
            compareInstants(other.updated, one.updated) ||
            one.key.localeCompare(other.key),
    );
}

function compare(one: Item, other: Item, by: Column): number {
    switch (by) {
        case 'severity':
            return severityRank(other.severity) - severityRank(one.severity);
        case 'updated':
        case 'created':
            return compareInstants(one[by], other[by]);
        default:
            return (one[by] ?? '').localeCompare(other[by] ?? '', 'en', { sensitivity: 'base' });
    }
}

/** How many there are of each severity, from worst to least. */
export function countBySeverity(items: readonly Item[]): Map<string, number> {
    const counts = new Map<string, number>();
    for (const item of items) counts.set(item.severity, (counts.get(item.severity) ?? 0) + 1);
    return new Map([...counts].sort(([one], [other]) => severityRank(one) - severityRank(other)));
}

/** The alerts of each incident, by `incidentKey`. */
export function byIncident(alerts: readonly Item[]): Map<string, Item[]> {
    const found = new Map<string, Item[]>();
    for (const alert of alerts) {
        const key = incidentKey(alert);
        const those = found.get(key);
        if (those === undefined) found.set(key, [alert]);
        else those.push(alert);
    }
    return found;
}

export function incidentKey(item: Item): string {
    return `${item.tenant ?? ''}/${item.incidentId ?? ''}`;
}

/** Graph lists incidents without their alerts, so whom they concern is read from the alerts beside them. */
export function withAffected(incident: Item, alerts: readonly Item[]): Item {
    const all = (names: (item: Item) => string[]): string[] => distinct([incident, ...alerts].flatMap(names));
    return {
        ...incident,
        devices: all((item) => item.devices),
        users: all((item) => item.users),
        techniques: all((item) => item.techniques),
    };
}
