// What a link into the page asks for. A workflow action or a drill-down names
// an alert or incident, or which of the open ones to show, with or without
// Splunk's `form.` in front; it may open and pre-fill, never carry out.

import { OPEN_ONES, type Narrowing } from './queue';
import { SEVERITIES, type Subject } from './vocabulary';

export interface Asked {
    subject: Subject;
    id: string | null;
    narrowing: Narrowing;
}

const ID = /^[A-Za-z0-9\-_.:~=+@|]{1,128}$/u;

export function asked(query: string): Asked {
    const given = new URLSearchParams(query);
    const named = (name: string): string | null => {
        const value = (given.get(`form.${name}`) ?? given.get(name))?.trim() ?? '';
        return ID.test(value) ? value : null;
    };
    const alert = named('alert_id');
    if (alert !== null) return { subject: 'alert', id: alert, narrowing: OPEN_ONES };
    const incident = named('incident_id');
    if (incident !== null) return { subject: 'incident', id: incident, narrowing: OPEN_ONES };
    const said = (name: string): string => (given.get(`form.${name}`) ?? given.get(name) ?? '').trim().toLowerCase();
    const severity = SEVERITIES.find((word) => word === said('severity')) ?? '';
    const owner = OWNERS.get(said('owner')) ?? OPEN_ONES.owner;
    const subject = said('subject') === 'incident' ? 'incident' : 'alert';
    return { subject, id: null, narrowing: { ...OPEN_ONES, severity, owner } };
}

/** As the overview says it. */
const OWNERS = new Map<string, Narrowing['owner']>([['nobody', 'none'], ['me', 'me']]);

/** The same query with this object named in it, or what is shown, to be sent to a colleague. */
export function naming(query: string, subject: Subject, id: string | null, narrowing: Narrowing = OPEN_ONES): string {
    const given = new URLSearchParams(query);
    for (const name of ['alert_id', 'incident_id', 'subject', 'severity', 'owner']) {
        given.delete(name);
        given.delete(`form.${name}`);
    }
    if (id !== null) given.set(`form.${subject}_id`, id);
    else {
        if (subject === 'incident') given.set('form.subject', subject);
        if (narrowing.severity !== '') given.set('form.severity', narrowing.severity);
        const owner = [...OWNERS].find(([, owner]) => owner === narrowing.owner)?.[0];
        if (owner !== undefined) given.set('form.owner', owner);
    }
    const text = given.toString();
    return text === '' ? '' : `?${text}`;
}
