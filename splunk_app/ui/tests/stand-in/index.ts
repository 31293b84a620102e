// A Splunk to try the pages against: Splunk Web, splunkd, searches and, if wanted, a Defender tenant, all on
// this machine. What the app's executable does, the executable does here.

import { Splunkd, type Settings } from './splunkd';
import { Tenant } from './tenant';
import type { Event } from './modular_input';
import type { Name } from './users';
import { Web } from './web';

export interface StandInOptions extends Settings {
    user?: Name;
    theme?: 'light' | 'dark';
    /** Arguments of `defender_bridge sandbox`; none: no tenant. */
    tenant?: string[] | true;
    /** An account of that tenant, set up already. */
    account?: string;
    /** What is in the index already. */
    events?: Event[];
    /** Of Splunk Web; a free one where it is not given. */
    port?: number;
}

export interface StandIn {
    splunkd: Splunkd;
    web: Web;
    tenant?: Tenant;
    /** Where a view of the app is. */
    page(view: string, query?: string): string;
    /** An account of the tenant, with its secret. */
    addAccount(name: string, more?: Record<string, string>): void;
    addInput(name: string, settings: Record<string, string>): void;
    close(): Promise<void>;
}

export async function startStandIn(options: StandInOptions = {}): Promise<StandIn> {
    const splunkd = new Splunkd(options);
    await splunkd.listen();
    const tenant = options.tenant === undefined ? undefined : await Tenant.start(splunkd.home, options.tenant === true ? [] : options.tenant);
    const web = new Web(splunkd, splunkd.users.named(options.user ?? 'admin'), options.theme ?? 'light');
    await web.listen(options.port);
    splunkd.events.push(...(options.events ?? []));
    const standIn: StandIn = {
        splunkd,
        web,
        tenant,
        page: (view, query) => web.page(view, query),
        addAccount(name, more = {}) {
            splunkd.confs.set('defender_bridge_account', name, { ...tenant?.account(), ...more });
            if (tenant !== undefined) splunkd.passwords.set(`defender_bridge:${name}:`, tenant.at.client_secret);
        },
        addInput(name, settings) {
            splunkd.confs.set('inputs', `defender_bridge://${name}`, { disabled: '0', ...settings });
        },
        async close() {
            await web.close();
            await tenant?.stop();
            await splunkd.close();
        },
    };
    if (options.account !== undefined) standIn.addAccount(options.account);
    return standIn;
}
