// Single keys for the whole page, silent while somebody types or a dialog or menu is open.
import { useEffect, useRef } from 'react';

export type Keys = Record<string, (event: KeyboardEvent) => void>;

const TYPING = 'input, textarea, select, [contenteditable="true"], [role="listbox"], [role="menu"]';

/** Marks the content of a dialog that belongs to the page, such as the details beside the queue. */
export const OF_THE_PAGE = 'data-page-keys';

function isElsewhere(target: Element | null): boolean {
    // A selection box is an input too, but nobody types into it.
    const box = target instanceof HTMLInputElement && target.type === 'checkbox';
    if (!box && target?.closest(TYPING)) return true;
    const dialog = target?.closest('[role="dialog"]');
    return dialog !== null && dialog !== undefined && dialog.querySelector(`[${OF_THE_PAGE}]`) === null;
}

export function useKeys(keys: Keys, enabled: boolean): void {
    const latest = useRef(keys);
    latest.current = keys;
    useEffect(() => {
        if (!enabled) return undefined;
        const press = (event: KeyboardEvent): void => {
            if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
            const target = event.target instanceof Element ? event.target : null;
            if (isElsewhere(target)) return;
            const action = latest.current[event.key];
            if (action === undefined) return;
            event.preventDefault();
            action(event);
        };
        document.addEventListener('keydown', press);
        return () => document.removeEventListener('keydown', press);
    }, [enabled]);
}
