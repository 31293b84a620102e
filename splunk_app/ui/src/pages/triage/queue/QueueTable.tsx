// One page of the queue as a table: sortable, selectable, one row in focus.
import { memo } from 'react';
import variables from '@splunk/themes/variables';
import Table from '@splunk/react-ui/Table';
import styled from 'styled-components';
import type { Item } from '../model/item';
import { Row } from '../../../parts/Page';
import { Severity, StatusTag, Tag } from '../parts/Tags';
import { When } from '../../../parts/When';
import { Clipped, Small, Strong, Whole } from '../parts/styles';
import type { Column, Order } from '../model/queue';
import { triage as strings } from '../strings';
import type { Subject } from '../model/vocabulary';

interface Props {
    subject: Subject;
    items: readonly Item[];
    order: Order;
    onOrder: (by: Column) => void;
    selected: ReadonlySet<string>;
    /** Who may not write has nothing to select for. */
    selectable: boolean;
    onToggle: (item: Item) => void;
    onTogglePage: () => void;
    current: string | null;
    onOpen: (item: Item) => void;
    onFocus: (item: Item) => void;
    alertsOf: (incident: Item) => readonly Item[];
    now: number;
}

const Frame = styled.div`
    /* The row's own ring is a positioned ::after, which a fixed table layout counts as one more column. */
    tr:focus::after {
        content: none;
    }
    tr:focus {
        outline: 2px solid ${variables.focusColor};
        outline-offset: -2px;
    }
    tr[data-current='true'] > td {
        background: ${variables.interactiveColorOverlaySelected};
    }
    tr[data-current='true'] span:not([data-tag]) {
        color: ${variables.contentColorActive};
    }
    tr[data-current='true'] > td:first-child {
        box-shadow: inset 3px 0 0 ${variables.focusColor};
    }
    background: ${variables.backgroundColorSection};
    overflow-x: auto;
    > div {
        min-width: 1080px;
    }
`;

const COLUMNS: [Column | 'affected', number | 'auto'][] = [
    ['severity', 128],
    ['title', 'auto'],
    ['affected', 220],
    ['product', 116],
    ['status', 122],
    ['owner', 168],
    ['updated', 116],
];

/** Fifty rows are slow to draw, so they are drawn again only when what they show has changed. */
export const QueueTable = memo(function QueueTable(props: Props) {
    const { items, order, selected, selectable } = props;
    const say = strings.table;
    const chosen = items.filter((item) => selected.has(item.key)).length;
    const rowSelection = chosen === 0 ? 'none' : chosen === items.length ? 'all' : 'some';
    const several = new Set(items.map((item) => item.tenant)).size > 1;
    return (
        <Frame role="region" aria-label={say.label(strings.subjects[props.subject])}>
            <Table
                headType="inline"
                tableStyle={{ tableLayout: 'fixed', width: '100%' }}
                primaryColumnIndex={1}
                {...(selectable ? { rowSelection, onRequestToggleAllRows: props.onTogglePage } : {})}
            >
                <Table.Head>
                    {COLUMNS.map(([column, width]) => (
                        <Table.HeadCell
                            key={column}
                            width={width}
                            {...(column === 'affected'
                                ? {}
                                : {
                                      sortKey: column,
                                      sortDir: order.by === column ? (order.descending ? 'desc' : 'asc') : 'none',
                                      onSort: () => props.onOrder(column),
                                  })}
                        >
                            {say.columns[column as keyof typeof say.columns]}
                        </Table.HeadCell>
                    ))}
                </Table.Head>
                <Table.Body>
                    {items.map((item) => (
                        <Table.Row
                            key={item.key}
                            data={item}
                            data-key={item.key}
                            data-test="queue-row"
                            data-current={item.key === props.current}
                            aria-current={item.key === props.current ? 'true' : undefined}
                            rowScreenReaderText={item.title}
                            onClick={() => props.onOpen(item)}
                            onFocus={() => props.onFocus(item)}
                            {...(selectable
                                ? { selected: selected.has(item.key), onRequestToggle: () => props.onToggle(item) }
                                : {})}
                        >
                            <Table.Cell>
                                <Severity severity={item.severity} />
                            </Table.Cell>
                            <Table.Cell>
                                <Title item={item} tenant={several} alerts={props.alertsOf(item).length} />
                            </Table.Cell>
                            <Table.Cell>
                                <Affected names={[...item.devices, ...item.users]} />
                            </Table.Cell>
                            <Table.Cell>
                                <Clipped>
                                    {item.product === null
                                        ? strings.unset
                                        : (strings.products[item.product] ?? item.product)}
                                </Clipped>
                            </Table.Cell>
                            <Table.Cell>
                                <StatusTag status={item.status} />
                            </Table.Cell>
                            <Table.Cell>
                                {item.owner === null ? (
                                    <Small>{say.unassigned}</Small>
                                ) : (
                                    <Clipped title={item.owner}>{item.owner}</Clipped>
                                )}
                            </Table.Cell>
                            <Table.Cell>
                                <When at={item.updated} now={props.now} />
                            </Table.Cell>
                        </Table.Row>
                    ))}
                </Table.Body>
            </Table>
        </Frame>
    );
});

function Title({ item, tenant, alerts }: { item: Item; tenant: boolean; alerts: number }) {
    const verdict = item.determination ?? item.classification;
    const beside = [
        item.subject === 'alert' && item.incidentId !== null ? strings.table.incident(item.incidentId) : null,
        item.subject === 'incident' ? `#${item.id}` : null,
        alerts > 0 ? strings.named.alert(alerts) : null,
        item.category,
        item.threat,
        ...item.techniques.slice(0, 2),
        tenant ? item.tenant : null,
    ].filter(Boolean);
    return (
        <Whole>
            <Row $wrap={false}>
                <Clipped title={item.title} style={{ minWidth: '50%' }}>
                    <Strong>{item.title}</Strong>
                </Clipped>
                {verdict !== null && (
                    <Tag>{strings.determinations[verdict] ?? strings.classifications[verdict] ?? verdict}</Tag>
                )}
            </Row>
            <Clipped>
                <Small>{beside.join(' · ')}</Small>
            </Clipped>
        </Whole>
    );
}

function Affected({ names }: { names: readonly string[] }) {
    const [first, second, ...rest] = names;
    if (first === undefined) return <span>{strings.unset}</span>;
    return (
        <Whole title={names.join('\n')}>
            <Clipped>{first}</Clipped>
            {second !== undefined && (
                <Row $gap={6} $wrap={false}>
                    <Clipped>
                        <Small>{second}</Small>
                    </Clipped>
                    {rest.length > 0 && <Small>{strings.table.more(rest.length)}</Small>}
                </Row>
            )}
        </Whole>
    );
}
