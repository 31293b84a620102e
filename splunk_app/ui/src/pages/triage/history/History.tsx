// The batches that this Splunk wrote lately, who asked for them, and the way to undo them.
import { useEffect, useRef, useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Modal from '@splunk/react-ui/Modal';
import Table from '@splunk/react-ui/Table';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { errorMessage } from '../../../splunk/failure';
import { one, run } from '../../../splunk/search';
import { Focused } from '../../../parts/Focused';
import { batchesIn, isUndoable, LEDGER_SEARCH, type Batch } from '../model/batch';
import { undoBatches } from '../verdict/carryOut';
import type { Item } from '../model/item';
import { Row } from '../../../parts/Page';
import { OutcomeTag, Tag } from '../parts/Tags';
import { When } from '../../../parts/When';
import { worded } from '../model/wording';
import { Sheet, Small, Strong } from '../parts/styles';
import { Notice } from '../parts/Notice';
import type { Outcome } from '../model/outcome';
import { Outcomes } from '../verdict/Outcomes';
import { triage as strings } from '../strings';
import { WriteProgress } from '../verdict/WriteProgress';

interface Props {
    open: boolean;
    earliest: string;
    onClose: () => void;
    onOutcomes: (outcomes: readonly Outcome[]) => void;
    returnFocus: () => void;
    mayWrite: boolean;
    itemOf: (of: { id: string; account: string }) => Item | undefined;
    now: number;
}

/** Times that reach further back than `defenderundo` looks by itself. */
const FURTHER_BACK = new Set(['-90d', '0']);

export function History(props: Props) {
    return (
        <Modal
            open={props.open}
            onRequestClose={props.onClose}
            returnFocus={props.returnFocus}
            style={{ width: 'min(1040px, 94vw)' }}
        >
            {props.open && <Ledger {...props} />}
        </Modal>
    );
}

function Ledger(props: Props) {
    const say = strings.history;
    const [batches, setBatches] = useState<Batch[] | null>(null);
    const [error, setError] = useState<unknown>(null);
    const [asked, setAsked] = useState<Batch | null>(null);
    const [progress, setProgress] = useState<[number, number] | null>(null);
    const [outcomes, setOutcomes] = useState<readonly Outcome[] | null>(null);
    const stop = useRef(new AbortController());

    useEffect(() => {
        const control = new AbortController();
        stop.current = control;
        run(LEDGER_SEARCH, { earliest: props.earliest, signal: control.signal }).then(
            ({ rows }) => setBatches(batchesIn(rows.map((row) => ({ raw: one(row, '_raw'), authentic: one(row, 'authentic') || 'unknown' })))),
            (reason: unknown) => {
                if (!control.signal.aborted) setError(reason);
            },
        );
        return () => stop.current.abort();
    }, [props.earliest]);

    const undo = async (batch: Batch): Promise<void> => {
        stop.current = new AbortController();
        setError(null);
        setProgress([0, 1]);
        try {
            const control = {
                signal: stop.current.signal,
                onProgress: (done: number, of: number) => setProgress([done, of]),
            };
            // Undo looks at least as far back as this list; a batch in it may have begun before the list does.
            const earliest = FURTHER_BACK.has(props.earliest) ? props.earliest : '';
            // The user saw whose batch it is, and confirmed.
            const found = await undoBatches([batch.id], control, { earliest, confirmed: true });
            setOutcomes(found);
            const all = found.length >= batch.changed && found.every(({ outcome }) => outcome === 'updated' || outcome === 'unchanged');
            if (all) {
                setBatches(
                    (before) => before?.map((one) => (one.id === batch.id ? { ...one, undoneBy: '…' } : one)) ?? null,
                );
            }
            props.onOutcomes(found);
        } catch (reason) {
            setError(reason);
        }
        setProgress(null);
    };

    const back = (): void => {
        setAsked(null);
        setOutcomes(null);
        setError(null);
    };
    return (
        <>
            <Modal.Header
                title={asked === null ? say.title : strings.act.undoTitle}
                subtitle={asked === null ? say.text : undefined}
                hideCloseButton={progress !== null}
            />
            <Modal.Body>
                <Sheet data-test="history">
                    {error !== null && (
                        <Notice type="error" title={asked === null ? say.failed : strings.act.failed}>
                            {errorMessage(error)}
                        </Notice>
                    )}
                    {asked === null && batches === null && error === null && <WaitSpinner size="medium" />}
                    {asked === null && batches?.length === 0 && <p>{say.empty}</p>}
                    {asked === null && batches !== null && batches.length > 0 && (
                        <Table aria-label={say.title} tableStyle={{ tableLayout: 'fixed', width: '100%' }}>
                            <Table.Head>
                                <Table.HeadCell width={110}>{say.columns.time}</Table.HeadCell>
                                <Table.HeadCell width={140}>{say.columns.actor}</Table.HeadCell>
                                <Table.HeadCell width="auto">{say.columns.what}</Table.HeadCell>
                                <Table.HeadCell width={200}>{say.columns.outcomes}</Table.HeadCell>
                                <Table.HeadCell width={130}>{say.columns.undo}</Table.HeadCell>
                            </Table.Head>
                            <Table.Body>
                                {batches.map((batch) => (
                                    <Table.Row key={batch.id} data-test="batch-row" data-batch={batch.id}>
                                        <Table.Cell>
                                            <When at={batch.time} now={props.now} />
                                        </Table.Cell>
                                        <Table.Cell>{[batch.actor, ...batch.others].join(', ')}</Table.Cell>
                                        <Table.Cell>
                                            <What batch={batch} itemOf={props.itemOf} />
                                        </Table.Cell>
                                        <Table.Cell>
                                            <Row $gap={4}>
                                                {[...batch.outcomes].map(([outcome, count]) => (
                                                    <OutcomeTag key={outcome} outcome={outcome} count={count} />
                                                ))}
                                            </Row>
                                            {[...batch.strange].map(([word, count]) => (
                                                <Small as="div" key={word} data-test="strange">
                                                    {say.strange(word, count)}
                                                </Small>
                                            ))}
                                        </Table.Cell>
                                        <Table.Cell>
                                            {batch.undoneBy !== null && <Tag>{say.undone}</Tag>}
                                            {props.mayWrite && isUndoable(batch) && (
                                                <Button label={strings.act.undo} onClick={() => setAsked(batch)} />
                                            )}
                                        </Table.Cell>
                                    </Table.Row>
                                ))}
                            </Table.Body>
                        </Table>
                    )}
                    {asked !== null && progress === null && outcomes === null && (
                        <>
                            <p>{strings.act.undoAsk(asked.changed)}</p>
                            <p>{say.askedBy([asked.actor, ...asked.others].join(', '))}</p>
                            <What batch={asked} itemOf={props.itemOf} />
                        </>
                    )}
                    {progress !== null && <WriteProgress phase="undoing" progress={progress} />}
                    {outcomes !== null && <Outcomes outcomes={outcomes} itemOf={props.itemOf} />}
                </Sheet>
            </Modal.Body>
            <Modal.Footer>
                {asked !== null && progress === null && <Button label={strings.act.back} onClick={back} />}
                {asked !== null && progress === null && outcomes === null && (
                    <Focused>
                        {(ref) => (
                            <Button
                                appearance="primary"
                                elementRef={ref}
                                label={strings.act.undoGo}
                                onClick={() => void undo(asked)}
                            />
                        )}
                    </Focused>
                )}
                {progress === null && (asked === null || outcomes !== null) && (
                    <Button appearance="primary" label={strings.act.close} onClick={props.onClose} />
                )}
            </Modal.Footer>
        </>
    );
}

/** The objects of a batch, and the fields it set. */
function What({ batch, itemOf }: { batch: Batch; itemOf: Props['itemOf'] }) {
    const [first] = batch.targets;
    const title = first === undefined ? undefined : itemOf({ id: first, account: batch.account })?.title;
    const which = batch.targets.length === 1 ? (title ?? first) : strings.named[batch.subject](batch.targets.length);
    const asked = batch.requested.map(([field, value]) => `${strings.fields[field] ?? field}: ${worded(field, value)}`);
    return (
        <div style={{ overflowWrap: 'anywhere' }}>
            <Strong>{which}</Strong>
            <Small as="div">{batch.undoes === null ? asked.join(' · ') : strings.history.isUndo(batch.undoes)}</Small>
        </div>
    );
}
