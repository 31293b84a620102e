// When a dialog closes, the element that opened it gets the focus back, or a stand-in where that element is gone.

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
