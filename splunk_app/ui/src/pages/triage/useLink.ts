// A link that names one object: it is opened, wherever it stands, and nothing else happens.
import { useEffect, useState } from 'react';
import type { Item } from './item';
import { findOne, type Queue } from './useQueue';
import type { Subject } from './vocabulary';

export interface Linked {
    /** What was asked for and is nowhere. */
    missing: string | null;
    forget: () => void;
}

export function useLink(subject: Subject, id: string | null, queue: Queue, answered: boolean, show: (item: Item) => void): Linked {
    const [missing, setMissing] = useState<string | null>(null);
    const [sought, setSought] = useState(id);
    useEffect(() => {
        if (sought === null || !answered) return undefined;
        const found = (item: Item | null): void => {
            setSought(null);
            if (item === null) setMissing(sought);
            else show(item);
        };
        const here = queue.items.find((item) => item.id === sought);
        if (here !== undefined) {
            found(here);
            return undefined;
        }
        const stop = new AbortController();
        const unless = (item: Item | null): void => {
            if (!stop.signal.aborted) found(item);
        };
        findOne(subject, sought, stop.signal).then(unless, () => unless(null));
        return () => stop.abort();
    }, [answered, queue.items, sought, subject, show]);
    return {
        missing,
        forget: () => {
            setSought(null);
            setMissing(null);
        },
    };
}
