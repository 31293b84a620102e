// One function for the whole life of a component, which does what the newest does: what it is handed to need not
// be drawn again for it.
import { useCallback, useRef } from 'react';

export function useStableCallback<A extends unknown[], R>(does: (...given: A) => R): (...given: A) => R {
    const newest = useRef(does);
    newest.current = does;
    return useCallback((...given: A) => newest.current(...given), []);
}
