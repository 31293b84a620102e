// What the triage page shows and acts on: which of the two queues, how it is filtered, and the object beside it.
import { useCallback, useEffect, useMemo, useState } from 'react';
import { triages } from '../../splunk/session';
import { Accounts } from './model/account';
import { parseAddress, formatAddress } from './model/address';
import type { Item } from './model/item';
import { portalLink } from './model/link';
import type { Outcome } from './model/outcome';
import { OPEN_FILTER } from './model/queue';
import type { Subject } from './model/vocabulary';
import { useLink } from './queue/useLink';
import { useList } from './queue/useList';
import { useObjects } from './queue/useObjects';
import { useQueue } from './queue/useQueue';
import { useSelection } from './queue/useSelection';
import { useSession } from './useSession';

const NOWHERE = new Accounts([], []);

export type TriageState = ReturnType<typeof useTriage>;

export function useTriage() {
    const [arrival] = useState(() => parseAddress(window.location.search));
    const [subject, setSubject] = useState<Subject>(arrival.subject);
    const [earliest, setEarliest] = useState(arrival.earliest);
    const [opened, setOpened] = useState<Item | null>(null);

    // The queue in sight first, then the inputs, then the other queue: a user may run few searches at once.
    const [there, setThere] = useState(false);
    const alerts = useQueue('alert', earliest, subject === 'alert' || there);
    const incidents = useQueue('incident', earliest, subject === 'incident' || there);
    const queue = subject === 'alert' ? alerts : incidents;
    const answered = queue.at !== null || queue.error !== null || queue.cancelled;
    const session = useSession(answered);
    useEffect(() => setThere((before) => before || session.accounts !== null), [session.accounts]);
    const accounts = session.accounts ?? NOWHERE;
    const mayWrite = session.user !== null && triages(session.user);

    const objects = useObjects(alerts.items, incidents.items, accounts);
    const all = subject === 'alert' ? objects.alerts : objects.incidents;
    const list = useList(all, session.mine, arrival.filter);
    const selection = useSelection(all);
    const shown = opened === null ? null : objects.current(opened);
    const products = useMemo(() => [...new Set(all.flatMap((item) => item.product ?? []))].sort(), [all]);

    const { setCursor } = list;
    const show = useCallback(
        (item: Item | null): void => {
            setOpened(item);
            if (item !== null) setCursor(item.key);
        },
        [setCursor],
    );
    const linked = useLink(arrival.subject, arrival.id, queue, answered, show);
    const choose = (next: Subject): void => {
        setSubject(next);
        list.restart(OPEN_FILTER);
        selection.clear();
        setOpened(null);
        linked.forget();
    };
    const account = (item: Item): string | null => {
        const fitting = accounts.of(item.tenant);
        return fitting.length === 1 ? (fitting[0] ?? null) : null;
    };

    return {
        subject,
        choose,
        earliest,
        setEarliest,
        queue,
        /** When each queue was searched; `null` before its first answer. */
        searched: { alert: alerts.at, incident: incidents.at },
        session,
        accounts,
        mayWrite,
        objects,
        /** Every object of the queue, filtered or not. */
        all,
        products,
        list,
        selection,
        /** The object beside the queue. */
        shown,
        show,
        missing: linked.missing,
        /** Opens an object wherever it stands. */
        open: (item: Item): void => {
            if (item.subject !== subject) choose(item.subject);
            show(item);
        },
        /** What a key acts on: the selected objects, or the one in sight. */
        acting: (): readonly Item[] => {
            if (selection.items.length > 0 && opened === null) return selection.items;
            const one = shown ?? list.at;
            return one === undefined ? selection.items : [one];
        },
        learn: (outcomes: readonly Outcome[]): void => {
            objects.learnFrom(outcomes);
            selection.drop(
                outcomes.flatMap((outcome) => (outcome.outcome === 'updated' ? (objects.named(outcome) ?? []) : [])),
            );
        },
        account,
        portal: (item: Item): string =>
            portalLink(item.portal, item.subject, item.id, item.tenant, accounts.named(account(item) ?? '')?.cloud),
        /** The query under which the page shows what is in sight, to be reloaded or sent to a colleague. */
        address: formatAddress(window.location.search, {
            subject: opened?.subject ?? subject,
            id: opened?.id ?? linked.unseen,
            filter: list.filter,
            earliest,
        }),
        /** The query under which the page shows one object, for another tab. */
        addressOf: (item: Item): string =>
            formatAddress('', { subject: item.subject, id: item.id, filter: OPEN_FILTER, earliest }),
    };
}
