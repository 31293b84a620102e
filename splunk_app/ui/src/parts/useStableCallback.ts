// One function for the whole life of a component that always calls the newest one: a component that receives it is
// not drawn again for it.
import { useCallback, useRef } from 'react';

export function useStableCallback<A extends unknown[], R>(does: (...given: A) => R): (...given: A) => R {
    const newest = useRef(does);
    newest.current = does;
    return useCallback((...given: A) => newest.current(...given), []);
}
