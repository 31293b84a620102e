// What the analyst decides; a field that is not set stays unchanged. The rules are those of the executable, so that
// the form says at once what a search would say after seconds; the executable decides again.
import { triage as strings } from '../strings';
import { determinationsOf, type Subject } from './vocabulary';

export const UNCHANGED = '';
export const COMMENT_MAX = 4000;
const TAG_MAX = 128;
const OWNER_MAX = 320;

export type OwnerChoice = typeof UNCHANGED | 'me' | 'none' | 'other';

export interface Verdict {
    status: string;
    classification: string;
    determination: string;
    ownerChoice: OwnerChoice;
    /** A user principal name, where somebody is named. */
    owner: string;
    comment: string;
    tagsAdd: string;
    tagsRemove: string;
}

export const UNCHANGED_VERDICT: Verdict = {
    status: UNCHANGED,
    classification: UNCHANGED,
    determination: UNCHANGED,
    ownerChoice: UNCHANGED,
    owner: '',
    comment: '',
    tagsAdd: '',
    tagsRemove: '',
};

export type VerdictField = keyof Verdict;
export type Faults = Partial<Record<VerdictField, string>>;

/** The form after one answer: a determination that no longer goes with the classification falls back to unchanged. */
export function answered(verdict: Verdict, field: VerdictField, value: string): Verdict {
    const next = { ...verdict, [field]: value } as Verdict;
    if (!determinationsOf(next.classification).includes(next.determination)) {
        next.determination = UNCHANGED;
    }
    return next;
}

/** The parameters of `defenderupdate`, only those that were answered. */
export function parameters(verdict: Verdict, subject: Subject): Record<string, string> {
    const asked: Record<string, string> = {
        status: verdict.status,
        classification: verdict.classification,
        determination: verdict.determination,
        assigned_to: ownerOf(verdict),
        comment: verdict.comment.trim(),
    };
    if (subject === 'incident') {
        asked.tags_add = tags(verdict.tagsAdd).join(',');
        asked.tags_remove = tags(verdict.tagsRemove).join(',');
    }
    return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== ''));
}

export function faults(verdict: Verdict, subject: Subject): Faults {
    const say = strings.verdict.faults;
    const found: Faults = {};
    const owner = verdict.owner.trim();
    const named = verdict.ownerChoice === 'me' || verdict.ownerChoice === 'other';
    if (named && !isPrincipal(owner)) found.owner = say.owner;
    const length = [...verdict.comment.trim()].length;
    if (length > COMMENT_MAX) found.comment = say.commentLength(length, COMMENT_MAX);
    else if (/[^\P{Cc}\n\r\t]/u.test(verdict.comment)) found.comment = say.commentControl;
    if (subject === 'incident') {
        for (const field of ['tagsAdd', 'tagsRemove'] as const) {
            const long = tags(verdict[field]).find((tag) => [...tag].length > TAG_MAX);
            if (long !== undefined) found[field] = say.tagLength(TAG_MAX);
        }
        const both = tags(verdict.tagsAdd).find((tag) => tags(verdict.tagsRemove).includes(tag));
        if (both !== undefined) found.tagsRemove = say.tagBothWays(both);
    }
    return found;
}

/** Whether anything is asked at all. */
export function isEmpty(verdict: Verdict, subject: Subject): boolean {
    return Object.keys(parameters(verdict, subject)).length === 0;
}

/** A user principal name, as the executable takes it. */
export function isPrincipal(name: string): boolean {
    return name.length <= OWNER_MAX && /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u.test(name);
}

/** The names under which Splunk's user may own something in Defender. */
export function principals(candidates: readonly (string | null | undefined)[]): string[] {
    return [...new Set(candidates.flatMap((name) => (name && isPrincipal(name) ? [name] : [])))];
}

function ownerOf(verdict: Verdict): string {
    if (verdict.ownerChoice === 'none') return 'none';
    return verdict.ownerChoice === UNCHANGED ? '' : verdict.owner.trim();
}

function tags(text: string): string[] {
    const each = text.split(/[,\n]/u).map((tag) => tag.trim());
    return [...new Set(each.filter(Boolean))];
}
