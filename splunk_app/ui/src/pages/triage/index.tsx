// The triage page: the queue, one object beside it, and what can be done to one or many.
import { useEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import TabBar from '@splunk/react-ui/TabBar';
import { useKeys } from '../../parts/useKeys';
import { Details } from './details/Details';
import { History } from './history/History';
import { KeyboardHelp } from './KeyboardHelp';
import type { Item } from './model/item';
import { filtered, OPEN_FILTER } from './model/queue';
import type { Subject } from './model/vocabulary';
import { PageNotices } from './PageNotices';
import { Filters } from './queue/Filters';
import { QueueHeader } from './queue/QueueHeader';
import { useRowFocus } from './queue/useRowFocus';
import { QueueView } from './QueueView';
import { triage as strings } from './strings';
import { useAddressBar } from './useAddressBar';
import { useTriage } from './useTriage';
import { useVerdictDialog } from './verdict/useVerdictDialog';
import { VerdictDialog } from './verdict/VerdictDialog';

export function Triage() {
    const page = useTriage();
    const { list, mayWrite, objects, selection, session, show, shown, subject } = page;
    const { filter, filterBy } = list;
    const verdict = useVerdictDialog(mayWrite, session.mine[0]);
    const [history, setHistory] = useState(false);
    const [help, setHelp] = useState(false);
    const searchField = useRef<HTMLInputElement>(null);
    const heading = useRef<HTMLDivElement>(null);
    const { focusRow, returnFocus } = useRowFocus(list.cursor, heading);
    const now = useNow();
    useAddressBar(page.address);

    const step = (by: 1 | -1): void => {
        // The row is drawn before it takes the focus.
        const next = flushSync(() => list.step(by));
        if (next === undefined) return;
        if (shown === null) focusRow(next.key);
        else show(next);
    };
    useKeys(
        {
            j: () => step(1),
            ArrowDown: () => step(1),
            k: () => step(-1),
            ArrowUp: () => step(-1),
            o: () => show(list.at ?? null),
            x: () => mayWrite && list.at !== undefined && selection.toggle([list.at]),
            a: () => mayWrite && selection.toggle(list.found),
            r: () => verdict.resolve(page.acting()),
            v: () => verdict.decide(page.acting()),
            m: () => verdict.assignToMe(page.acting()),
            p: () => {
                const [one] = page.acting();
                if (one !== undefined) window.open(page.portal(one), '_blank', 'noopener');
            },
            u: () => setHistory(true),
            g: () => page.queue.refresh(),
            '/': () => searchField.current?.focus(),
            '[': () => list.turn(-1),
            ']': () => list.turn(1),
            '?': () => setHelp(true),
            Escape: () => (shown === null ? selection.clear() : show(null)),
        },
        verdict.opening === null && !history && !help,
    );

    return (
        <div data-test="triage">
            <QueueHeader
                queue={page.queue}
                now={now}
                headingRef={heading}
                onHistory={() => setHistory(true)}
                onHelp={() => setHelp(true)}
            />
            <TabBar
                activeTabId={subject}
                onChange={(_, { selectedTabId }) => page.choose(selectedTabId === 'incident' ? 'incident' : 'alert')}
            >
                <TabBar.Tab tabId="alert" label={tabLabel('alert', objects.alerts, page.searched.alert)} />
                <TabBar.Tab tabId="incident" label={tabLabel('incident', objects.incidents, page.searched.incident)} />
            </TabBar>

            <div style={{ margin: '14px 0 10px' }}>
                <Filters
                    subject={subject}
                    earliest={page.earliest}
                    onEarliest={page.setEarliest}
                    filter={filter}
                    onFilter={filterBy}
                    products={page.products}
                    searchRef={searchField}
                    active={JSON.stringify(filter) !== JSON.stringify(OPEN_FILTER)}
                    onClear={() => filterBy(OPEN_FILTER)}
                />
            </div>
            <PageNotices {...page} />
            <QueueView page={page} verdict={verdict} now={now} />

            <Details
                item={shown}
                onClose={() => show(null)}
                onStep={step}
                onOpen={page.open}
                onDecide={(items) => verdict.decide(items)}
                onResolve={verdict.resolve}
                onLive={(item, live) => objects.learn(item, live.state)}
                returnFocus={returnFocus}
                mayWrite={mayWrite}
                account={shown === null ? null : page.account(shown)}
                address={page.addressOf}
                portal={page.portal}
                alertsOf={objects.alertsOf}
                incidentOf={objects.incidentOf}
                now={now}
            />
            <VerdictDialog
                opening={verdict.opening}
                accounts={page.accounts}
                mine={session.mine}
                maxTargets={session.maxTargets}
                onClose={verdict.close}
                onOutcomes={page.learn}
                onOwner={session.remember}
                returnFocus={returnFocus}
            />
            <History
                open={history}
                earliest={page.earliest}
                onClose={() => setHistory(false)}
                onOutcomes={page.learn}
                returnFocus={returnFocus}
                mayWrite={mayWrite}
                itemOf={objects.named}
                now={now}
            />
            <KeyboardHelp open={help} onClose={() => setHelp(false)} returnFocus={returnFocus} />
        </div>
    );
}

function tabLabel(subject: Subject, items: readonly Item[], at: number | null): string {
    const name = strings.subjects[subject];
    if (at === null) return name;
    return `${name} (${filtered(items, OPEN_FILTER, []).length.toLocaleString('en')} ${strings.filters.open.toLowerCase()})`;
}

/** Ages grow while the page is open. */
function useNow(): number {
    const [now, setNow] = useState(Date.now);
    useEffect(() => {
        const timer = window.setInterval(() => setNow(Date.now()), 30_000);
        return () => window.clearInterval(timer);
    }, []);
    return now;
}
