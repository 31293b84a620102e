// Who opens a dialog gets the focus back when it closes, or, where that is gone, what stands in for it.

import { useRef } from 'react';

export function useOpener(standIn: string) {
    const opener = useRef<HTMLElement | null>(null);
    return {
        remember: () => {
            opener.current = document.activeElement as HTMLElement | null;
        },
        returnFocus: () => (opener.current?.isConnected === true ? opener.current : document.querySelector<HTMLElement>(standIn))?.focus(),
    };
}
