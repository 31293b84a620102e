// Small things that look the same wherever they stand on this page.
import type { ReactNode } from 'react';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { ago, exactly } from './model/instant';
import { triage as strings } from './strings';

/** Layers of the toolkit stand outside the page, so they bring font and colour along. */
export const Sheet = styled.div`
    color: ${variables.contentColorDefault};
    font-family: ${variables.sansFontFamily};
    font-size: ${variables.fontSize};
    line-height: ${variables.lineHeight};
    *,
    *::before,
    *::after {
        box-sizing: border-box;
    }
`;

export const Strong = styled.span`
    color: ${variables.contentColorActive};
    font-weight: ${variables.fontWeightSemiBold};
`;

export const Small = styled.span`
    color: ${variables.contentColorDefault};
    font-size: ${variables.fontSizeSmall};
`;

export const Mono = styled.span`
    font-family: ${variables.monoFontFamily};
    font-size: ${variables.fontSizeSmall};
    overflow-wrap: anywhere;
    white-space: pre-wrap;
`;

export const Row = styled.div<{ $gap?: number; $wrap?: boolean }>`
    align-items: center;
    display: flex;
    flex-wrap: ${({ $wrap }) => ($wrap === false ? 'nowrap' : 'wrap')};
    gap: ${({ $gap }) => $gap ?? 8}px;
    min-width: 0;
`;

/** Text of any length that leaves room for what stands beside it. */
export const Clipped = styled.span`
    display: block;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
`;

/** A table's cell lays its children out side by side; this is the one child. */
export const Whole = styled.div`
    min-width: 0;
    overflow-wrap: anywhere;
    width: 100%;
`;

/** For screen readers alone. */
export const Unseen = styled.span`
    clip-path: inset(50%);
    height: 1px;
    overflow: hidden;
    position: absolute;
    white-space: nowrap;
    width: 1px;
`;

const SEVERITY = {
    critical: variables.severityColorEmergency,
    high: variables.statusColorHigh,
    medium: variables.statusColorMedium,
    low: variables.statusColorLow,
    informational: variables.statusColorInfo,
} as const;

const Dot = styled.span<{ $severity: string }>`
    background: ${({ $severity }) => SEVERITY[$severity as keyof typeof SEVERITY] ?? variables.severityColorUnknown};
    border-radius: 2px;
    display: inline-block;
    flex: none;
    height: 10px;
    width: 10px;
`;

export function Severity({ severity }: { severity: string }) {
    return (
        <Row $gap={6} $wrap={false} as="span" style={{ maxWidth: '100%' }}>
            <Dot $severity={severity} aria-hidden />
            <Clipped title={strings.severities[severity] === undefined ? severity : undefined}>
                {strings.severities[severity] ?? severity}
            </Clipped>
        </Row>
    );
}

type Tone = 'plain' | 'busy' | 'good' | 'warning' | 'bad';

const TONES = {
    plain: [variables.severityColorUnknownWeak, variables.severityColorUnknownStrong],
    busy: [variables.notificationColorPositiveWeak, variables.notificationColorPositiveStrong],
    good: [variables.severityColorNormalWeak, variables.severityColorNormalStrong],
    warning: [variables.severityColorNoticeWeak, variables.severityColorNoticeStrong],
    bad: [variables.severityColorAlertWeak, variables.severityColorAlertStrong],
} as const;

const Label = styled.span<{ $tone: Tone }>`
    background: ${({ $tone }) => TONES[$tone][0]};
    border-radius: 10px;
    color: ${({ $tone }) => TONES[$tone][1]};
    display: inline-block;
    font-size: ${variables.fontSizeSmall};
    line-height: 18px;
    max-width: 100%;
    min-width: 0;
    overflow: hidden;
    padding: 1px 9px;
    text-overflow: ellipsis;
    vertical-align: middle;
    white-space: nowrap;
`;

export function Tag({ tone = 'plain', children }: { tone?: Tone; children: ReactNode }) {
    return (
        <Label $tone={tone} title={typeof children === 'string' ? children : undefined} data-tag>
            {children}
        </Label>
    );
}

const STATUS_TONES: Record<string, Tone> = {
    new: 'warning',
    active: 'warning',
    inProgress: 'busy',
    resolved: 'good',
};

export function StatusTag({ status }: { status: string | null }) {
    if (status === null) return <span>{strings.unset}</span>;
    return <Tag tone={STATUS_TONES[status] ?? 'plain'}>{strings.statuses[status] ?? status}</Tag>;
}

const OUTCOME_TONES: Record<string, Tone> = {
    updated: 'good',
    planned: 'busy',
    unchanged: 'plain',
    deferred: 'warning',
    throttled: 'warning',
    conflict: 'warning',
};

export function OutcomeTag({ outcome, count }: { outcome: string; count?: number }) {
    const names: Record<string, string> = strings.outcome.names;
    const name = names[outcome] ?? outcome;
    return (
        <Tag tone={OUTCOME_TONES[outcome] ?? 'bad'}>
            {count === undefined ? name : `${count} ${name.toLowerCase()}`}
        </Tag>
    );
}

/** How long ago, and exactly when on hover. */
export function When({ at, now }: { at: string | null; now: number }) {
    if (at === null) return <span>{strings.unset}</span>;
    return (
        <time dateTime={at} title={exactly(at)}>
            {ago(at, now)}
        </time>
    );
}

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
