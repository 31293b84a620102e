// The query of the page's address. A workflow action or a drill-down names an alert or incident, or filters, with
// or without Splunk's `form.` in front; an address opens and filters, and never writes. The page keeps its own
// address, so that a reload or a colleague sees the same.

import { OPEN_FILTER, type QueueFilter } from './queue';
import { triage as strings } from '../strings';
import { SEVERITIES, STATUSES, type Subject } from './vocabulary';

export interface PageAddress {
    subject: Subject;
    id: string | null;
    filter: QueueFilter;
    earliest: string;
}

/** The usual time of the last update. */
export const EARLIEST = '-7d';
const ID = /^[A-Za-z0-9\-_.:~=+@|]{1,128}$/u;
const WORDS_MAX = 200;

export function parseAddress(query: string): PageAddress {
    const given = new URLSearchParams(query);
    const said = (name: string): string => (given.get(`form.${name}`) ?? given.get(name) ?? '').trim();
    const known = <T extends string>(words: Iterable<T>, name: string): T | undefined =>
        [...words].find((word) => word.toLowerCase() === said(name).toLowerCase());
    const named = (name: string): string | null => (ID.test(said(name)) ? said(name) : null);
    const [alert, incident] = [named('alert_id'), named('incident_id')];
    const subject = alert === null && (incident !== null || known(['incident'], 'subject')) ? 'incident' : 'alert';
    return {
        subject,
        id: alert ?? incident,
        filter: {
            status: known([...STATUSES[subject], 'all'], 'status') ?? OPEN_FILTER.status,
            severity: known(SEVERITIES, 'severity') ?? '',
            product: known(Object.keys(strings.products), 'product') ?? '',
            owner: OWNERS.get(known(OWNERS.keys(), 'owner') ?? '') ?? OPEN_FILTER.owner,
            words: said('words').slice(0, WORDS_MAX),
        },
        earliest: known(Object.keys(strings.filters.times), 'updated') ?? EARLIEST,
    };
}

/** The owner filter in the words of the dashboard Overview. */
const OWNERS = new Map<string, QueueFilter['owner']>([['nobody', 'none'], ['me', 'me']]);
const OURS = ['alert_id', 'incident_id', 'subject', 'status', 'severity', 'product', 'owner', 'words', 'updated'];

/** The query, with this object and these filters named in it. */
export function formatAddress(query: string, { subject, id, filter, earliest }: PageAddress): string {
    const given = new URLSearchParams(query);
    for (const name of OURS) {
        given.delete(name);
        given.delete(`form.${name}`);
    }
    if (id !== null) given.set(`form.${subject}_id`, id);
    else if (subject === 'incident') given.set('form.subject', subject);
    const owner = [...OWNERS].find(([, means]) => means === filter.owner)?.[0] ?? '';
    const shown = { ...filter, owner, status: filter.status === OPEN_FILTER.status ? '' : filter.status };
    for (const [name, value] of Object.entries(shown)) if (value !== '') given.set(`form.${name}`, value);
    if (earliest !== EARLIEST) given.set('form.updated', earliest);
    const text = given.toString();
    return text === '' ? '' : `?${text}`;
}
