// Keeps the address bar at what is in sight.
import { useEffect } from 'react';

/** Browsers take only so many changes a minute, fewer than somebody types letters. */
const PAUSE_MS = 200;

export function useAddressBar(query: string): void {
    useEffect(() => {
        const soon = window.setTimeout(
            () => window.history.replaceState(null, '', `${window.location.pathname}${query}`),
            PAUSE_MS,
        );
        return () => window.clearTimeout(soon);
    }, [query]);
}
