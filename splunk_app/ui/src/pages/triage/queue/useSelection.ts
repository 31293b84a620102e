// Which of all objects are selected, on whichever page and behind whichever filter.
import { useState } from 'react';
import type { Item } from '../model/item';

interface Selection {
    keys: ReadonlySet<string>;
    items: readonly Item[];
    /** Selects them all, or, where all of them are selected, none. */
    toggle: (items: readonly Item[]) => void;
    take: (items: readonly Item[]) => void;
    drop: (items: readonly Item[]) => void;
    clear: () => void;
}

const NOTHING: ReadonlySet<string> = new Set();

export function useSelection(all: readonly Item[]): Selection {
    const [keys, setKeys] = useState(NOTHING);
    return {
        keys,
        items: all.filter((item) => keys.has(item.key)),
        toggle: (items) =>
            setKeys((before) => {
                const next = new Set(before);
                const add = items.some((item) => !before.has(item.key));
                for (const item of items) add ? next.add(item.key) : next.delete(item.key);
                return next;
            }),
        take: (items) => setKeys(new Set(items.map((item) => item.key))),
        drop: (items) =>
            setKeys((before) => {
                const gone = new Set(items.map((item) => item.key));
                return new Set([...before].filter((key) => !gone.has(key)));
            }),
        clear: () => setKeys(NOTHING),
    };
}
