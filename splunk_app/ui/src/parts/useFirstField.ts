// Who opens a form can type at once.

import { useEffect, useRef } from 'react';

const FIELD = 'input:not([disabled]), textarea:not([disabled]), [role="combobox"]:not([disabled]), [role="radio"][aria-checked="true"]';

/** The ref belongs to the element around the fields; the first field has the focus from the beginning. */
export function useFirstField<T extends HTMLElement>() {
    const around = useRef<T>(null);
    useEffect(() => around.current?.querySelector<HTMLElement>(FIELD)?.focus(), []);
    return around;
}
