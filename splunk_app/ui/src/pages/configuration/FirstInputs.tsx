// After the first account: the inputs most start with, created in one go.

import { useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Checkbox from '@splunk/react-ui/Checkbox';
import CheckCircle from '@splunk/react-icons/CheckCircle';
import Message from '@splunk/react-ui/Message';
import Modal from '@splunk/react-ui/Modal';
import Text from '@splunk/react-ui/Text';
import styled from 'styled-components';
import { ChoiceField, SuggestField } from '../../parts/Field';
import { Row } from '../../parts/Page';
import { useFirstField } from '../../parts/useFirstField';
import { useLoaded } from '../../parts/useLoaded';
import { SplunkFailure, errorMessage } from '../../splunk/failure';
import * as inputs from '../../splunk/inputs';
import { indexes, info } from '../../splunk/server';
import { page } from '../../splunk/web';
import { strings } from '../../strings';
import { WhereToRun } from '../inputs/WhereToRun';

const words = strings.wizard;
const FEEDS = ['alerts', 'incidents'] as const;

const Line = styled.div`
    display: grid;
    grid-template-columns: 120px 1fr auto 64px auto;
    align-items: center;
    gap: 8px;
`;

interface WizardRow {
    feed: (typeof FEEDS)[number];
    wanted: boolean;
    name: string;
    interval: string;
    state?: 'created' | { wrong: string };
}

interface Props {
    account: string;
    working: boolean;
    onWorking: (working: boolean) => void;
    onCreated: () => void;
    onClose: () => void;
}

export function FirstInputs({ account, working, onWorking, onCreated, onClose }: Props) {
    const [rows, setRows] = useState<WizardRow[]>(() => FEEDS.map((feed) => ({ feed, wanted: true, name: `${account}_${feed}`, interval: feed === 'alerts' ? '60' : '300' })));
    const [index, setIndex] = useState('main');
    const [start, setStart] = useState('-7d');
    const around = useFirstField<HTMLDivElement>();
    const known = useLoaded((signal) => indexes(signal).catch(() => []));
    const server = useLoaded((signal) => info(signal).catch(() => undefined));
    const change = (feed: string, part: Partial<WizardRow>) => setRows((now) => now.map((row) => (row.feed === feed ? { ...row, ...part } : row)));

    const open = rows.filter((row) => row.wanted && row.state !== 'created');
    const created = rows.filter((row) => row.state === 'created');

    const create = async () => {
        onWorking(true);
        let some = false;
        for (const row of open) {
            try {
                await inputs.create(row.name.trim(), { account, feed: row.feed, index: index.trim(), interval: row.interval.trim(), start });
                change(row.feed, { state: 'created' });
                some = true;
            } catch (error) {
                const exists = error instanceof SplunkFailure && error.kind === 'exists';
                change(row.feed, { state: { wrong: exists ? words.exists : errorMessage(error) } });
            }
        }
        onWorking(false);
        if (some) onCreated();
    };

    return (
        <>
            <Modal.Header title={words.title(account)} hideCloseButton={working} />
            <Modal.Body>
                <p style={{ marginTop: 0 }}>{words.text}</p>
                <WhereToRun server={server.value} />
                <div ref={around}>
                    {rows.map((row) => (
                        <div key={row.feed} style={{ marginBottom: 12 }}>
                            {row.state === 'created' ? (
                                <Row role="status">
                                    <CheckCircle aria-hidden="true" /> {words.created(row.name)}
                                </Row>
                            ) : (
                                <Line>
                                    <Checkbox checked={row.wanted} disabled={working} onChange={() => change(row.feed, { wanted: !row.wanted })}>
                                        {words.feed[row.feed]}
                                    </Checkbox>
                                    <Text
                                        value={row.name}
                                        disabled={working || !row.wanted}
                                        onChange={(_, { value }) => change(row.feed, { name: value, state: undefined })}
                                        aria-label={`${words.name}: ${words.feed[row.feed]}`}
                                    />
                                    <span>{words.interval}</span>
                                    <Text
                                        value={row.interval}
                                        disabled={working || !row.wanted}
                                        onChange={(_, { value }) => change(row.feed, { interval: value, state: undefined })}
                                        aria-label={`${words.interval}: ${words.feed[row.feed]}`}
                                    />
                                    <span>{words.seconds}</span>
                                </Line>
                            )}
                            {row.state !== undefined && row.state !== 'created' && (
                                <div style={{ marginTop: 8 }}>
                                    <Message type="error" appearance="fill">
                                        <div role="alert">{row.state.wrong}</div>
                                    </Message>
                                </div>
                            )}
                        </div>
                    ))}
                </div>
                {created.length < rows.length && (
                    <div style={{ marginTop: 20 }}>
                        <SuggestField label={strings.wizard.index} help={words.indexHelp} value={index} disabled={working} onChange={setIndex} options={known.value ?? []} />
                        <ChoiceField
                            label={words.start}
                            value={start}
                            disabled={working}
                            onChange={setStart}
                            options={Object.entries(words.starts).map(([value, label]) => ({ value, label }))}
                        />
                    </div>
                )}
                {created.length > 0 && open.length === 0 && <Message type="success">{words.done}</Message>}
            </Modal.Body>
            <Modal.Footer>
                {open.length === 0 && created.length > 0 ? (
                    <>
                        <Button appearance="secondary" onClick={onClose} label={strings.action.close} />
                        <Button appearance="primary" to={page('inputs')} label={words.toInputs} />
                    </>
                ) : (
                    <>
                        <Button appearance="secondary" disabled={working} onClick={onClose} label={words.later} />
                        <Button appearance="primary" disabled={working || open.length === 0} onClick={() => void create()} label={working ? words.creating : words.create(open.length)} />
                    </>
                )}
            </Modal.Footer>
        </>
    );
}
