// A link that names one object: it is opened, wherever it stands, and nothing else happens.
import { useEffect, useState } from 'react';
import type { Item } from '../model/item';
import { findOne, type Queue } from './useQueue';
import type { Subject } from '../model/vocabulary';

interface Linked {
    /** The object that was not found, or could not be searched for. */
    missing: { id: string; error?: unknown } | null;
    /** The id of an object that is not shown, yet or at all. */
    unseen: string | null;
    forget: () => void;
}

export function useLink(subject: Subject, id: string | null, queue: Queue, answered: boolean, show: (item: Item) => void): Linked {
    const [missing, setMissing] = useState<Linked['missing']>(null);
    const [sought, setSought] = useState(id);
    useEffect(() => {
        if (sought === null || !answered) return undefined;
        const found = (item: Item | null): void => {
            setSought(null);
            if (item === null) setMissing({ id: sought });
            else show(item);
        };
        const here = queue.items.find((item) => item.id === sought);
        if (here !== undefined) {
            found(here);
            return undefined;
        }
        const stop = new AbortController();
        findOne(subject, sought, stop.signal).then(
            (item) => !stop.signal.aborted && found(item),
            (error: unknown) => {
                if (stop.signal.aborted) return;
                setSought(null);
                setMissing({ id: sought, error });
            },
        );
        return () => stop.abort();
    }, [answered, queue.items, sought, subject, show]);
    return {
        missing,
        unseen: sought ?? missing?.id ?? null,
        forget: () => {
            setSought(null);
            setMissing(null);
        },
    };
}
