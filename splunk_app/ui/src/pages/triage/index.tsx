// The triage page: the queue, one object beside it, and what can be done to one or many.
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import Message from '@splunk/react-ui/Message';
import ChevronLeft from '@splunk/react-icons/ChevronLeft';
import ChevronRight from '@splunk/react-icons/ChevronRight';
import TabBar from '@splunk/react-ui/TabBar';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { setsUpAccounts, triages } from '../../splunk/session';
import { told } from '../../splunk/failure';
import { ActDialog, Notice, type Intent } from './ActDialog';
import { Accounts } from './account';
import { asked, naming } from './address';
import { BulkBar } from './BulkBar';
import { Details } from './Details';
import { Counts } from './Counts';
import { Nothing } from './Nothing';
import { Filters } from './Filters';
import { History } from './History';
import { ago } from './instant';
import { withState, type Item } from './item';
import { KeyboardHelp } from './KeyboardHelp';
import { portalLink } from './link';
import { Row, Small } from './look';
import type { Ending } from './outcome';
import {
    byIncident,
    concerning,
    EVERYTHING,
    incidentKey,
    MOST,
    narrowed,
    OPEN_ONES,
    sorted,
    type Column,
    type Narrowing,
    type Order,
} from './queue';
import { QueueTable } from './QueueTable';
import { triage as strings } from './strings';
import { useKeys } from './useKeys';
import { findOne, useQueue } from './useQueue';
import { useSetting } from './useSetting';
import { NOTHING, type Verdict } from './verdict';
import type { Subject } from './vocabulary';

const PAGE = 50;
const FIRST: Order = { by: 'updated', descending: true };
const NOWHERE = new Accounts([], []);

export function Triage() {
    const arrival = useRef(asked(window.location.search));
    const [subject, setSubject] = useState<Subject>(arrival.current.subject);
    const [earliest, setEarliest] = useState('-7d');
    const [narrowing, setNarrowing] = useState<Narrowing>(arrival.current.narrowing);
    const [order, setOrder] = useState<Order>(FIRST);
    const [page, setPage] = useState(1);
    const [cursor, setCursor] = useState<string | null>(null);
    const [open, setOpen] = useState<Item | null>(null);
    const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
    const [intent, setIntent] = useState<Intent | null>(null);
    const [history, setHistory] = useState(false);
    const [help, setHelp] = useState(false);
    const [linked, setLinked] = useState<{ item: Item | null; missing: string | null }>({ item: null, missing: null });
    const [states, setStates] = useState<ReadonlyMap<string, Record<string, string>>>(new Map());
    const now = useNow();
    const searchField = useRef<HTMLInputElement>(null);
    const heading = useRef<HTMLDivElement>(null);
    const draft = useRef<{ of: string; verdict: Verdict } | null>(null);

    // The one in sight first, then the inputs, then the other one: a user may run few searches at once.
    const [there, setThere] = useState(false);
    const alerts = useQueue('alert', earliest, subject === 'alert' || there);
    const incidents = useQueue('incident', earliest, subject === 'incident' || there);
    const queue = subject === 'alert' ? alerts : incidents;
    const answered = queue.at !== null || queue.error !== null || queue.cancelled;
    const setting = useSetting(answered);
    useEffect(() => setThere((before) => before || setting.accounts !== null), [setting.accounts]);
    const accounts = setting.accounts ?? NOWHERE;
    const mayWrite = setting.session !== null && triages(setting.session);

    const current = useCallback(
        (item: Item): Item => withState(item, states.get(`${item.subject} ${item.key}`)),
        [states],
    );
    const allAlerts = useMemo(() => alerts.items.map(current), [alerts.items, current]);
    const alertsByIncident = useMemo(() => byIncident(allAlerts), [allAlerts]);
    const alertsOf = (incident: Item): readonly Item[] =>
        incident.subject === 'incident' ? (alertsByIncident.get(incidentKey(incident)) ?? []) : [];
    const allIncidents = useMemo(
        () => incidents.items.map((item) => concerning(current(item), alertsByIncident.get(incidentKey(item)) ?? [])),
        [incidents.items, current, alertsByIncident],
    );
    const all = subject === 'alert' ? allAlerts : allIncidents;
    const found = useMemo(
        () => sorted(narrowed(all, narrowing, setting.mine), order),
        [all, narrowing, setting.mine, order],
    );
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    const shownPage = Math.min(page, pages);
    const rows = found.slice((shownPage - 1) * PAGE, shownPage * PAGE);
    const chosen = all.filter((item) => selected.has(item.key));
    const everything = useMemo(() => [...allIncidents, ...allAlerts], [allAlerts, allIncidents]);
    const shown =
        open === null
            ? null
            : current(everything.find((item) => item.subject === open.subject && item.key === open.key) ?? open);
    /** Ids are unique within a tenant only: the account tells which one is meant. */
    const itemOf = ({ id, account }: { id: string; account: string }): Item | undefined =>
        everything.find((item) => item.id === id && (account === '' || accounts.of(item.tenant).includes(account)));
    const products = useMemo(() => [...new Set(all.flatMap((item) => item.product ?? []))].sort(), [all]);

    const focusRow = useCallback((key: string | null): void => {
        const row = key === null ? null : document.querySelector<HTMLElement>(`tr[data-key="${CSS.escape(key)}"]`);
        const first = row ?? document.querySelector<HTMLElement>('tr[data-test="queue-row"]') ?? heading.current;
        first?.focus();
    }, []);
    const comeBack = useCallback((): void => {
        // The dialog's own focus handling is over first.
        window.requestAnimationFrame(() => focusRow(cursorNow.current));
    }, [focusRow]);
    const cursorNow = useRef<string | null>(null);
    cursorNow.current = cursor;

    const show = useCallback(
        (item: Item | null): void => {
            setOpen(item);
            if (item !== null) setCursor(item.key);
            window.history.replaceState(
                null,
                '',
                `${window.location.pathname}${naming(window.location.search, item?.subject ?? subject, item?.id ?? null, narrowing)}`,
            );
        },
        [subject, narrowing],
    );

    // A link names one object: it is opened, wherever it stands, and nothing else happens.
    useEffect(() => {
        const { id, subject: of } = arrival.current;
        if (id === null || !answered || linked.item !== null || linked.missing !== null || open !== null)
            return undefined;
        const here = queue.items.find((item) => item.id === id);
        if (here !== undefined) {
            setLinked({ item: here, missing: null });
            show(here);
            return undefined;
        }
        const stop = new AbortController();
        findOne(of, id, stop.signal).then(
            (item) => {
                if (stop.signal.aborted) return;
                setLinked({ item, missing: item === null ? id : null });
                if (item !== null) show(item);
            },
            () => setLinked({ item: null, missing: id }),
        );
        return () => stop.abort();
    }, [answered, queue.items, linked, open, show]);

    const choose = (next: Subject): void => {
        setSubject(next);
        setNarrowing(OPEN_ONES);
        setSelected(new Set());
        setPage(1);
        setCursor(null);
        setOpen(null);
        setLinked({ item: null, missing: null });
        arrival.current = { subject: next, id: null, narrowing: OPEN_ONES };
        window.history.replaceState(
            null,
            '',
            `${window.location.pathname}${naming(window.location.search, next, null)}`,
        );
    };
    const narrow = (next: Narrowing): void => {
        setNarrowing(next);
        setPage(1);
        if (open !== null) return;
        const query = naming(window.location.search, subject, null, next);
        window.history.replaceState(null, '', `${window.location.pathname}${query}`);
    };
    const sortBy = (by: Column): void => {
        const first = by === 'updated' || by === 'severity';
        setOrder((before) => ({ by, descending: before.by === by ? !before.descending : first }));
        setPage(1);
    };

    const toggle = (items: readonly Item[]): void =>
        setSelected((before) => {
            const next = new Set(before);
            const add = items.some((item) => !before.has(item.key));
            for (const item of items) add ? next.add(item.key) : next.delete(item.key);
            return next;
        });

    /** One step through the list, over the edges of pages. */
    const step = (by: 1 | -1): void => {
        const at = found.findIndex((item) => item.key === cursor);
        const next = found[at < 0 ? (shownPage - 1) * PAGE : Math.min(Math.max(at + by, 0), found.length - 1)];
        if (next === undefined) return;
        setCursor(next.key);
        setPage(Math.floor(found.indexOf(next) / PAGE) + 1);
        if (open === null) window.requestAnimationFrame(() => focusRow(next.key));
        else show(next);
    };

    const acting = (): readonly Item[] => {
        if (chosen.length > 0 && open === null) return chosen;
        const one = shown ?? found.find((item) => item.key === cursor);
        return one === undefined ? chosen : [one];
    };
    const decide = (items: readonly Item[], preset: Partial<Verdict> = {}): void => {
        if (!mayWrite || items.length === 0) return;
        const kept = draft.current?.of === keysOf(items) ? draft.current.verdict : NOTHING;
        setIntent({ number: (intent?.number ?? numbers.current) + 1, items, verdict: { ...kept, ...preset } });
        numbers.current += 1;
    };
    const numbers = useRef(0);
    const resolve = (items: readonly Item[]): void => decide(items, { status: 'resolved' });
    const takeOn = (items: readonly Item[]): void =>
        decide(items, { ownerChoice: 'me', owner: setting.mine[0] ?? '', status: 'inProgress' });

    const ended = (endings: readonly Ending[]): void => {
        setStates((before) => {
            const next = new Map(before);
            for (const ending of endings) {
                const item = itemOf(ending);
                if (ending.after !== null && item !== undefined) next.set(`${item.subject} ${item.key}`, ending.after);
            }
            return next;
        });
        const done = new Set(endings.filter((ending) => ending.outcome === 'updated').map((ending) => itemOf(ending)?.key));
        setSelected(
            (before) =>
                new Set(all.filter((item) => before.has(item.key) && !done.has(item.key)).map((item) => item.key)),
        );
    };

    const account = (item: Item): string | null => {
        const ways = accounts.of(item.tenant);
        return ways.length === 1 ? (ways[0] ?? null) : null;
    };
    const portal = (item: Item): string =>
        portalLink(item.portal, item.subject, item.id, item.tenant, accounts.named(account(item) ?? '')?.cloud);

    const dialog = intent !== null || history || help;
    useKeys(
        {
            j: () => step(1),
            ArrowDown: () => step(1),
            k: () => step(-1),
            ArrowUp: () => step(-1),
            o: () => show(found.find((item) => item.key === cursor) ?? null),
            x: () => mayWrite && toggle(found.filter((item) => item.key === cursor)),
            a: () => mayWrite && toggle(found),
            r: () => resolve(acting()),
            v: () => decide(acting()),
            m: () => takeOn(acting()),
            p: () => {
                const [one] = acting();
                if (one !== undefined) window.open(portal(one), '_blank', 'noopener');
            },
            u: () => setHistory(true),
            g: () => queue.refresh(),
            '/': () => searchField.current?.focus(),
            '[': () => setPage(Math.max(1, shownPage - 1)),
            ']': () => setPage(Math.min(pages, shownPage + 1)),
            '?': () => setHelp(true),
            Escape: () => (open === null ? setSelected(new Set()) : show(null)),
        },
        !dialog,
    );

    const nothingSetUp = all.length === 0 && setting.accounts !== null && accounts.names().length === 0;
    const isNarrowed = JSON.stringify(narrowing) !== JSON.stringify(OPEN_ONES);
    const hidden = chosen.filter((item) => !found.includes(item)).length;
    return (
        <div data-test="triage">
            <Row style={{ justifyContent: 'space-between', marginBottom: 4 }}>
                <div ref={heading} tabIndex={-1} style={{ outline: 'none' }}>
                    <Heading level={1} style={{ margin: 0 }}>
                        {strings.title}
                    </Heading>
                </div>
                <Row>
                    {queue.state !== null && (
                        <Row role="status">
                            <WaitSpinner size="small" />
                            <Small>{queue.state === 'queued' ? strings.page.queued : strings.page.loading}</Small>
                            <Button appearance="subtle" label={strings.page.cancel} onClick={queue.cancel} />
                        </Row>
                    )}
                    {queue.state === null && queue.at !== null && (
                        <Small>{strings.page.updated(ago(new Date(queue.at).toISOString(), now))}</Small>
                    )}
                    <Button label={strings.page.refresh} onClick={queue.refresh} />
                    <Button label={strings.page.history} onClick={() => setHistory(true)} />
                    <Button appearance="subtle" label={strings.page.keyboard} onClick={() => setHelp(true)} />
                </Row>
            </Row>

            <TabBar
                activeTabId={subject}
                onChange={(_, { selectedTabId }) => choose(selectedTabId === 'incident' ? 'incident' : 'alert')}
            >
                <TabBar.Tab tabId="alert" label={tabLabel('alert', allAlerts, alerts.at)} />
                <TabBar.Tab tabId="incident" label={tabLabel('incident', allIncidents, incidents.at)} />
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
                    narrowed={isNarrowed}
                    onClear={() => narrow(OPEN_ONES)}
                />
            </div>

            {setting.session !== null && !mayWrite && (
                <Message type="info" style={{ marginBottom: 10 }}>
                    <strong>{strings.page.capability.title}</strong> {strings.page.capability.text}
                </Message>
            )}
            {linked.missing !== null && (
                <Notice type="warning" title={strings.empty.missing(linked.missing)}>
                    {strings.empty.missingHelp}
                </Notice>
            )}
            {queue.error !== null && (
                <Notice type="error" title={strings.empty.failed}>
                    {told(queue.error)} <Button label={strings.page.refresh} onClick={queue.refresh} />
                </Notice>
            )}
            {queue.cancelled && <Notice type="info">{strings.page.cancelled}</Notice>}
            {all.length >= MOST && <Notice type="info">{strings.page.capped(MOST)}</Notice>}

            {found.length > 0 && (
                <>
                    <Counts
                        items={narrowed(all, { ...narrowing, severity: '' }, setting.mine)}
                        chosen={narrowing.severity}
                        onChoose={(severity) => narrow({ ...narrowing, severity })}
                    />
                    <QueueTable
                        subject={subject}
                        items={rows}
                        order={order}
                        onOrder={sortBy}
                        selected={selected}
                        selectable={mayWrite}
                        onToggle={(item) => toggle([item])}
                        onTogglePage={() => toggle(rows)}
                        current={cursor}
                        onOpen={show}
                        onFocus={(item) => setCursor(item.key)}
                        alertsOf={alertsOf}
                        now={now}
                    />
                    <Row style={{ justifyContent: 'space-between', marginTop: 8 }}>
                        <Small>
                            {strings.table.shown(
                                (shownPage - 1) * PAGE + 1,
                                (shownPage - 1) * PAGE + rows.length,
                                found.length,
                            )}
                        </Small>
                        {pages > 1 && (
                            <Row $gap={4}>
                                <Button
                                    icon={<ChevronLeft />}
                                    aria-label={strings.table.previousPage}
                                    disabled={shownPage === 1 ? 'dimmed' : false}
                                    onClick={() => setPage(Math.max(1, shownPage - 1))}
                                />
                                <Small>{strings.table.page(shownPage, pages)}</Small>
                                <Button
                                    icon={<ChevronRight />}
                                    aria-label={strings.table.nextPage}
                                    disabled={shownPage === pages ? 'dimmed' : false}
                                    onClick={() => setPage(Math.min(pages, shownPage + 1))}
                                />
                            </Row>
                        )}
                    </Row>
                </>
            )}
            {found.length === 0 && queue.at === null && queue.state !== null && (
                <Row style={{ justifyContent: 'center', padding: 64 }}>
                    <WaitSpinner size="large" />
                </Row>
            )}
            {found.length === 0 && queue.at !== null && queue.error === null && setting.accounts !== null && (
                <Nothing
                    subject={subject}
                    setUp={!nothingSetUp}
                    administers={setting.session !== null && setsUpAccounts(setting.session)}
                    loaded={all.length}
                    onClear={() => narrow(EVERYTHING)}
                />
            )}

            {mayWrite && chosen.length > 0 && (
                <BulkBar
                    count={chosen.length}
                    hidden={hidden}
                    rest={
                        rows.every((item) => selected.has(item.key)) && found.length > chosen.length ? found.length : 0
                    }
                    onAll={() => setSelected(new Set(found.map((item) => item.key)))}
                    onResolve={() => resolve(chosen)}
                    onDecide={() => decide(chosen)}
                    onTakeOn={() => takeOn(chosen)}
                    onClear={() => setSelected(new Set())}
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
                onLive={(item, live) =>
                    setStates((before) => new Map(before).set(`${item.subject} ${item.key}`, live.state))
                }
                returnFocus={comeBack}
                mayWrite={mayWrite}
                account={shown === null ? null : account(shown)}
                portal={portal}
                alertsOf={alertsOf}
                incidentOf={(alert) =>
                    allIncidents.find((one) => one.id === alert.incidentId && one.tenant === alert.tenant) ?? null
                }
                now={now}
            />
            <ActDialog
                intent={intent}
                accounts={accounts}
                mine={setting.mine}
                maxTargets={setting.maxTargets}
                onClose={(kept) => {
                    draft.current =
                        kept === null || intent === null ? null : { of: keysOf(intent.items), verdict: kept };
                    setIntent(null);
                }}
                onEndings={ended}
                onOwner={setting.remember}
                returnFocus={comeBack}
            />
            <History
                open={history}
                earliest={earliest}
                onClose={() => setHistory(false)}
                onEndings={ended}
                returnFocus={comeBack}
                mayWrite={mayWrite}
                itemOf={itemOf}
                now={now}
            />
            <KeyboardHelp open={help} onClose={() => setHelp(false)} returnFocus={comeBack} />
        </div>
    );
}

function tabLabel(subject: Subject, items: readonly Item[], at: number | null): string {
    const name = strings.subjects[subject];
    if (at === null) return name;
    return `${name} (${narrowed(items, OPEN_ONES, []).length.toLocaleString('en')} ${strings.filters.open.toLowerCase()})`;
}

function keysOf(items: readonly Item[]): string {
    return items
        .map((item) => item.key)
        .sort()
        .join('\n');
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
