// What a link into the page asks for. A workflow action or a drill-down names
// an alert or incident, with or without Splunk's `form.` in front; it may open
// and pre-fill, never carry out.
import type { Subject } from './vocabulary';

export interface Asked {
    subject: Subject;
    id: string | null;
}

const ID = /^[A-Za-z0-9\-_.:~=+@|]{1,128}$/u;

export function asked(query: string): Asked {
    const given = new URLSearchParams(query);
    const named = (name: string): string | null => {
        const value = (given.get(`form.${name}`) ?? given.get(name))?.trim() ?? '';
        return ID.test(value) ? value : null;
    };
    const alert = named('alert_id');
    if (alert !== null) return { subject: 'alert', id: alert };
    const incident = named('incident_id');
    if (incident !== null) return { subject: 'incident', id: incident };
    const tab = given.get('form.subject') ?? given.get('subject');
    return { subject: tab === 'incident' ? 'incident' : 'alert', id: null };
}

/** The same query with this object named in it, to be sent to a colleague. */
export function naming(query: string, subject: Subject, id: string | null): string {
    const given = new URLSearchParams(query);
    for (const name of ['alert_id', 'incident_id', 'subject']) {
        given.delete(name);
        given.delete(`form.${name}`);
    }
    if (id !== null) given.set(`form.${subject}_id`, id);
    else if (subject === 'incident') given.set('form.subject', subject);
    const text = given.toString();
    return text === '' ? '' : `?${text}`;
}
