// For which objects the verdict dialog is open. A form that was closed half filled is there again for the same objects.
import { useRef, useState } from 'react';
import type { Item } from '../model/item';
import { UNCHANGED_VERDICT, type Verdict } from '../model/verdict';

export interface Opening {
    /** Each opening has its own, so that it begins with a new form. */
    number: number;
    items: readonly Item[];
    verdict: Verdict;
}

export interface VerdictDialogState {
    /** `null` while the dialog is closed. */
    opening: Opening | null;
    decide: (items: readonly Item[], preset?: Partial<Verdict>) => void;
    resolve: (items: readonly Item[]) => void;
    assignToMe: (items: readonly Item[]) => void;
    /** Keeps the form for the same objects, or forgets it with `null`. */
    close: (kept: Verdict | null) => void;
}

/** `me`: the name under which the user owns something in Defender, where it is known. */
export function useVerdictDialog(mayWrite: boolean, me: string | undefined): VerdictDialogState {
    const [opening, setOpening] = useState<Opening | null>(null);
    const count = useRef(0);
    const draft = useRef<{ of: string; verdict: Verdict } | null>(null);
    const decide: VerdictDialogState['decide'] = (items, preset = {}) => {
        if (!mayWrite || items.length === 0) return;
        const kept = draft.current?.of === keysOf(items) ? draft.current.verdict : UNCHANGED_VERDICT;
        count.current += 1;
        setOpening({ number: count.current, items, verdict: { ...kept, ...preset } });
    };
    return {
        opening,
        decide,
        resolve: (items) => decide(items, { status: 'resolved' }),
        assignToMe: (items) => decide(items, { ownerChoice: 'me', owner: me ?? '', status: 'inProgress' }),
        close: (kept) => {
            draft.current = kept === null || opening === null ? null : { of: keysOf(opening.items), verdict: kept };
            setOpening(null);
        },
    };
}

function keysOf(items: readonly Item[]): string {
    return items
        .map((item) => item.key)
        .sort()
        .join('\n');
}
