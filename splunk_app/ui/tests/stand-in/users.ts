// Who can sign in, with the capabilities Splunk's default roles have of those this app asks about.

import { randomUUID } from 'node:crypto';

export interface User {
    name: string;
    roles: string[];
    capabilities: string[];
    key: string;
}

const EVERYBODY = ['run_sendalert', 'run_custom_command', 'list_inputs', 'search', 'rest_properties_get'];

const WHO: Record<string, { roles: string[]; capabilities: string[] }> = {
    /** splunkd itself, for inputs and the REST endpoint. */
    'splunk-system-user': { roles: ['splunk-system-role', 'admin'], capabilities: ['*'] },
    admin: {
        roles: ['admin', 'power', 'user'],
        capabilities: [
            ...EVERYBODY,
            'admin_all_objects',
            'list_storage_passwords',
            'edit_storage_passwords',
            'edit_local_apps',
            'edit_tcp',
            'edit_monitor',
            'defender_triage',
            'defender_hunt',
            'edit_modinput_defender_bridge',
        ],
    },
    /** Decides about alerts; reads no secret and sets nothing up. */
    analyst: { roles: ['soc', 'power', 'user'], capabilities: [...EVERYBODY, 'defender_triage'] },
    reader: { roles: ['user'], capabilities: EVERYBODY },
};

export type Name = 'admin' | 'analyst' | 'reader';

export class Users {
    private readonly all: User[] = Object.entries(WHO).map(([name, who]) => ({ name, ...who, key: randomUUID() }));

    named(name: string): User {
        const user = this.all.find((user) => user.name === name);
        if (user === undefined) throw new Error(`nobody is called ${name}`);
        return user;
    }

    /** Whose session key this is. */
    of(key: string | undefined): User | undefined {
        return this.all.find((user) => user.key === key);
    }
}

export function can(user: User, capability: string): boolean {
    return user.capabilities.includes('*') || user.capabilities.includes(capability);
}
