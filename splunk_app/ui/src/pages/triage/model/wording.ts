// The vocabulary as people read it.
import { triage as strings } from '../strings';

/** A word of the vocabulary as people read it, in whichever field it stands. */
export function worded(field: string, value: string): string {
    if (value === '') return field === 'assigned_to' ? strings.drawer.nobody : strings.unset;
    const words: Record<string, Record<string, string>> = {
        status: strings.statuses,
        classification: strings.classifications,
        determination: strings.determinations,
    };
    return words[field]?.[value] ?? value;
}
