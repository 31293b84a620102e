// What somebody sets out to do to one or many; a form that is closed half filled is found again for the same ones.
import { useRef, useState } from 'react';
import type { Item } from '../model/item';
import { NOTHING, type Verdict } from '../model/verdict';

export interface Intent {
    /** A new one is a new beginning. */
    number: number;
    items: readonly Item[];
    verdict: Verdict;
}

export interface Intents {
    intent: Intent | null;
    decide: (items: readonly Item[], preset?: Partial<Verdict>) => void;
    resolve: (items: readonly Item[]) => void;
    takeOn: (items: readonly Item[]) => void;
    /** With the form as it stands, or with nothing left to keep. */
    close: (kept: Verdict | null) => void;
}

/** `me`: the name under which the user owns something in Defender, where it is known. */
export function useIntent(mayWrite: boolean, me: string | undefined): Intents {
    const [intent, setIntent] = useState<Intent | null>(null);
    const count = useRef(0);
    const draft = useRef<{ of: string; verdict: Verdict } | null>(null);
    const decide: Intents['decide'] = (items, preset = {}) => {
        if (!mayWrite || items.length === 0) return;
        const kept = draft.current?.of === keysOf(items) ? draft.current.verdict : NOTHING;
        count.current += 1;
        setIntent({ number: count.current, items, verdict: { ...kept, ...preset } });
    };
    return {
        intent,
        decide,
        resolve: (items) => decide(items, { status: 'resolved' }),
        takeOn: (items) => decide(items, { ownerChoice: 'me', owner: me ?? '', status: 'inProgress' }),
        close: (kept) => {
            draft.current = kept === null || intent === null ? null : { of: keysOf(intent.items), verdict: kept };
            setIntent(null);
        },
    };
}

function keysOf(items: readonly Item[]): string {
    return items
        .map((item) => item.key)
        .sort()
        .join('\n');
}
