// The report for an issue: how this Splunk keeps to what the app relies on, looked at and copied with one button.

import { useEffect, useRef, useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Message from '@splunk/react-ui/Message';
import Table from '@splunk/react-ui/Table';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { copy } from '../../parts/copy';
import { Failed } from '../../parts/Failed';
import { ROOT } from '../../parts/Frame';
import { Bar, LookOnly, MessageArea, Row } from '../../parts/Page';
import type { State } from '../../splunk/search';
import { markdown, selftest, type Contract } from '../../splunk/selftest';
import type { Session } from '../../splunk/session';
import { strings } from '../../strings';

const words = strings.report;

interface Done {
    contracts: Contract[];
    at: Date;
}

export function Report({ session }: { session: Session }) {
    const [done, setDone] = useState<Done>();
    const [error, setError] = useState<unknown>();
    const [state, setState] = useState<State>();
    const [copied, setCopied] = useState<boolean>();
    const stop = useRef<AbortController>(undefined);
    useEffect(() => () => stop.current?.abort(), []);

    if (!session.can('admin_all_objects')) return <LookOnly why={words.rights} />;

    const take = async ({ contracts, at }: Done) => setCopied(await copy(markdown(contracts, at)));
    const look = async () => {
        const here = new AbortController();
        stop.current = here;
        setDone(undefined);
        setError(undefined);
        setCopied(undefined);
        setState('running');
        try {
            const loader = document.getElementById(ROOT)?.getAttribute('data-mounted') ?? '';
            const contracts = await selftest(loader, { signal: here.signal, onState: setState });
            if (here.signal.aborted) return;
            if (contracts.length === 0) throw new Error(words.empty);
            const found = { contracts, at: new Date() };
            setDone(found);
            await take(found);
        } catch (failure) {
            if (!here.signal.aborted) setError(failure);
        } finally {
            if (!here.signal.aborted) setState(undefined);
        }
    };
    const works = state !== undefined;
    return (
        <>
            <Bar>
                <p>{words.intro}</p>
                <Row>
                    {done !== undefined && <Button appearance="secondary" disabled={works} label={words.again} onClick={() => void look()} />}
                    <Button appearance="primary" disabled={works} label={words.copy} onClick={() => void (done === undefined ? look() : take(done))} />
                </Row>
            </Bar>
            <div role="status">
                {works && (
                    <Row style={{ padding: '24px 0' }}>
                        <WaitSpinner size="medium" />
                        {state === 'queued' ? words.queued : words.running}
                    </Row>
                )}
                {copied !== undefined && (
                    <MessageArea>
                        <Message type={copied ? 'success' : 'warning'} appearance="fill">
                            {copied ? words.copied : words.refused}
                        </Message>
                    </MessageArea>
                )}
            </div>
            {error !== undefined && <Failed error={error} title={words.failed} />}
            {done !== undefined && (
                <Table stripeRows tableStyle={{ minWidth: 1000, tableLayout: 'fixed', width: '100%' }}>
                    <Table.Head>
                        <Table.HeadCell width={190}>{words.column.contract}</Table.HeadCell>
                        <Table.HeadCell width={110}>{words.column.result}</Table.HeadCell>
                        <Table.HeadCell width="auto">{words.column.found}</Table.HeadCell>
                        <Table.HeadCell width={220}>{words.column.expected}</Table.HeadCell>
                        <Table.HeadCell width={240}>{words.column.what_to_do}</Table.HeadCell>
                    </Table.Head>
                    <Table.Body>
                        {done.contracts.map((one) => (
                            <Table.Row key={one.contract}>
                                {([one.contract, words.result[one.result], one.found, one.expected, one.what_to_do] as const).map((text, place) => (
                                    <Table.Cell key={place}>
                                        <span style={{ overflowWrap: 'anywhere' }}>{text}</span>
                                    </Table.Cell>
                                ))}
                            </Table.Row>
                        ))}
                    </Table.Body>
                </Table>
            )}
        </>
    );
}
