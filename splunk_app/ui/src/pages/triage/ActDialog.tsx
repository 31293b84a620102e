// From a decision to its outcomes: what is asked, what would change, what has changed, and back again.
// Whatever fails on the way, what was typed stays.
import { useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import Button from '@splunk/react-ui/Button';
import Message from '@splunk/react-ui/Message';
import Modal from '@splunk/react-ui/Modal';
import Progress from '@splunk/react-ui/Progress';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { told } from '../../splunk/failure';
import type { Accounts } from './account';
import { carryOut, takeBack } from './carry_out';
import type { Item } from './item';
import { Clipped, Row, Severity, Sheet, Small, StatusTag, Strong } from './look';
import { batchesOf, mayPass, placeOf, type Ending } from './outcome';
import { Outcomes } from './Outcomes';
import { rowsOf } from './sending';
import { triage as strings } from './strings';
import { faults, isEmpty, parameters, type Verdict } from './verdict';
import { VerdictForm } from './VerdictForm';

/** What somebody set out to do; a new number is a new beginning. */
export interface Intent {
    number: number;
    items: readonly Item[];
    verdict: Verdict;
}

interface Props {
    intent: Intent | null;
    accounts: Accounts;
    mine: readonly string[];
    maxTargets: number;
    /** Closed with the form as it stands, or with nothing left to keep. */
    onClose: (draft: Verdict | null) => void;
    onEndings: (endings: readonly Ending[]) => void;
    onOwner: (principal: string) => void;
    returnFocus: () => void;
}

type Phase = 'form' | 'examining' | 'plan' | 'writing' | 'done' | 'asking' | 'undoing' | 'undone';
const BUSY: readonly Phase[] = ['examining', 'writing', 'undoing'];

export function ActDialog(props: Props) {
    const last = useRef<Intent | null>(null);
    if (props.intent !== null) last.current = props.intent;
    const close = useRef<() => void>(() => undefined);
    return (
        <Modal
            open={props.intent !== null}
            onRequestClose={() => close.current()}
            returnFocus={props.returnFocus}
            style={{ width: 'min(1040px, 94vw)' }}
        >
            {last.current !== null && (
                <Course {...props} intent={last.current} key={last.current.number} closing={close} />
            )}
        </Modal>
    );
}

function Course(props: Props & { intent: Intent; closing: { current: () => void } }) {
    const { intent, accounts } = props;
    const { items } = intent;
    const subject = items[0]?.subject ?? 'alert';
    const [verdict, setVerdict] = useState(intent.verdict);
    const [phase, setPhase] = useState<Phase>('form');
    const [chosen, setChosen] = useState<Record<string, string>>({});
    const [tried, setTried] = useState(false);
    const [error, setError] = useState<unknown>(null);
    const [endings, setEndings] = useState<readonly Ending[]>([]);
    const [written, setWritten] = useState<readonly Ending[]>([]);
    const [progress, setProgress] = useState<[number, number]>([0, 0]);
    const [overruled, setOverruled] = useState<ReadonlySet<string>>(new Set());
    const [stopped, setStopped] = useState(false);
    const stop = useRef(new AbortController());
    useEffect(() => () => stop.current.abort(), []);

    const ways = useMemo(() => waysOf(items, accounts), [items, accounts]);
    const accountOf = (item: Item): string => {
        const choices = ways.get(item.tenant ?? '') ?? [];
        return choices.length === 1 ? (choices[0] ?? '') : (chosen[item.tenant ?? ''] ?? '');
    };
    const placed = new Map(items.map((item) => [placeOf({ account: accountOf(item), id: item.id }), item]));
    const itemOf = (ending: Ending): Item | undefined => placed.get(placeOf(ending));
    const readOnly = [...new Set(items.map(accountOf))].filter((name) => accounts.named(name)?.readOnly);
    const wrong = faults(verdict, subject);
    const unchosen = items.some((item) => accountOf(item) === '');
    const nowhere = [...ways.values()].some((choices) => choices.length === 0);
    const tooMany = items.length > props.maxTargets;
    const what = strings.named[subject](items.length);
    const say = strings.act;

    const closable = !BUSY.includes(phase);
    props.closing.current = () => {
        if (closable) props.onClose(phase === 'form' || phase === 'plan' ? verdict : null);
    };

    /** What fails leads back to where it was begun. */
    const carry = async (these: readonly Item[], dryRun: boolean, over = overruled): Promise<void> => {
        const from = phase;
        stop.current = new AbortController();
        const course = {
            signal: stop.current.signal,
            onProgress: (done: number, of: number) => setProgress([done, of]),
        };
        setError(null);
        setStopped(false);
        setPhase(dryRun ? 'examining' : 'writing');
        try {
            const rows = rowsOf(these, parameters(verdict, subject), accountOf, over);
            const found = await carryOut(rows, subject, dryRun, course);
            const again = new Set(found.map(placeOf));
            setEndings((before) => [...before.filter((ending) => !again.has(placeOf(ending))), ...found]);
            if (!dryRun) {
                setWritten((before) => [...before, ...found]);
                props.onEndings(found);
            }
            setStopped(course.signal.aborted);
            setPhase(dryRun ? 'plan' : 'done');
        } catch (reason) {
            if (!course.signal.aborted) setError(reason);
            setPhase(from);
        }
    };

    const undo = async (): Promise<void> => {
        stop.current = new AbortController();
        setError(null);
        setPhase('undoing');
        try {
            const found = await takeBack(batchesOf(written), {
                signal: stop.current.signal,
                onProgress: (done, of) => setProgress([done, of]),
            });
            setEndings(found);
            props.onEndings(found);
            setPhase('undone');
        } catch (reason) {
            setError(reason);
            setPhase('done');
        }
    };

    const examine = (): void => {
        setTried(true);
        if (Object.keys(wrong).length > 0 || isEmpty(verdict, subject) || unchosen || tooMany) return;
        if (verdict.ownerChoice === 'me') props.onOwner(verdict.owner.trim());
        setEndings([]);
        setOverruled(new Set());
        void carry(items, true, new Set());
    };

    const planned = endings.filter((ending) => ending.outcome === 'planned');
    const write = (): void =>
        void carry(
            planned.flatMap((ending) => itemOf(ending) ?? []),
            false,
        );
    const passing = endings.filter(mayPass).flatMap((ending) => itemOf(ending) ?? []);
    const overrule = (ending: Ending): void => {
        const item = itemOf(ending);
        if (item === undefined) return;
        const over = new Set([...overruled, item.key]);
        setOverruled(over);
        void carry([item], phase === 'plan', over);
    };
    const undoable = batchesOf(written);
    const taken = written.filter((ending) => ending.outcome === 'updated').length;

    return (
        <>
            <Modal.Header
                title={titles(phase, what)}
                subtitle={items.length === 1 ? items[0]?.title : undefined}
                hideCloseButton={!closable}
            />
            <Modal.Body>
                <Sheet data-test={`act-${phase}`}>
                    {error !== null && (
                        <Notice type="error" title={say.failed}>
                            {told(error)}
                        </Notice>
                    )}
                    {phase === 'form' && (
                        <>
                            {tried && isEmpty(verdict, subject) && (
                                <Notice type="error">{strings.verdict.nothing}</Notice>
                            )}
                            {tooMany && (
                                <Notice type="error">{strings.verdict.tooMany(items.length, props.maxTargets)}</Notice>
                            )}
                            {nowhere && <Notice type="error">{strings.verdict.noAccount}</Notice>}
                            {readOnly.map((name) => (
                                <Notice key={name} type="warning">
                                    {strings.verdict.readOnly(name)}
                                </Notice>
                            ))}
                            <Sides>
                                <div>
                                    <VerdictForm
                                        subject={subject}
                                        verdict={verdict}
                                        onVerdict={setVerdict}
                                        faults={tried ? wrong : {}}
                                        mine={props.mine}
                                        accounts={[...ways]
                                            .filter(([, choices]) => choices.length > 1)
                                            .map(([tenant, choices]) => ({
                                                tenant,
                                                choices,
                                                chosen: chosen[tenant] ?? '',
                                                fault:
                                                    tried && !chosen[tenant]
                                                        ? strings.verdict.faults.account
                                                        : undefined,
                                            }))}
                                        onAccount={(tenant, name) =>
                                            setChosen((before) => ({ ...before, [tenant]: name }))
                                        }
                                    />
                                </div>
                                <About items={items} />
                            </Sides>
                        </>
                    )}
                    {BUSY.includes(phase) && <Waiting phase={phase} progress={progress} />}
                    {phase === 'plan' && (
                        <>
                            <Notice type={planned.length > 0 ? 'info' : 'warning'}>
                                {planned.length > 0 ? say.planText : say.planNothing}
                            </Notice>
                            <Outcomes endings={endings} itemOf={itemOf} onOverrule={overrule} />
                        </>
                    )}
                    {(phase === 'done' || phase === 'undone') && (
                        <>
                            {stopped && <Notice type="warning">{say.stopped}</Notice>}
                            <Outcomes
                                endings={endings}
                                itemOf={itemOf}
                                onOverrule={phase === 'done' ? overrule : undefined}
                            />
                            {undoable.length > 0 && (
                                <Small as="div" style={{ marginTop: 8 }}>
                                    {say.batch} {undoable.join(', ')}
                                </Small>
                            )}
                        </>
                    )}
                    {phase === 'asking' && <p>{say.undoAsk(taken)}</p>}
                </Sheet>
            </Modal.Body>
            <Modal.Footer>
                {phase === 'form' && (
                    <>
                        <Button label={strings.verdict.cancel} onClick={() => props.closing.current()} />
                        <Button appearance="primary" label={strings.verdict.examine} onClick={examine} />
                    </>
                )}
                {BUSY.includes(phase) && phase !== 'undoing' && (
                    <Button label={say.stop} onClick={() => stop.current.abort()} />
                )}
                {phase === 'plan' && (
                    <>
                        <Button label={say.back} onClick={() => setPhase('form')} />
                        {planned.length > 0 && (
                            <Focused>
                                {(ref) => (
                                    <Button
                                        appearance="primary"
                                        elementRef={ref}
                                        label={say.write(
                                            planned.length,
                                            strings.named[subject](planned.length).replace(/^\S+ /u, ''),
                                        )}
                                        onClick={write}
                                    />
                                )}
                            </Focused>
                        )}
                    </>
                )}
                {phase === 'done' && (
                    <>
                        {passing.length > 0 && (
                            <Button label={say.again(passing.length)} onClick={() => void carry(passing, false)} />
                        )}
                        {undoable.length > 0 && <Button label={say.undo} onClick={() => setPhase('asking')} />}
                        <Focused>
                            {(ref) => (
                                <Button
                                    appearance="primary"
                                    elementRef={ref}
                                    label={say.close}
                                    onClick={() => props.onClose(null)}
                                />
                            )}
                        </Focused>
                    </>
                )}
                {phase === 'asking' && (
                    <>
                        <Button label={say.back} onClick={() => setPhase('done')} />
                        <Focused>
                            {(ref) => (
                                <Button
                                    appearance="primary"
                                    elementRef={ref}
                                    label={say.undoGo}
                                    onClick={() => void undo()}
                                />
                            )}
                        </Focused>
                    </>
                )}
                {phase === 'undone' && (
                    <Focused>
                        {(ref) => (
                            <Button
                                appearance="primary"
                                elementRef={ref}
                                label={say.close}
                                onClick={() => props.onClose(null)}
                            />
                        )}
                    </Focused>
                )}
            </Modal.Footer>
        </>
    );
}

const Sides = styled.div`
    align-items: start;
    display: grid;
    gap: 24px;
    grid-template-columns: minmax(0, 1fr) 280px;
    @media (max-width: 900px) {
        grid-template-columns: minmax(0, 1fr);
    }
`;

const Beside = styled.aside`
    border-left: 1px solid ${variables.borderColorWeak};
    padding-left: 16px;
`;

/** How many are named beside the form; the rest is counted. */
const NAMED = 8;

/** What the form is about, as it stands now. */
function About({ items }: { items: readonly Item[] }) {
    return (
        <Beside>
            <Small as="div">{strings.named[items[0]?.subject ?? 'alert'](items.length)}</Small>
            {items.slice(0, NAMED).map((item) => (
                <div key={item.key} style={{ marginTop: 8 }}>
                    <Clipped title={item.title}>
                        <Strong>{item.title}</Strong>
                    </Clipped>
                    <Row $gap={6}>
                        <Severity severity={item.severity} />
                        <StatusTag status={item.status} />
                        {item.owner !== null && <Clipped title={item.owner}>{item.owner}</Clipped>}
                    </Row>
                </div>
            ))}
            {items.length > NAMED && (
                <Small as="div" style={{ marginTop: 8 }}>
                    {strings.verdict.andMore(items.length - NAMED)}
                </Small>
            )}
        </Beside>
    );
}

function titles(phase: Phase, what: string): string {
    switch (phase) {
        case 'plan':
        case 'examining':
            return `${strings.act.planTitle}: ${what}`;
        case 'writing':
        case 'done':
            return `${strings.act.doneTitle}: ${what}`;
        case 'asking':
        case 'undoing':
            return strings.act.undoTitle;
        case 'undone':
            return strings.act.undone;
        default:
            return strings.verdict.title(what);
    }
}

export function Notice({
    type,
    title,
    children,
}: {
    type: 'error' | 'warning' | 'info';
    title?: string;
    children: ReactNode;
}) {
    return (
        <Message type={type} appearance="fill" style={{ marginBottom: 12 }}>
            {title !== undefined && <Message.Title>{title}</Message.Title>}
            <div role={type === 'error' ? 'alert' : 'status'}>{children}</div>
        </Message>
    );
}

export function Waiting({ phase, progress: [done, of] }: { phase: string; progress: [number, number] }) {
    const say = strings.act;
    const text = phase === 'examining' ? say.examining : phase === 'undoing' ? say.undoing : say.writing;
    return (
        <div role="status" style={{ padding: '24px 0' }}>
            <Row style={{ justifyContent: 'space-between', marginBottom: 8 }}>
                <span>{text}</span>
                {of > 1 && done > 0 && <Small>{say.progress(done, of)}</Small>}
            </Row>
            {minutes(phase, of) > 0 && (
                <Small as="div" style={{ marginTop: 8 }}>
                    {say.patience(minutes(phase, of))}
                </Small>
            )}
            {done > 0 ? <Progress percentage={Math.round((100 * done) / of)} /> : <Progress indeterminate />}
        </div>
    );
}

/** Microsoft Graph takes 150 calls a minute for the alerts of a tenant; a write is also read before and after. */
const CALLS_A_MINUTE = 150;

/** Less than half of one is not worth a word. */
function minutes(phase: string, count: number): number {
    const calls = phase === 'examining' ? 1 : 3;
    return Math.round((count * calls) / CALLS_A_MINUTE);
}

/** The next step takes the focus when its turn comes: the element that had it is gone. */
export function Focused({ children }: { children: (ref: (element: HTMLElement | null) => void) => ReactNode }) {
    const taken = useRef(false);
    return (
        <>
            {children((element) => {
                if (element === null || taken.current) return;
                taken.current = true;
                element.focus();
            })}
        </>
    );
}

/** The accounts that fit each tenant. */
function waysOf(items: readonly Item[], accounts: Accounts): Map<string, readonly string[]> {
    return new Map(items.map((item) => [item.tenant ?? '', accounts.of(item.tenant)]));
}
