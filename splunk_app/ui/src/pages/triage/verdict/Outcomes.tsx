// The outcomes of a preview or a write: the worst first, each with what to do.
import Button from '@splunk/react-ui/Button';
import Table from '@splunk/react-ui/Table';
import styled from 'styled-components';
import type { Item } from '../model/item';
import { Row } from '../../../parts/Page';
import { OutcomeTag } from '../parts/Tags';
import { worded } from '../model/wording';
import { Clipped, Mono, Small, Strong, Whole } from '../parts/styles';
import { isWell, tally, worstFirst, type Change, type Outcome } from '../model/outcome';
import { triage as strings } from '../strings';

interface Props {
    outcomes: readonly Outcome[];
    /** An object that is not in the queue is shown by its id alone. */
    itemOf: (outcome: Outcome) => Item | undefined;
    onOverrule?: ((outcome: Outcome) => void) | undefined;
}

export function Outcomes({ outcomes, itemOf, onOverrule }: Props) {
    const say = strings.act;
    const telling = outcomes.some((outcome) => !isWell(outcome) || outcome.advice !== '' || outcome.stays !== '');
    return (
        <>
            <Row style={{ marginBottom: 10 }} aria-live="polite" data-test="tally">
                {tally(outcomes).map(([outcome, count]) => (
                    <OutcomeTag key={outcome} outcome={outcome} count={count} />
                ))}
            </Row>
            <div style={{ maxHeight: '48vh', overflowY: 'auto' }} tabIndex={0} role="region" aria-label={say.doneTitle}>
                <Table tableStyle={{ tableLayout: 'fixed', width: '100%' }} aria-label={say.doneTitle}>
                    <Table.Head>
                        <Table.HeadCell width={240}>{say.columns.object}</Table.HeadCell>
                        <Table.HeadCell width={130}>{say.columns.outcome}</Table.HeadCell>
                        <Table.HeadCell width={telling ? 250 : 'auto'}>{say.columns.change}</Table.HeadCell>
                        {telling && <Table.HeadCell width="auto">{say.columns.message}</Table.HeadCell>}
                    </Table.Head>
                    <Table.Body>
                        {worstFirst(outcomes).map((outcome, place) => (
                            <Table.Row
                                key={`${outcome.id} ${place}`}
                                data-test="outcome-row"
                                data-outcome={outcome.outcome}
                            >
                                <Table.Cell>
                                    <Whole>
                                        <Clipped title={itemOf(outcome)?.title}>
                                            <Strong>{itemOf(outcome)?.title ?? outcome.id}</Strong>
                                        </Clipped>
                                        <Clipped title={outcome.id}>
                                            <Small>{outcome.id}</Small>
                                        </Clipped>
                                    </Whole>
                                </Table.Cell>
                                <Table.Cell>
                                    <OutcomeTag outcome={outcome.outcome} />
                                </Table.Cell>
                                <Table.Cell>
                                    <Changes changes={outcome.changes} />
                                </Table.Cell>
                                {telling && (
                                    <Table.Cell>
                                        <Telling outcome={outcome} onOverrule={onOverrule} />
                                    </Table.Cell>
                                )}
                            </Table.Row>
                        ))}
                    </Table.Body>
                </Table>
            </div>
        </>
    );
}

/** Three lines of a comment are enough to recognise it. */
const Brief = styled.div`
    -webkit-box-orient: vertical;
    -webkit-line-clamp: 3;
    display: -webkit-box;
    overflow: hidden;
    white-space: pre-wrap;
`;

function Changes({ changes }: { changes: readonly Change[] }) {
    const say = strings.act;
    if (changes.length === 0) return <Small>{say.noChange}</Small>;
    return (
        <Whole>
            {changes.map(({ field, before, after }) => (
                <div key={field}>
                    {field === 'comment' ? (
                        <Brief title={after}>
                            <Small>{say.comment}</Small> {after}
                        </Brief>
                    ) : (
                        <>
                            <Small>{strings.fields[field] ?? field}</Small>{' '}
                            {say.from(worded(field, before), worded(field, after))}
                        </>
                    )}
                </div>
            ))}
        </Whole>
    );
}

/** A row that is well needs no words: its change stands beside it. */
function Telling({ outcome, onOverrule }: { outcome: Outcome; onOverrule: ((outcome: Outcome) => void) | undefined }) {
    const say = strings.act;
    if (isWell(outcome) && outcome.advice === '' && outcome.stays === '') return null;
    return (
        <Whole>
            {!isWell(outcome) && <div>{outcome.message}</div>}
            {outcome.advice !== '' && <Strong as="div">{outcome.advice}</Strong>}
            {outcome.stays !== '' && <div>{say.stays(outcome.stays)}</div>}
            {outcome.outcome === 'conflict' && onOverrule !== undefined && (
                <Button label={say.overrule} title={say.overruleHelp} onClick={() => onOverrule(outcome)} />
            )}
            {!isWell(outcome) && outcome.requestId !== '' && (
                <Small as="div">
                    {say.request} <Mono>{outcome.requestId}</Mono>
                </Small>
            )}
        </Whole>
    );
}
