// Which account a verdict goes out through. Events carry the tenant, not the
// account, so the account is found by tenant: among the configured ones, or,
// where a role may not read those or they name a domain, among what the inputs
// say about themselves.
import { distinct, parsed, text } from './json';

export interface Account {
    name: string;
    tenant: string | null;
    cloud: string;
    readOnly: boolean;
}

/** What a health event says about its input. */
export interface Health {
    account: string;
    tenant: string;
}

export class Accounts {
    constructor(
        readonly configured: readonly Account[],
        private readonly health: readonly Health[],
    ) {}

    /** The accounts that fit a tenant. One is taken; of several the user chooses. */
    of(tenant: string | null): string[] {
        if (tenant === null) return this.names();
        const same = (other: string | null): boolean => other !== null && other.toLowerCase() === tenant.toLowerCase();
        const found = distinct([
            ...this.configured.filter((one) => same(one.tenant)).map((one) => one.name),
            ...this.health.filter((one) => same(one.tenant)).map((one) => one.account),
        ]).filter((name) => this.exists(name));
        return found.length > 0 ? found : this.names();
    }

    named(name: string): Account | null {
        return this.configured.find((one) => one.name === name) ?? null;
    }

    names(): string[] {
        const configured = this.configured.map((one) => one.name);
        return configured.length > 0 ? configured : distinct(this.health.map((one) => one.account));
    }

    /** Health events outlive an account. Where the role cannot read the accounts, health events decide. */
    private exists(name: string): boolean {
        return this.configured.length === 0 || this.named(name) !== null;
    }
}

/** The newest health event of each input; failed runs name account and tenant too. */
export const HEALTH_SEARCH =
    '`defender_bridge_index` `defender_bridge_health` | dedup account, tenant | head 200 | fields _time, _raw';

export function healthOf(raw: string): Health | null {
    const json = parsed(raw);
    const [account, tenant] = [text(json, 'account'), text(json, 'tenant')];
    return account !== null && tenant !== null ? { account, tenant } : null;
}
