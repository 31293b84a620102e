// What the page knows beside the queue: who the user is, through which accounts the user may write, and how many objects at once.
import { useEffect, useState } from 'react';
import { list } from '../../splunk/conf';
import { one, run } from '../../splunk/search';
import { current, type Session } from '../../splunk/session';
import { truth } from '../../splunk/client';
import { Accounts, healthOf, HEALTH_SEARCH, type Account } from './model/account';
import { isPrincipal, principals } from './model/verdict';

interface SessionState {
    user: Session | null;
    /** Why the user is not known; nothing may be written then. */
    error: unknown;
    again: () => void;
    accounts: Accounts | null;
    /** The most distinct objects of one call. */
    maxTargets: number;
    /** Names under which the user may own something in Defender. */
    mine: string[];
    remember: (principal: string) => void;
}

const MAX_TARGETS = 1000;

/** Inputs are asked about only once the queue is there: a user may run few searches at once. */
export function useSession(queueIsThere: boolean): SessionState {
    const [user, setUser] = useState<Session | null>(null);
    const [error, setError] = useState<unknown>(null);
    const [round, setRound] = useState(0);
    const [configured, setConfigured] = useState<Account[] | null>(null);
    const [accounts, setAccounts] = useState<Accounts | null>(null);
    const [maxTargets, setMaxTargets] = useState(MAX_TARGETS);
    const [mine, setMine] = useState<string[]>([]);

    useEffect(() => {
        const stop = new AbortController();
        const unless =
            <T>(use: (value: T) => void) =>
            (value: T) => {
                if (!stop.signal.aborted) use(value);
            };
        setError(null);
        void current(stop.signal).then(
            unless((found) => {
                setUser(found);
                setMine(principals([window.localStorage.getItem(REMEMBERED), found.email, found.user]));
            }),
            unless(setError),
        );
        void configuredAccounts(stop.signal).then(
            unless(setConfigured),
            unless(() => setConfigured([])),
        );
        void limit(stop.signal).then(unless(setMaxTargets), () => undefined);
        return () => stop.abort();
    }, [round]);

    useEffect(() => {
        if (configured === null || !queueIsThere) return undefined;
        const stop = new AbortController();
        const known = (health: ReturnType<typeof healthOf>[]) => {
            if (stop.signal.aborted) return;
            setAccounts(
                new Accounts(
                    configured,
                    health.flatMap((one) => (one === null ? [] : [one])),
                ),
            );
        };
        run(HEALTH_SEARCH, { earliest: '-7d', signal: stop.signal }).then(
            ({ rows }) => known(rows.map((row) => healthOf(one(row, '_raw')))),
            () => known([]),
        );
        return () => stop.abort();
    }, [configured, queueIsThere]);

    const remember = (principal: string) => {
        if (!isPrincipal(principal)) return;
        window.localStorage.setItem(REMEMBERED, principal);
        setMine((before) => [principal, ...before.filter((name) => name !== principal)]);
    };
    const again = () => setRound((count) => count + 1);
    return { user, error, again, accounts, maxTargets, mine, remember };
}

/** Splunk's user names are seldom those of Entra ID, so the one that was once typed is kept in this browser. */
const REMEMBERED = 'defender_bridge.owner';

async function configuredAccounts(signal: AbortSignal): Promise<Account[]> {
    const stanzas = await list('defender_bridge_account', signal);
    return stanzas
        .filter((stanza) => stanza.name !== 'default')
        .map(({ name, settings }) => ({
            name,
            tenant: settings.tenant_id || null,
            cloud: settings.cloud || 'commercial',
            readOnly: truth(settings.read_only),
        }));
}

async function limit(signal: AbortSignal): Promise<number> {
    const stanzas = await list('defender_bridge_settings', signal);
    const said = Number(stanzas.find((stanza) => stanza.name === 'triage')?.settings.max_targets);
    return Number.isInteger(said) && said > 0 ? Math.min(said, MAX_TARGETS) : MAX_TARGETS;
}
