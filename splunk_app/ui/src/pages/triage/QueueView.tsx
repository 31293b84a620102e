// The queue: how many objects of each severity, the page of the list in sight, and what can be done to the selected ones.
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { Row } from '../../parts/Page';
import { useStableCallback } from '../../parts/useStableCallback';
import { setsUpAccounts } from '../../splunk/session';
import type { Item } from './model/item';
import { NO_FILTER, filtered } from './model/queue';
import { BulkBar } from './queue/BulkBar';
import { EmptyQueue } from './queue/EmptyQueue';
import { Paginator } from './queue/Paginator';
import { QueueTable } from './queue/QueueTable';
import { SeverityCounts } from './queue/SeverityCounts';
import type { TriageState } from './useTriage';
import type { VerdictDialogState } from './verdict/useVerdictDialog';

interface Props {
    page: TriageState;
    verdict: VerdictDialogState;
    now: number;
}

export function QueueView({ page, verdict, now }: Props) {
    const { all, list, mayWrite, queue, selection, session } = page;
    const { filter, filterBy } = list;
    // Rows are drawn again only for what they show, so what they call stays the same.
    const sortBy = useStableCallback(list.sortBy);
    const toggle = useStableCallback((item: Item) => selection.toggle([item]));
    const togglePage = useStableCallback(() => selection.toggle(list.rows));
    const focus = useStableCallback((item: Item) => list.setCursor(item.key));
    const pageIsSelected = list.rows.every((item) => selection.keys.has(item.key));
    const setUp = all.length > 0 || page.accounts.names().length > 0;
    return (
        <>
            {list.found.length > 0 && (
                <>
                    <SeverityCounts
                        items={filtered(all, { ...filter, severity: '' }, session.mine)}
                        chosen={filter.severity}
                        onChoose={(severity) => filterBy({ ...filter, severity })}
                    />
                    <QueueTable
                        subject={page.subject}
                        items={list.rows}
                        order={list.order}
                        onOrder={sortBy}
                        selected={selection.keys}
                        selectable={mayWrite}
                        onToggle={toggle}
                        onTogglePage={togglePage}
                        current={list.cursor}
                        onOpen={page.show}
                        onFocus={focus}
                        alertsOf={page.objects.alertsOf}
                        now={now}
                    />
                    <Paginator list={list} />
                </>
            )}
            {list.found.length === 0 && queue.at === null && queue.state !== null && (
                <Row style={{ justifyContent: 'center', padding: 64 }}>
                    <WaitSpinner size="large" />
                </Row>
            )}
            {list.found.length === 0 && queue.at !== null && queue.error === null && session.accounts !== null && (
                <EmptyQueue
                    subject={page.subject}
                    setUp={setUp}
                    administers={session.user !== null && setsUpAccounts(session.user)}
                    loaded={all.length}
                    onClear={() => filterBy(NO_FILTER)}
                />
            )}

            {mayWrite && selection.items.length > 0 && (
                <BulkBar
                    count={selection.items.length}
                    hidden={selection.items.filter((item) => !list.found.includes(item)).length}
                    rest={pageIsSelected && list.found.length > selection.items.length ? list.found.length : 0}
                    onAll={() => selection.take(list.found)}
                    onResolve={() => verdict.resolve(selection.items)}
                    onDecide={() => verdict.decide(selection.items)}
                    onAssignToMe={() => verdict.assignToMe(selection.items)}
                    onClear={selection.clear}
                />
            )}
        </>
    );
}
