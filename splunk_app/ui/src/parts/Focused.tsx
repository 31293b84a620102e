// Moves the focus on when one step follows another.
import { useRef, type ReactNode } from 'react';

/** The next step takes the focus when its turn comes: the element that had it is gone. */
export function Focused({ children }: { children: (ref: (element: HTMLElement | null) => void) => ReactNode }) {
    const taken = useRef(false);
    return (
        <>
            {children((element) => {
                if (element === null || taken.current) return;
                taken.current = true;
                element.focus();
            })}
        </>
    );
}
