// Every alert and incident that is loaded, each in the newest state anybody has told: the index, a verdict, or
// Defender itself when it was asked.
import { useCallback, useMemo, useState } from 'react';
import type { Accounts } from '../model/account';
import { withState, type Item } from '../model/item';
import type { Outcome } from '../model/outcome';
import { byIncident, withAffected, incidentKey } from '../model/queue';

type State = Record<string, string>;

export interface Objects {
    alerts: readonly Item[];
    incidents: readonly Item[];
    /** The same object as it is known now. */
    current: (item: Item) => Item;
    alertsOf: (incident: Item) => readonly Item[];
    incidentOf: (alert: Item) => Item | null;
    /** Ids are unique within a tenant only: the account tells which one is meant. */
    named: (of: { id: string; account: string }) => Item | undefined;
    learn: (item: Item, state: State) => void;
    learnFrom: (outcomes: readonly Outcome[]) => void;
}

const NONE: readonly Item[] = [];

export function useObjects(loadedAlerts: readonly Item[], loadedIncidents: readonly Item[], accounts: Accounts): Objects {
    const [states, setStates] = useState<ReadonlyMap<string, State>>(new Map());
    const told = useCallback((item: Item): Item => withState(item, states.get(placeOf(item))), [states]);
    const alerts = useMemo(() => loadedAlerts.map(told), [loadedAlerts, told]);
    const ofIncident = useMemo(() => byIncident(alerts), [alerts]);
    const incidents = useMemo(
        () => loadedIncidents.map((item) => withAffected(told(item), ofIncident.get(incidentKey(item)) ?? NONE)),
        [loadedIncidents, told, ofIncident],
    );
    const all = useMemo(() => [...incidents, ...alerts], [alerts, incidents]);
    const alertsOf = useCallback(
        (incident: Item) => (incident.subject === 'incident' ? (ofIncident.get(incidentKey(incident)) ?? NONE) : NONE),
        [ofIncident],
    );
    const named: Objects['named'] = ({ id, account }) =>
        all.find((item) => item.id === id && (account === '' || accounts.of(item.tenant).includes(account)));
    return {
        alerts,
        incidents,
        current: (item) => told(all.find((one) => one.subject === item.subject && one.key === item.key) ?? item),
        alertsOf,
        incidentOf: (alert) =>
            incidents.find((one) => one.id === alert.incidentId && one.tenant === alert.tenant) ?? null,
        named,
        learn: (item, state) => setStates((before) => new Map(before).set(placeOf(item), state)),
        learnFrom: (outcomes) =>
            setStates((before) => {
                const next = new Map(before);
                for (const outcome of outcomes) {
                    const item = named(outcome);
                    if (outcome.after !== null && item !== undefined) next.set(placeOf(item), outcome.after);
                }
                return next;
            }),
    };
}

function placeOf(item: Item): string {
    return `${item.subject} ${item.key}`;
}
