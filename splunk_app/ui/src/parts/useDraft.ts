// What is typed into a form, and what is wrong with it: a field that is typed in again is no longer wrong.

import { useState } from 'react';

export type Wrong<D> = Partial<Record<keyof D, string>>;

/** `follow`: what a change brings with it in other fields. */
export function useDraft<D extends object>(first: D, follow: (before: D, part: Partial<D>) => D = (before, part) => ({ ...before, ...part })) {
    const [draft, setDraft] = useState(first);
    const [wrong, setWrong] = useState<Wrong<D>>({});
    const [refusals, setRefusals] = useState(0);
    const change = (part: Partial<D>) => {
        setDraft((now) => follow(now, part));
        setWrong((now) => Object.fromEntries(Object.entries(now).filter(([key]) => !(key in part))) as Wrong<D>);
    };
    /** Nothing wrong: nothing is refused. */
    const refuse = (found: Wrong<D>) => {
        setWrong(found);
        if (Object.keys(found).length > 0) setRefusals((count) => count + 1);
    };
    return { draft, setDraft, wrong, refuse, refusals, change };
}
