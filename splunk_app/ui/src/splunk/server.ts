// Which Splunk this is, and whether it is the one inputs should run on.

import { call, truth } from './client';

type Place =
    /** One Splunk for everything. */
    | 'standalone'
    | 'forwarder'
    | 'search_head'
    | 'search_head_cluster'
    | 'cloud';

export interface Server {
    name: string;
    version: string;
    roles: string[];
    place: Place;
}

export async function info(signal?: AbortSignal): Promise<Server> {
    const answer = await call('GET', 'services/server/info', { signal });
    const content = answer.entry?.[0]?.content ?? {};
    const roles = Array.isArray(content.server_roles) ? content.server_roles.map(String) : [];
    return {
        name: String(content.serverName ?? ''),
        version: String(content.version ?? ''),
        roles,
        place: placeOf(roles, String(content.instance_type ?? ''), truth(content.isForwarding)),
    };
}

export function placeOf(roles: string[], instance: string, forwards = false): Place {
    if (instance === 'cloud') return 'cloud';
    if (roles.some((role) => /^shc_(member|captain)$/.test(role))) return 'search_head_cluster';
    // With indexers behind it, or sending everything on, it only searches.
    if (roles.includes('cluster_search_head') || roles.includes('search_head')) return 'search_head';
    if (roles.includes('heavyweight_forwarder') || forwards) return 'forwarder';
    return 'standalone';
}

/** Indexes events can be sent to; empty where this user may not list them. */
export async function indexes(signal?: AbortSignal): Promise<string[]> {
    const answer = await call('GET', 'services/data/indexes', {
        query: { count: -1, search: 'isInternal=0', datatype: 'event' },
        signal,
    });
    return (answer.entry ?? []).map((entry) => entry.name).sort((a, b) => a.localeCompare(b));
}
