// The words of triage, in Microsoft Graph's spelling, and which go together.
//
// `src/triage/vocabulary.rs` decides; a test reads that file and fails when the
// two drift apart. Words are read without regard to case, blanks, hyphens and
// underscores, also under the older APIs' names.

export type Subject = 'alert' | 'incident';

export const STATUSES: Record<Subject, readonly string[]> = {
    alert: ['new', 'inProgress', 'resolved'],
    incident: ['active', 'inProgress', 'resolved'],
};

export const DETERMINATIONS: Record<string, readonly string[]> = {
    truePositive: [
        'multiStagedAttack',
        'maliciousUserActivity',
        'compromisedAccount',
        'malware',
        'phishing',
        'unwantedSoftware',
        'other',
    ],
    informationalExpectedActivity: ['securityTesting', 'lineOfBusinessApplication', 'confirmedActivity', 'other'],
    falsePositive: ['notMalicious', 'notEnoughDataToValidate', 'other'],
};

export const CLASSIFICATIONS = Object.keys(DETERMINATIONS);

/** From worst to least; what is none of these sorts last. */
export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'informational'] as const;

/** States Defender puts objects into by itself, and words it has withdrawn. */
const READ_ONLY = ['redirected', 'awaitingAction', 'apt', 'securityPersonnel'];

const OTHER_NAMES: Record<string, string> = {
    informationalexpected: 'informationalExpectedActivity',
    multistageattack: 'multiStagedAttack',
    securitytest: 'securityTesting',
    lineofbusinessapp: 'lineOfBusinessApplication',
    notenoughdata: 'notEnoughDataToValidate',
    compromiseduser: 'compromisedAccount',
    confirmeduseractivity: 'confirmedActivity',
    clean: 'notMalicious',
    insufficientdata: 'notEnoughDataToValidate',
    noenoughdatatovalidate: 'notEnoughDataToValidate',
};

const KNOWN = new Map<string, string>(
    [
        ...STATUSES.alert,
        ...STATUSES.incident,
        ...CLASSIFICATIONS,
        ...Object.values(DETERMINATIONS).flat(),
        ...READ_ONLY,
    ].map((word) => [folded(word), word]),
);

/** Words for a field that is not set. */
const UNSET = new Set(['', 'null', 'none', 'unknown', 'notavailable', 'unknownfuturevalue']);

/** Graph's spelling of what Defender says, or `null` where it says nothing. */
export function spelled(said: string | null): string | null {
    const key = folded(said ?? '');
    if (UNSET.has(key)) return null;
    return KNOWN.get(key) ?? OTHER_NAMES[key] ?? said;
}

/** The determinations that go with a classification. */
export function determinationsOf(classification: string): readonly string[] {
    return DETERMINATIONS[classification] ?? [];
}

/** 0 for critical, 5 for what has no severity. */
export function severityRank(severity: string): number {
    const place = SEVERITIES.findIndex((known) => known === severity);
    return place < 0 ? SEVERITIES.length : place;
}

function folded(word: string): string {
    return word.toLowerCase().replace(/[\s\-_,]/gu, '');
}
