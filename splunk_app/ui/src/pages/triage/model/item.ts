// An alert or incident as the page knows it, read from Microsoft's JSON as it
// stands in the event. Graph, Defender for Endpoint and Defender XDR print the
// same things under different names; here they have one.
import { devicesOf, evidenceOf, usersOf, type Evidence } from './evidence';
import { compareInstants } from '../../../time';
import { distinct, object, objects, parsed, text, texts, type JsonObject } from './json';
import { spelled, type Subject } from './vocabulary';

/** The API an object came through; its verdict goes back the same way. */
type Api = 'graph' | 'mde' | 'xdr';

export interface Comment {
    text: string;
    by: string | null;
    at: string | null;
}

export interface Item {
    subject: Subject;
    /** Ids are unique within a tenant only. */
    key: string;
    id: string;
    incidentId: string | null;
    title: string;
    description: string | null;
    recommended: string | null;
    severity: string;
    status: string | null;
    classification: string | null;
    determination: string | null;
    owner: string | null;
    /** Status, classification, determination and owner as the event prints them, by which a conflict is noticed. */
    snapshot: { status: string; classification: string; determination: string; assignedTo: string };
    product: string | null;
    category: string | null;
    threat: string | null;
    actor: string | null;
    created: string | null;
    updated: string;
    firstActivity: string | null;
    lastActivity: string | null;
    devices: string[];
    users: string[];
    techniques: string[];
    evidence: Evidence[];
    comments: Comment[];
    tags: string[];
    tenant: string | null;
    portal: string | null;
    /** The incident this one was merged into. */
    mergedInto: string | null;
    api: Api;
    index: string | null;
    raw: string;
}

/** A result of the queue's search. */
export interface Event {
    raw: string;
    source: string;
    index: string | null;
}

/** `null` where the event is no alert or incident. */
export function itemOf(event: Event, subject: Subject): Item | null {
    const json = parsed(event.raw);
    if (json === null) return null;
    const id = idOf(json, subject);
    const updated = text(json, 'lastUpdateDateTime', 'lastUpdateTime', 'lastUpdatedTime');
    if (id === null || updated === null) return null;
    const tenant = tenantOfSource(event.source) ?? text(json, 'tenantId', 'aadTenantId');
    const nested = objects(json.alerts);
    const evidence = [json, ...nested].flatMap(evidenceOf);
    const related = object(json.relatedUser ?? null);
    return {
        subject,
        key: `${tenant ?? ''}/${id}`,
        id,
        incidentId: subject === 'incident' ? id : text(json, 'incidentId'),
        title: text(json, 'title', 'displayName', 'incidentName') ?? id,
        description: text(json, 'description', 'summary'),
        recommended: text(json, 'recommendedActions', 'recommendedAction'),
        severity: (spelled(text(json, 'severity')) ?? 'unknown').toLowerCase(),
        status: spelled(text(json, 'status')),
        classification: spelled(text(json, 'classification')),
        determination: spelled(text(json, 'determination')),
        owner: spelled(text(json, 'assignedTo')),
        snapshot: {
            status: text(json, 'status') ?? 'null',
            classification: text(json, 'classification') ?? 'null',
            determination: text(json, 'determination') ?? 'null',
            assignedTo: text(json, 'assignedTo') ?? 'null',
        },
        product: productOf(json, nested),
        category: text(json, 'category'),
        threat: text(json, 'threatFamilyName', 'threatDisplayName', 'threatName'),
        actor: text(json, 'actorDisplayName', 'actorName'),
        created: text(json, 'createdDateTime', 'alertCreationTime', 'creationTime', 'createdTime'),
        updated,
        firstActivity: text(json, 'firstActivityDateTime', 'firstEventTime', 'firstActivity'),
        lastActivity: text(json, 'lastActivityDateTime', 'lastEventTime', 'lastActivity'),
        devices: distinct([text(json, 'computerDnsName'), ...devicesOf(evidence)]),
        users: distinct([...usersOf(evidence), ...(evidence.length === 0 ? [text(related, 'userName')] : [])]),
        techniques: distinct([json, ...nested].flatMap((one) => texts(one, 'mitreTechniques'))),
        evidence,
        comments: commentsOf(json),
        tags: distinct([...texts(json, 'customTags'), ...texts(json, 'tags')]),
        tenant,
        portal: text(json, ...(subject === 'alert' ? ['alertWebUrl'] : ['incidentWebUrl', 'incidentUri'])),
        mergedInto: subject === 'incident' ? text(json, 'redirectIncidentId') : null,
        api: apiOf(json, subject),
        index: event.index,
        raw: event.raw,
    };
}

/** `defender_bridge:<feed>:<tenant id>`, as the inputs of this app name it. */
function tenantOfSource(source: string): string | null {
    return /^defender_bridge:[^:]+:(.+)$/u.exec(source)?.[1] ?? null;
}

function idOf(json: JsonObject, subject: Subject): string | null {
    return subject === 'alert'
        ? text(json, 'id', 'alertId')
        : text(json, ...('displayName' in json ? ['id'] : ['incidentId', 'id']));
}

/**
 * Alerts nested in incidents of Defender XDR have no API of their own to be
 * written through, so Graph takes those.
 */
function apiOf(json: JsonObject, subject: Subject): Api {
    if (subject === 'alert') return 'alertCreationTime' in json ? 'mde' : 'graph';
    return 'incidentName' in json ? 'xdr' : 'graph';
}

function productOf(json: JsonObject, nested: JsonObject[]): string | null {
    const said = text(json, 'serviceSource');
    if (said !== null) return said.charAt(0).toLowerCase() + said.slice(1);
    if ('alertCreationTime' in json) return 'microsoftDefenderForEndpoint';
    const named = distinct(nested.map((alert) => text(alert, 'serviceSource')));
    return named.length === 1 ? (named[0] ?? null) : null;
}

function commentsOf(json: JsonObject): Comment[] {
    return objects(json.comments).flatMap((comment) => {
        const said = text(comment, 'comment');
        if (said === null) return [];
        return {
            text: said,
            by: text(comment, 'createdByDisplayName', 'createdBy'),
            at: text(comment, 'createdDateTime', 'createdTime'),
        };
    });
}

/** The same object in the state Defender has just shown, until an event says the same. */
export function withState(item: Item, state: Record<string, string> | undefined): Item {
    if (state === undefined) return item;
    const updated = state.updated ?? item.updated;
    if (compareInstants(updated, item.updated) < 0) return item;
    const owner = state.assigned_to ?? '';
    return {
        ...item,
        updated,
        status: spelled(state.status ?? null),
        classification: spelled(state.classification ?? null),
        determination: spelled(state.determination ?? null),
        owner: spelled(owner),
        snapshot: {
            status: state.status || 'null',
            classification: state.classification || 'null',
            determination: state.determination || 'null',
            assignedTo: owner || 'null',
        },
        tags: state.tags === undefined ? item.tags : distinct(state.tags.split(', ')),
    };
}
