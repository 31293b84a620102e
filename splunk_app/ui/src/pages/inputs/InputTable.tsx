// All inputs of this server, and those of others that leave events in the index.

import Switch from '@splunk/react-ui/Switch';
import Table from '@splunk/react-ui/Table';
import Heading from '@splunk/react-ui/Heading';
import { RowAction } from '../../parts/RowAction';
import { Bar, Muted, OneLine, Row } from '../../parts/Page';
import type { Health } from '../../splunk/health';
import type { Input } from '../../splunk/inputs';
import { strings } from '../../strings';
import { Following, LastRun, Newest, NextRun } from './InputStatus';
import { isStream, pause } from './input';
import { span } from '../../time';

const words = strings.inputs;

interface Props {
    inputs: Input[];
    health: Map<string, Health>;
    now: number;
    mayEdit: boolean;
    /** The input being enabled or disabled. */
    switching: string | undefined;
    /** The input that a link named. */
    linked: string | undefined;
    onSwitch: (input: Input) => void;
    onEdit: (input: Input) => void;
    onClone: (input: Input) => void;
    onDelete: (input: Input) => void;
}

function what(feed: string, api: string): string {
    const name = words.feed[feed] ?? feed;
    return isStream(feed) ? name : `${name}, ${words.api[api] ?? api}`;
}

function every(interval: string): string {
    const between = pause(interval);
    return between === undefined ? words.cron(interval) : words.every(span(between));
}

function Name({ name, what: reads }: { name: string; what: string }) {
    return (
        <div style={{ minWidth: 0 }}>
            <OneLine title={name}>
                <strong>{name}</strong>
            </OneLine>
            <Muted>{reads}</Muted>
        </div>
    );
}

export function InputTable({ inputs, health, now, mayEdit, switching, linked, onSwitch, onEdit, onClone, onDelete }: Props) {
    return (
        <Table stripeRows tableStyle={{ minWidth: mayEdit ? 1200 : 990, tableLayout: 'fixed', width: '100%' }}>
            <Table.Head>
                <Table.HeadCell width="auto">{words.column.name}</Table.HeadCell>
                <Table.HeadCell width={150}>{words.column.account}</Table.HeadCell>
                <Table.HeadCell width={130}>{words.column.index}</Table.HeadCell>
                <Table.HeadCell width={150}>{words.column.last}</Table.HeadCell>
                <Table.HeadCell width={130}>{words.column.newest}</Table.HeadCell>
                <Table.HeadCell width={130}>{words.column.next}</Table.HeadCell>
                <Table.HeadCell width={92}>{words.column.enabled}</Table.HeadCell>
                {mayEdit ? <Table.HeadCell width={210}>{words.column.actions}</Table.HeadCell> : null}
            </Table.Head>
            <Table.Body>
                {inputs.map((input) => {
                    const of = health.get(input.name);
                    const { feed = 'alerts', api = 'graph', interval = '60' } = input.settings;
                    return (
                        <Table.Row key={input.name} {...place(input.name, linked)}>
                            <Table.Cell>
                                <Name name={input.name} what={what(feed, api)} />
                            </Table.Cell>
                            <Table.Cell>
                                <OneLine title={input.settings.account}>{input.settings.account}</OneLine>
                            </Table.Cell>
                            <Table.Cell>
                                <OneLine title={input.settings.index}>{input.settings.index}</OneLine>
                            </Table.Cell>
                            <Table.Cell>
                                <LastRun health={of} now={now} enabled={input.enabled} />
                            </Table.Cell>
                            <Table.Cell>
                                <Newest health={of} now={now} />
                            </Table.Cell>
                            <Table.Cell>
                                <div>
                                    {isStream(feed) ? (
                                        <Following health={of} now={now} enabled={input.enabled} />
                                    ) : (
                                        <>
                                            <NextRun health={of} now={now} interval={interval} enabled={input.enabled} />
                                            {input.enabled && <Muted>{every(interval)}</Muted>}
                                        </>
                                    )}
                                </div>
                            </Table.Cell>
                            <Table.Cell>
                                <Switch appearance="toggle" selected={input.enabled} disabled={!mayEdit || switching === input.name} onClick={() => onSwitch(input)} aria-label={words.enable(input.name)} />
                            </Table.Cell>
                            {mayEdit ? (
                                <Table.Cell>
                                    <Row $gap={0} $wrap={false}>
                                        <RowAction what={strings.action.edit} to={input.name} onClick={() => onEdit(input)} />
                                        <RowAction what={strings.action.clone} to={input.name} onClick={() => onClone(input)} />
                                        <RowAction what={strings.action.delete} to={input.name} onClick={() => onDelete(input)} />
                                    </Row>
                                </Table.Cell>
                            ) : null}
                        </Table.Row>
                    );
                })}
            </Table.Body>
        </Table>
    );
}

/** Of a row, so that a link can lead to it; the one it leads to is marked. */
function place(name: string, linked: string | undefined) {
    if (name !== linked) return { 'data-input': name };
    return { 'data-input': name, 'aria-current': true, tabIndex: -1, style: { outline: '2px solid currentColor', outlineOffset: -2 } };
}

export function Elsewhere({ health, now, linked }: { health: Health[]; now: number; linked: string | undefined }) {
    const text = words.elsewhere;
    return (
        <section style={{ marginTop: 32 }}>
            <Heading level={2}>{text.title}</Heading>
            <Bar>
                <p>{text.text}</p>
            </Bar>
            <Table stripeRows tableStyle={{ minWidth: 900, tableLayout: 'fixed', width: '100%' }}>
                <Table.Head>
                    <Table.HeadCell width="auto">{words.column.name}</Table.HeadCell>
                    <Table.HeadCell width={200}>{text.host}</Table.HeadCell>
                    <Table.HeadCell width={200}>{words.column.account}</Table.HeadCell>
                    <Table.HeadCell width={180}>{words.column.last}</Table.HeadCell>
                    <Table.HeadCell width={150}>{words.column.newest}</Table.HeadCell>
                </Table.Head>
                <Table.Body>
                    {health.map((of) => (
                        <Table.Row key={of.name} {...place(of.name, linked)}>
                            <Table.Cell>
                                <Name name={of.name} what={what(of.feed, of.api)} />
                            </Table.Cell>
                            <Table.Cell>
                                <OneLine title={of.host}>{of.host}</OneLine>
                            </Table.Cell>
                            <Table.Cell>
                                <OneLine title={of.account}>{of.account}</OneLine>
                            </Table.Cell>
                            <Table.Cell>
                                <LastRun health={of} now={now} enabled />
                            </Table.Cell>
                            <Table.Cell>
                                <Newest health={of} now={now} />
                            </Table.Cell>
                        </Table.Row>
                    ))}
                </Table.Body>
            </Table>
        </section>
    );
}
