// The fields of an alert or incident, one below the other.
import type { ReactNode } from 'react';
import type { Item } from '../model/item';
import { worded } from '../model/wording';
import { When } from '../../../parts/When';
import { triage as strings } from '../strings';
import { Facts } from './Facts';
import { ObjectLink } from './ObjectLink';

interface Props {
    item: Item;
    /** The incident of an alert, where the page holds it. */
    incident: Item | null;
    account: string | null;
    address: (item: Item) => string;
    onOpen: (item: Item) => void;
    now: number;
}

export function ObjectFacts({ item, incident, account, address, onOpen, now }: Props) {
    const is = strings.drawer.facts;
    const incidentLink = incident !== null && (
        <ObjectLink item={incident} label={`${incident.id} · ${incident.title}`} address={address} onOpen={onOpen} />
    );
    const incidentId = item.subject === 'alert' ? item.incidentId : null;
    const active = item.firstActivity !== null || item.lastActivity !== null;
    const facts: [string, ReactNode][] = [
        [is.incident, incidentLink || incidentId],
        [is.owner, item.owner ?? strings.drawer.nobody],
        [is.determination, item.determination === null ? null : worded('determination', item.determination)],
        [is.devices, item.devices.join('\n')],
        [is.users, item.users.join('\n')],
        [is.product, item.product === null ? null : (strings.products[item.product] ?? item.product)],
        [is.category, item.category],
        [is.threat, item.threat],
        [is.actor, item.actor],
        [is.tags, item.tags.join(', ')],
        [is.created, item.created === null ? null : <When at={item.created} now={now} />],
        [
            is.activity,
            active ? (
                <>
                    <When at={item.firstActivity} now={now} /> – <When at={item.lastActivity} now={now} />
                </>
            ) : null,
        ],
        [is.updated, <When key="updated" at={item.updated} now={now} />],
        [is.account, account],
        [is.tenant, item.tenant],
        [is.index, item.index],
        [is.id, item.id],
        [strings.fields.status ?? '', item.mergedInto === null ? null : strings.drawer.mergedInto(item.mergedInto)],
    ];
    return <Facts facts={facts} />;
}
