// Where the focus goes when a dialog closes or a key moves on to another row. It goes there at once: the next key
// may be pressed before the browser draws again, and a key that is pressed in a dialog on its way out is lost.
import { useRef, type RefObject } from 'react';

interface RowFocus {
    /** The row of this key, or else the first one, or else what stands in for the rows. */
    focusRow: (key: string | null) => void;
    /** The row one was on. */
    returnFocus: () => void;
}

export function useRowFocus(cursor: string | null, standIn: RefObject<HTMLElement>): RowFocus {
    const latest = useRef(cursor);
    latest.current = cursor;
    const focusRow = (key: string | null): void => {
        const row = key === null ? null : document.querySelector<HTMLElement>(`tr[data-key="${CSS.escape(key)}"]`);
        (row ?? document.querySelector<HTMLElement>('tr[data-test="queue-row"]') ?? standIn.current)?.focus();
    };
    return { focusRow, returnFocus: () => focusRow(latest.current) };
}
