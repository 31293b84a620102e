// How each row would end or has ended: the worst first, each with what to do.
import Button from '@splunk/react-ui/Button';
import Table from '@splunk/react-ui/Table';
import styled from 'styled-components';
import type { Item } from '../model/item';
import { Clipped, Mono, OutcomeTag, Row, Small, Strong, Whole, worded } from '../styles';
import { isWell, tally, worstFirst, type Change, type Ending } from '../model/outcome';
import { triage as strings } from '../strings';

interface Props {
    endings: readonly Ending[];
    /** What is not in the queue is shown by its id alone. */
    itemOf: (ending: Ending) => Item | undefined;
    onOverrule?: ((ending: Ending) => void) | undefined;
}

export function Outcomes({ endings, itemOf, onOverrule }: Props) {
    const say = strings.act;
    const telling = endings.some((ending) => !isWell(ending) || ending.advice !== '' || ending.stays !== '');
    return (
        <>
            <Row style={{ marginBottom: 10 }} aria-live="polite" data-test="tally">
                {tally(endings).map(([outcome, count]) => (
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
                        {worstFirst(endings).map((ending, place) => (
                            <Table.Row
                                key={`${ending.id} ${place}`}
                                data-test="outcome-row"
                                data-outcome={ending.outcome}
                            >
                                <Table.Cell>
                                    <Whole>
                                        <Clipped title={itemOf(ending)?.title}>
                                            <Strong>{itemOf(ending)?.title ?? ending.id}</Strong>
                                        </Clipped>
                                        <Clipped title={ending.id}>
                                            <Small>{ending.id}</Small>
                                        </Clipped>
                                    </Whole>
                                </Table.Cell>
                                <Table.Cell>
                                    <OutcomeTag outcome={ending.outcome} />
                                </Table.Cell>
                                <Table.Cell>
                                    <Changes changes={ending.changes} />
                                </Table.Cell>
                                {telling && (
                                    <Table.Cell>
                                        <Telling ending={ending} onOverrule={onOverrule} />
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

/** What is well needs no words: its change stands beside it. */
function Telling({ ending, onOverrule }: { ending: Ending; onOverrule: ((ending: Ending) => void) | undefined }) {
    const say = strings.act;
    if (isWell(ending) && ending.advice === '' && ending.stays === '') return null;
    return (
        <Whole>
            {!isWell(ending) && <div>{ending.message}</div>}
            {ending.advice !== '' && <Strong as="div">{ending.advice}</Strong>}
            {ending.stays !== '' && <div>{say.stays(ending.stays)}</div>}
            {ending.outcome === 'conflict' && onOverrule !== undefined && (
                <Button label={say.overrule} title={say.overruleHelp} onClick={() => onOverrule(ending)} />
            )}
            {!isWell(ending) && ending.requestId !== '' && (
                <Small as="div">
                    {say.request} <Mono>{ending.requestId}</Mono>
                </Small>
            )}
        </Whole>
    );
}
