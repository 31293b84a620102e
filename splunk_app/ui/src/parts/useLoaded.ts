// A request that a page makes when it opens: under way, answered or failed; repeated on demand.

import { useCallback, useEffect, useRef, useState } from 'react';

export interface Loaded<T> {
    value?: T;
    error?: unknown;
    /** A request is under way; `value` may still be the answer before. */
    loading: boolean;
    again: () => void;
}

export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
    const [state, setState] = useState<{ value?: T; error?: unknown; loading: boolean }>({ loading: true });
    const [round, setRound] = useState(0);
    const loader = useRef(load);
    loader.current = load;
    useEffect(() => {
        const stop = new AbortController();
        setState((before) => ({ ...before, loading: true }));
        loader.current(stop.signal).then(
            (value) => !stop.signal.aborted && setState({ value, loading: false }),
            (error: unknown) => !stop.signal.aborted && setState((before) => ({ ...before, error, loading: false })),
        );
        return () => stop.abort();
    }, [round]);
    const again = useCallback(() => setRound((count) => count + 1), []);
    return { ...state, again };
}
