// Evidence by kind, each with what Defender thinks of it. Everything is text: nothing in an event is ever a
// link or markup here.
import variables from '@splunk/themes/variables';
import CollapsiblePanel from '@splunk/react-ui/CollapsiblePanel';
import styled from 'styled-components';
import { EVIDENCE_KINDS, type Evidence } from '../model/evidence';
import { Facts } from './Facts';
import { Row } from '../../../parts/Page';
import { Tag } from '../parts/Tags';
import { Strong } from '../parts/styles';
import { triage as strings } from '../strings';

const Entry = styled.div`
    border-top: 1px solid ${variables.borderColorWeak};
    padding: 8px 4px;
    &:first-child {
        border-top: 0;
    }
`;

export function EvidenceList({ evidence }: { evidence: readonly Evidence[] }) {
    return (
        <>
            {EVIDENCE_KINDS.map((kind) => {
                const those = evidence.filter((item) => item.kind === kind);
                if (those.length === 0) return null;
                return (
                    <CollapsiblePanel
                        key={kind}
                        title={`${strings.evidence.kinds[kind]} (${those.length})`}
                        defaultOpen={kind !== 'process' && those.length <= 5}
                    >
                        <div style={{ padding: '0 12px 8px' }}>
                            {those.map((item, place) => (
                                <Entry key={place}>
                                    <Row>
                                        <Strong style={{ overflowWrap: 'anywhere' }}>{item.title}</Strong>
                                        <Marks evidence={item} />
                                    </Row>
                                    <Facts facts={item.facts.map(({ name, value }) => [name, value])} />
                                </Entry>
                            ))}
                        </div>
                    </CollapsiblePanel>
                );
            })}
        </>
    );
}

/** What Defender thinks of it and what it did about it. */
export function Marks({ evidence }: { evidence: Evidence }) {
    const { verdict, remediation, roles } = evidence;
    const say = strings.evidence;
    const bad = verdict === 'malicious';
    return (
        <>
            {verdict !== null && (
                <Tag tone={bad ? 'bad' : verdict === 'suspicious' ? 'warning' : 'plain'}>
                    {say.verdicts[verdict] ?? verdict}
                </Tag>
            )}
            {remediation !== null && (
                <Tag tone={remediation === 'active' ? 'warning' : 'good'}>
                    {say.remediations[remediation] ?? remediation}
                </Tag>
            )}
            {roles.map((role) => (
                <Tag key={role}>{role}</Tag>
            ))}
        </>
    );
}
