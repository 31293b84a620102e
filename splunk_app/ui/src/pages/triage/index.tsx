// The triage page: the queue, one object beside it, and what can be done to one or many.
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Message from '@splunk/react-ui/Message';
import TabBar from '@splunk/react-ui/TabBar';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { setsUpAccounts, triages } from '../../splunk/session';
import { errorMessage } from '../../splunk/failure';
import { VerdictDialog } from './verdict/VerdictDialog';
import { Accounts } from './model/account';
import { asked, naming } from './model/address';
import { BulkBar } from './queue/BulkBar';
import { SeverityCounts } from './queue/SeverityCounts';
import { Details } from './details/Details';
import { Filters } from './queue/Filters';
import { QueueHeader } from './queue/QueueHeader';
import { History } from './history/History';
import type { Item } from './model/item';
import { KeyboardHelp } from './KeyboardHelp';
import { portalLink } from './model/link';
import { Row } from '../../parts/Page';
import { EmptyQueue } from './queue/EmptyQueue';
import { Notice } from './parts/Notice';
import type { Outcome } from './model/outcome';
import { Paginator } from './queue/Paginator';
import { EVERYTHING, MOST, narrowed, OPEN_ONES } from './model/queue';
import { QueueTable } from './queue/QueueTable';
import { strings as every } from '../../strings';
import { triage as strings } from './strings';
import { useVerdictDialog } from './verdict/useVerdictDialog';
import { useKeys } from '../../parts/useKeys';
import { useLink } from './queue/useLink';
import { useList } from './queue/useList';
import { useObjects } from './queue/useObjects';
import { useQueue } from './queue/useQueue';
import { useSelection } from './queue/useSelection';
import { useSession } from './useSession';
import { useStableCallback } from '../../parts/useStableCallback';
import type { Subject } from './model/vocabulary';

const NOWHERE = new Accounts([], []);

export function Triage() {
    const [arrival] = useState(() => asked(window.location.search));
    const [subject, setSubject] = useState<Subject>(arrival.subject);
    const [earliest, setEarliest] = useState(arrival.earliest);
    const [open, setOpen] = useState<Item | null>(null);
    const [history, setHistory] = useState(false);
    const [help, setHelp] = useState(false);
    const now = useNow();

    // The one in sight first, then the inputs, then the other one: a user may run few searches at once.
    const [there, setThere] = useState(false);
    const alerts = useQueue('alert', earliest, subject === 'alert' || there);
    const incidents = useQueue('incident', earliest, subject === 'incident' || there);
    const queue = subject === 'alert' ? alerts : incidents;
    const answered = queue.at !== null || queue.error !== null || queue.cancelled;
    const session = useSession(answered);
    useEffect(() => setThere((before) => before || session.accounts !== null), [session.accounts]);
    const accounts = session.accounts ?? NOWHERE;
    const mayWrite = session.user !== null && triages(session.user);

    const objects = useObjects(alerts.items, incidents.items, accounts);
    const all = subject === 'alert' ? objects.alerts : objects.incidents;
    const list = useList(all, session.mine, arrival.narrowing);
    const selection = useSelection(all);
    const { opening, decide, resolve, assignToMe, close } = useVerdictDialog(mayWrite, session.mine[0]);
    const shown = open === null ? null : objects.current(open);
    const products = useMemo(() => [...new Set(all.flatMap((item) => item.product ?? []))].sort(), [all]);

    const searchField = useRef<HTMLInputElement>(null);
    const heading = useRef<HTMLDivElement>(null);
    const focusRow = (key: string | null): void => {
        const row = key === null ? null : document.querySelector<HTMLElement>(`tr[data-key="${CSS.escape(key)}"]`);
        const first = row ?? document.querySelector<HTMLElement>('tr[data-test="queue-row"]') ?? heading.current;
        first?.focus();
    };
    const cursor = useRef<string | null>(null);
    cursor.current = list.cursor;
    const comeBack = (): void => {
        // The dialog's own focus handling is over first.
        window.requestAnimationFrame(() => focusRow(cursor.current));
    };

    const { narrowing, narrow, setCursor } = list;
    const show = useCallback(
        (item: Item | null): void => {
            setOpen(item);
            if (item !== null) setCursor(item.key);
        },
        [setCursor],
    );
    const linked = useLink(arrival.subject, arrival.id, queue, answered, show);
    // What is in sight, to be reloaded or sent to a colleague.
    const address = naming(window.location.search, {
        subject: open?.subject ?? subject,
        id: open?.id ?? linked.unseen,
        narrowing,
        earliest,
    });
    useEffect(() => {
        // Browsers take only so many changes a minute, fewer than somebody types letters.
        const soon = window.setTimeout(
            () => window.history.replaceState(null, '', `${window.location.pathname}${address}`),
            200,
        );
        return () => window.clearTimeout(soon);
    }, [address]);

    const choose = (next: Subject): void => {
        setSubject(next);
        list.restart(OPEN_ONES);
        selection.clear();
        setOpen(null);
        linked.forget();
    };
    const step = (by: 1 | -1): void => {
        const next = list.step(by);
        if (next === undefined) return;
        if (open === null) window.requestAnimationFrame(() => focusRow(next.key));
        else show(next);
    };

    /** What a key acts on: the selected, or the one in sight. */
    const acting = (): readonly Item[] => {
        if (selection.items.length > 0 && open === null) return selection.items;
        const one = shown ?? list.at;
        return one === undefined ? selection.items : [one];
    };
    const ended = (outcomes: readonly Outcome[]): void => {
        objects.learnFrom(outcomes);
        selection.drop(
            outcomes.flatMap((outcome) => (outcome.outcome === 'updated' ? (objects.named(outcome) ?? []) : [])),
        );
    };

    const account = (item: Item): string | null => {
        const ways = accounts.of(item.tenant);
        return ways.length === 1 ? (ways[0] ?? null) : null;
    };
    const portal = (item: Item): string =>
        portalLink(item.portal, item.subject, item.id, item.tenant, accounts.named(account(item) ?? '')?.cloud);

    const sortBy = useStableCallback(list.sortBy);
    const toggle = useStableCallback((item: Item) => selection.toggle([item]));
    const togglePage = useStableCallback(() => selection.toggle(list.rows));
    const focus = useStableCallback((item: Item) => setCursor(item.key));

    const dialog = opening !== null || history || help;
    useKeys(
        {
            j: () => step(1),
            ArrowDown: () => step(1),
            k: () => step(-1),
            ArrowUp: () => step(-1),
            o: () => show(list.at ?? null),
            x: () => mayWrite && list.at !== undefined && selection.toggle([list.at]),
            a: () => mayWrite && selection.toggle(list.found),
            r: () => resolve(acting()),
            v: () => decide(acting()),
            m: () => assignToMe(acting()),
            p: () => {
                const [one] = acting();
                if (one !== undefined) window.open(portal(one), '_blank', 'noopener');
            },
            u: () => setHistory(true),
            g: () => queue.refresh(),
            '/': () => searchField.current?.focus(),
            '[': () => list.turn(-1),
            ']': () => list.turn(1),
            '?': () => setHelp(true),
            Escape: () => (open === null ? selection.clear() : show(null)),
        },
        !dialog,
    );

    const nothingSetUp = all.length === 0 && session.accounts !== null && accounts.names().length === 0;
    const pageIsSelected = list.rows.every((item) => selection.keys.has(item.key));
    return (
        <div data-test="triage">
            <QueueHeader
                queue={queue}
                now={now}
                headingRef={heading}
                onHistory={() => setHistory(true)}
                onHelp={() => setHelp(true)}
            />
            <TabBar
                activeTabId={subject}
                onChange={(_, { selectedTabId }) => choose(selectedTabId === 'incident' ? 'incident' : 'alert')}
            >
                <TabBar.Tab tabId="alert" label={tabLabel('alert', objects.alerts, alerts.at)} />
                <TabBar.Tab tabId="incident" label={tabLabel('incident', objects.incidents, incidents.at)} />
            </TabBar>

            <div style={{ margin: '14px 0 10px' }}>
                <Filters
                    subject={subject}
                    earliest={earliest}
                    onEarliest={setEarliest}
                    narrowing={narrowing}
                    onNarrowing={narrow}
                    products={products}
                    searchRef={searchField}
                    narrowed={JSON.stringify(narrowing) !== JSON.stringify(OPEN_ONES)}
                    onClear={() => narrow(OPEN_ONES)}
                />
            </div>

            {session.user !== null && !mayWrite && (
                <Message type="info" style={{ marginBottom: 10 }}>
                    <strong>{strings.page.capability.title}</strong> {strings.page.capability.text}
                </Message>
            )}
            {session.error !== null && (
                <Notice type="error" title={strings.page.noSession}>
                    {errorMessage(session.error)} <Button label={every.failure.tryAgain} onClick={session.again} />
                </Notice>
            )}
            {linked.missing !== null && <Missing {...linked.missing} />}
            {queue.error !== null && (
                <Notice type="error" title={strings.empty.failed}>
                    {errorMessage(queue.error)} <Button label={strings.page.refresh} onClick={queue.refresh} />
                </Notice>
            )}
            {queue.cancelled && <Notice type="info">{strings.page.cancelled}</Notice>}
            {all.length >= MOST && <Notice type="info">{strings.page.capped(MOST)}</Notice>}

            {list.found.length > 0 && (
                <>
                    <SeverityCounts
                        items={narrowed(all, { ...narrowing, severity: '' }, session.mine)}
                        chosen={narrowing.severity}
                        onChoose={(severity) => narrow({ ...narrowing, severity })}
                    />
                    <QueueTable
                        subject={subject}
                        items={list.rows}
                        order={list.order}
                        onOrder={sortBy}
                        selected={selection.keys}
                        selectable={mayWrite}
                        onToggle={toggle}
                        onTogglePage={togglePage}
                        current={list.cursor}
                        onOpen={show}
                        onFocus={focus}
                        alertsOf={objects.alertsOf}
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
                    subject={subject}
                    setUp={!nothingSetUp}
                    administers={session.user !== null && setsUpAccounts(session.user)}
                    loaded={all.length}
                    onClear={() => narrow(EVERYTHING)}
                />
            )}

            {mayWrite && selection.items.length > 0 && (
                <BulkBar
                    count={selection.items.length}
                    hidden={selection.items.filter((item) => !list.found.includes(item)).length}
                    rest={pageIsSelected && list.found.length > selection.items.length ? list.found.length : 0}
                    onAll={() => selection.take(list.found)}
                    onResolve={() => resolve(selection.items)}
                    onDecide={() => decide(selection.items)}
                    onAssignToMe={() => assignToMe(selection.items)}
                    onClear={selection.clear}
                />
            )}

            <Details
                item={shown}
                onClose={() => show(null)}
                onStep={step}
                onOpen={(item) => {
                    if (item.subject !== subject) choose(item.subject);
                    show(item);
                }}
                onDecide={(items) => decide(items)}
                onResolve={resolve}
                onLive={(item, live) => objects.learn(item, live.state)}
                returnFocus={comeBack}
                mayWrite={mayWrite}
                account={shown === null ? null : account(shown)}
                address={(item) => naming('', { subject: item.subject, id: item.id, narrowing: OPEN_ONES, earliest })}
                portal={portal}
                alertsOf={objects.alertsOf}
                incidentOf={objects.incidentOf}
                now={now}
            />
            <VerdictDialog
                opening={opening}
                accounts={accounts}
                mine={session.mine}
                maxTargets={session.maxTargets}
                onClose={close}
                onOutcomes={ended}
                onOwner={session.remember}
                returnFocus={comeBack}
            />
            <History
                open={history}
                earliest={earliest}
                onClose={() => setHistory(false)}
                onOutcomes={ended}
                returnFocus={comeBack}
                mayWrite={mayWrite}
                itemOf={objects.named}
                now={now}
            />
            <KeyboardHelp open={help} onClose={() => setHelp(false)} returnFocus={comeBack} />
        </div>
    );
}

/** What a link named and the page cannot show. */
function Missing({ id, error }: { id: string; error?: unknown }) {
    const say = strings.empty;
    if (error === undefined) return <Notice type="warning" title={say.missing(id)}>{say.missingHelp}</Notice>;
    return <Notice type="error" title={say.notSought(id)}>{errorMessage(error)}</Notice>;
}

function tabLabel(subject: Subject, items: readonly Item[], at: number | null): string {
    const name = strings.subjects[subject];
    if (at === null) return name;
    return `${name} (${narrowed(items, OPEN_ONES, []).length.toLocaleString('en')} ${strings.filters.open.toLowerCase()})`;
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
