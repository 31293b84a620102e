// Severity, status and outcome of an object, told by colour and word alike.
import type { ReactNode } from 'react';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { Row } from '../../../parts/Page';
import { triage as strings } from '../strings';
import { Clipped } from './styles';

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
