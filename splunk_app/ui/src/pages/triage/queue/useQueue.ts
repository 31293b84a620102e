// The queue of one subject, searched when it opens, when its time changes and on demand.
import { useCallback, useEffect, useRef, useState } from 'react';
import { one, run, type State } from '../../../splunk/search';
import type { Event, Item } from '../model/item';
import { newest, QUEUE_SEARCH, revisionsOf } from '../model/queue';
import type { Subject } from '../model/vocabulary';

export interface Queue {
    items: readonly Item[];
    /** When what is shown was searched; `null` before the first answer. */
    at: number | null;
    state: State | null;
    error: unknown;
    cancelled: boolean;
    refresh: () => void;
    cancel: () => void;
}

const NONE: readonly Item[] = [];

/** Waits while `enabled` is off: a user may run few searches at once. */
export function useQueue(subject: Subject, earliest: string, enabled: boolean): Queue {
    const [answer, setAnswer] = useState<{ items: readonly Item[]; at: number | null }>({ items: NONE, at: null });
    const [state, setState] = useState<State | null>('queued');
    const [error, setError] = useState<unknown>(null);
    const [cancelled, setCancelled] = useState(false);
    const [round, setRound] = useState(0);
    const stop = useRef(new AbortController());

    useEffect(() => {
        if (!enabled) return undefined;
        const control = new AbortController();
        stop.current = control;
        setState('queued');
        setError(null);
        setCancelled(false);
        found(subject, earliest, control.signal, setState).then(
            (items) => {
                if (control.signal.aborted) return;
                setAnswer({ items, at: Date.now() });
                setState(null);
            },
            (reason: unknown) => {
                if (control.signal.aborted) return;
                setError(reason);
                setState(null);
            },
        );
        return () => control.abort();
    }, [subject, earliest, enabled, round]);

    const refresh = useCallback(() => setRound((count) => count + 1), []);
    const cancel = useCallback(() => {
        stop.current.abort();
        setState(null);
        setCancelled(true);
    }, []);
    return { ...answer, state, error, cancelled, refresh, cancel };
}

async function found(
    subject: Subject,
    earliest: string,
    signal: AbortSignal,
    onState: (state: State) => void,
    search = QUEUE_SEARCH[subject],
): Promise<Item[]> {
    const { rows } = await run(search, { earliest, latest: 'now', signal, onState });
    const events = rows.map((row): Event => ({
        raw: one(row, '_raw'),
        source: one(row, 'source'),
        index: one(row, 'index') || null,
    }));
    return newest(events, subject);
}

/** One object, however long ago it last changed. */
export async function findOne(subject: Subject, id: string, signal: AbortSignal): Promise<Item | null> {
    const search = `${revisionsOf(subject, id)} | head 200 | fields _time, _raw, source, index`;
    const items = await found(subject, '0', signal, () => undefined, search);
    return items.find((item) => item.id === id) ?? null;
}
