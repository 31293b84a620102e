// The phases of a verdict: form, preview, write, outcomes, undo. A phase that fails leads back to the one before, and
// nothing that was typed is lost.
import { useEffect, useRef, useState } from 'react';
import { carryOut, undoBatches } from './carryOut';
import type { Item } from '../model/item';
import { batchesOf, mayPass, placeOf, type Outcome } from '../model/outcome';
import { rowsOf } from '../model/commands';
import type { Opening } from './useVerdictDialog';
import type { AccountRouting } from './useAccountRouting';
import { faults, isEmpty, parameters, type Faults, type Verdict } from '../model/verdict';
import type { Subject } from '../model/vocabulary';

export type Phase = 'form' | 'examining' | 'plan' | 'writing' | 'done' | 'asking' | 'undoing' | 'undone';

export interface VerdictWorkflow {
    subject: Subject;
    items: readonly Item[];
    verdict: Verdict;
    setVerdict: (verdict: Verdict) => void;
    phase: Phase;
    /** A search is under way; no other can be begun. */
    busy: boolean;
    progress: [number, number];
    /** Whether the preview was asked for: only then are mistakes shown. */
    tried: boolean;
    wrong: Faults;
    empty: boolean;
    tooMany: boolean;
    error: unknown;
    outcomes: readonly Outcome[];
    /** Whether the user stopped the search. */
    stopped: boolean;
    itemOf: (outcome: Outcome) => Item | undefined;
    /** How many objects a write would change. */
    planned: number;
    /** How many rows may succeed when they are tried again. */
    passing: number;
    /** The batches an undo takes back, and how many objects they wrote to. */
    undoable: string[];
    taken: number;
    examine: () => void;
    write: () => void;
    again: () => void;
    overrule: (outcome: Outcome) => void;
    undo: () => void;
    goTo: (phase: 'form' | 'done' | 'asking') => void;
    stop: () => void;
}

interface Listeners {
    onOutcomes: (outcomes: readonly Outcome[]) => void;
    onOwner: (principal: string) => void;
}

const NOTHING_OVERRULED: ReadonlySet<string> = new Set();

export function useVerdictWorkflow({ items, verdict: first }: Opening, routing: AccountRouting, maxTargets: number, listeners: Listeners): VerdictWorkflow {
    const subject = items[0]?.subject ?? 'alert';
    const [verdict, setVerdict] = useState(first);
    const [phase, setPhase] = useState<Phase>('form');
    const [tried, setTried] = useState(false);
    const [error, setError] = useState<unknown>(null);
    const [outcomes, setOutcomes] = useState<readonly Outcome[]>([]);
    const [written, setWritten] = useState<readonly Outcome[]>([]);
    const [progress, setProgress] = useState<[number, number]>([0, 0]);
    const [overruled, setOverruled] = useState(NOTHING_OVERRULED);
    const [stopped, setStopped] = useState(false);
    const stop = useRef(new AbortController());
    useEffect(() => () => stop.current.abort(), []);
    const changing = phase === 'writing' || phase === 'undoing';
    useEffect(() => {
        if (!changing) return undefined;
        // The search that has begun goes on in Splunk; the next ones would never begin, and nobody would see the outcomes.
        const stay = (event: BeforeUnloadEvent): void => event.preventDefault();
        window.addEventListener('beforeunload', stay);
        return () => window.removeEventListener('beforeunload', stay);
    }, [changing]);

    const placed = new Map(items.map((item) => [placeOf({ account: routing.accountOf(item), id: item.id }), item]));
    const itemOf = (outcome: Outcome): Item | undefined => placed.get(placeOf(outcome));
    const itemsOf = (these: readonly Outcome[]): Item[] => these.flatMap((outcome) => itemOf(outcome) ?? []);
    const planned = outcomes.filter((outcome) => outcome.outcome === 'planned');
    const passing = outcomes.filter(mayPass);
    const wrong = faults(verdict, subject);
    const empty = isEmpty(verdict, subject);
    const tooMany = items.length > maxTargets;
    const undoable = batchesOf(written);

    const begin = (into: Phase): { signal: AbortSignal; onProgress: (done: number, of: number) => void } => {
        stop.current = new AbortController();
        setError(null);
        setStopped(false);
        setPhase(into);
        return { signal: stop.current.signal, onProgress: (done, of) => setProgress([done, of]) };
    };

    const carry = async (these: readonly Item[], dryRun: boolean, over = overruled): Promise<void> => {
        const from = phase;
        const control = begin(dryRun ? 'examining' : 'writing');
        try {
            const rows = rowsOf(these, parameters(verdict, subject), routing.accountOf, over);
            const found = await carryOut(rows, subject, dryRun, control);
            const again = new Set(found.map(placeOf));
            setOutcomes((before) => [...before.filter((outcome) => !again.has(placeOf(outcome))), ...found]);
            if (!dryRun) {
                setWritten((before) => [...before, ...found]);
                listeners.onOutcomes(found);
            }
            setStopped(control.signal.aborted);
            setPhase(dryRun ? 'plan' : 'done');
        } catch (reason) {
            if (!control.signal.aborted) setError(reason);
            setPhase(from);
        }
    };

    const undo = async (): Promise<void> => {
        const control = begin('undoing');
        try {
            const found = await undoBatches(undoable, control);
            setOutcomes(found);
            listeners.onOutcomes(found);
            setPhase('undone');
        } catch (reason) {
            setError(reason);
            setPhase('done');
        }
    };

    return {
        subject,
        items,
        verdict,
        setVerdict,
        phase,
        busy: phase === 'examining' || phase === 'writing' || phase === 'undoing',
        progress,
        tried,
        wrong,
        empty,
        tooMany,
        error,
        outcomes,
        stopped,
        itemOf,
        planned: planned.length,
        passing: passing.length,
        undoable,
        taken: written.filter((outcome) => outcome.outcome === 'updated').length,
        examine: () => {
            setTried(true);
            if (Object.keys(wrong).length > 0 || empty || routing.unchosen || tooMany) return;
            if (verdict.ownerChoice === 'me') listeners.onOwner(verdict.owner.trim());
            setOutcomes([]);
            setOverruled(NOTHING_OVERRULED);
            void carry(items, true, NOTHING_OVERRULED);
        },
        write: () => void carry(itemsOf(planned), false),
        again: () => void carry(itemsOf(passing), false),
        overrule: (outcome) => {
            const item = itemOf(outcome);
            if (item === undefined) return;
            const over = new Set([...overruled, item.key]);
            setOverruled(over);
            void carry([item], phase === 'plan', over);
        },
        undo: () => void undo(),
        goTo: setPhase,
        stop: () => stop.current.abort(),
    };
}
