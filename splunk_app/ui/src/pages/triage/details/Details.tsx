// All there is to know about one alert or incident, beside the queue.
import { useEffect, useRef, useState, type MouseEventHandler, type ReactNode } from 'react';
import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import Link from '@splunk/react-ui/Link';
import Message from '@splunk/react-ui/Message';
import SidePanel from '@splunk/react-ui/SidePanel';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import ChevronDown from '@splunk/react-icons/ChevronDown';
import ChevronUp from '@splunk/react-icons/ChevronUp';
import Cross from '@splunk/react-icons/Cross';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { errorMessage } from '../../../splunk/failure';
import { searchPage } from '../../../splunk/web';
import { EvidenceList } from './EvidenceList';
import { Facts } from './Facts';
import type { Item } from '../model/item';
import { revisionsOf } from '../model/queue';
import { ask, type Live } from './live';
import { techniqueLink } from '../model/link';
import { Row } from '../../../parts/Page';
import { Severity, StatusTag, Tag } from '../parts/Tags';
import { When } from '../parts/When';
import { worded } from '../model/wording';
import { Sheet, Small, Strong } from '../parts/styles';
import { ProcessTree } from './ProcessTree';
import { triage as strings } from '../strings';
import { OF_THE_PAGE } from '../../../parts/useKeys';

interface Props {
    item: Item | null;
    onClose: () => void;
    onStep: (by: 1 | -1) => void;
    onOpen: (item: Item) => void;
    onDecide: (items: readonly Item[]) => void;
    onResolve: (items: readonly Item[]) => void;
    onLive: (item: Item, live: Live) => void;
    returnFocus: () => void;
    mayWrite: boolean;
    /** Through which it is read and written; `null` where that must be chosen first. */
    account: string | null;
    /** Where an object is found on this page, for another tab. */
    address: (item: Item) => string;
    portal: (item: Item) => string;
    alertsOf: (incident: Item) => readonly Item[];
    incidentOf: (alert: Item) => Item | null;
    now: number;
}

const Body = styled(Sheet)`
    background: ${variables.backgroundColorSection};
    display: flex;
    flex-direction: column;
    height: 100vh;
    min-width: 0;
    overflow-wrap: anywhere;
`;

const Head = styled.div`
    border-bottom: 1px solid ${variables.borderColorWeak};
    padding: 14px 20px 12px;
`;

const Content = styled.div`
    flex: 1;
    overflow-y: auto;
    padding: 4px 20px 32px;
`;

const Prose = styled.p`
    color: ${variables.contentColorActive};
    margin: 0;
    overflow-wrap: anywhere;
    white-space: pre-wrap;
`;

export function Details(props: Props) {
    const { item } = props;
    // The last one stays in sight while the panel slides out.
    const last = useRef<Item | null>(null);
    if (item !== null) last.current = item;
    const shown = item ?? last.current;
    return (
        <SidePanel
            open={item !== null}
            dockPosition="right"
            useLayerForClickAway={false}
            onRequestClose={({ reason }) => reason === 'escapeKey' && props.onClose()}
            initialFocus="container"
            returnFocus={props.returnFocus}
            innerStyle={{ width: 'min(680px, 92vw)', display: 'block', height: '100%' }}
            aria-label={strings.drawer.label}
        >
            {shown !== null && <Panel {...props} item={shown} key={shown.key} />}
        </SidePanel>
    );
}

function Panel(props: Props & { item: Item }) {
    const { item, now } = props;
    const say = strings.drawer;
    return (
        <Body {...{ [OF_THE_PAGE]: '' }} data-test="details">
            <Head>
                <Row $wrap={false} style={{ justifyContent: 'space-between' }}>
                    <Row style={{ minWidth: 0 }}>
                        <Severity severity={item.severity} />
                        <StatusTag status={item.status} />
                        {item.classification !== null && <Tag>{worded('classification', item.classification)}</Tag>}
                    </Row>
                    <Row $gap={0} $wrap={false} style={{ flex: 'none' }}>
                        <Button
                            appearance="subtle"
                            icon={<ChevronUp />}
                            aria-label={say.previous}
                            onClick={() => props.onStep(-1)}
                        />
                        <Button
                            appearance="subtle"
                            icon={<ChevronDown />}
                            aria-label={say.next}
                            onClick={() => props.onStep(1)}
                        />
                        <Button appearance="subtle" icon={<Cross />} aria-label={say.close} onClick={props.onClose} />
                    </Row>
                </Row>
                <Heading level={2} style={{ margin: '6px 0 10px', overflowWrap: 'anywhere' }} aria-live="polite">
                    {item.title}
                </Heading>
                <Row>
                    {props.mayWrite && (
                        <>
                            <Button
                                appearance="primary"
                                label={strings.bulk.decide}
                                onClick={() => props.onDecide([item])}
                            />
                            {item.status !== 'resolved' && (
                                <Button label={strings.bulk.resolve} onClick={() => props.onResolve([item])} />
                            )}
                        </>
                    )}
                    <Button label={say.portal} to={props.portal(item)} openInNewContext />
                    <Button appearance="subtle" label={say.events} to={revisions(item)} openInNewContext />
                </Row>
            </Head>
            <Content>
                <Comparison {...props} />
                <Section>
                    <Facts facts={facts(props)} />
                </Section>
                {item.description !== null && (
                    <Section title={say.summary}>
                        <Prose>{item.description}</Prose>
                    </Section>
                )}
                {item.techniques.length > 0 && (
                    <Section title={say.techniques}>
                        <Row>
                            {item.techniques.map((technique) => (
                                <Technique key={technique} technique={technique} />
                            ))}
                        </Row>
                    </Section>
                )}
                {item.subject === 'incident' && <Alerts {...props} />}
                {item.evidence.some((one) => one.process !== null) && (
                    <Section title={say.tree}>
                        <ProcessTree evidence={item.evidence} />
                    </Section>
                )}
                {(item.evidence.length > 0 || item.subject === 'alert') && (
                    <Section title={say.evidence}>
                        {item.evidence.length === 0 ? (
                            <Small>{say.noEvidence}</Small>
                        ) : (
                            <EvidenceList evidence={item.evidence} />
                        )}
                    </Section>
                )}
                {item.comments.length > 0 && (
                    <Section title={say.comments}>
                        {item.comments.map((comment, place) => (
                            <div key={place} style={{ marginBottom: 8 }}>
                                <Row>
                                    <Strong>{comment.by ?? strings.unset}</Strong>
                                    <Small>
                                        <When at={comment.at} now={now} />
                                    </Small>
                                </Row>
                                <Prose>{comment.text}</Prose>
                            </div>
                        ))}
                    </Section>
                )}
                {item.recommended !== null && (
                    <Section title={say.recommended}>
                        <Prose>{item.recommended}</Prose>
                    </Section>
                )}
            </Content>
        </Body>
    );
}

function Section({ title, children }: { title?: string; children: ReactNode }) {
    return (
        <section style={{ marginTop: 18 }}>
            {title !== undefined && (
                <Heading level={3} style={{ margin: '0 0 6px' }}>
                    {title}
                </Heading>
            )}
            {children}
        </section>
    );
}

function facts({ item, incidentOf, onOpen, address, account, now }: Props & { item: Item }): [string, ReactNode][] {
    const is = strings.drawer.facts;
    const incident = item.subject === 'alert' ? incidentOf(item) : null;
    const activity = [item.firstActivity, item.lastActivity].filter(Boolean).length > 0;
    return [
        [
            is.incident,
            incident !== null ? (
                <Link to={address(incident)} onClick={instead(() => onOpen(incident))}>{`${incident.id} · ${incident.title}`}</Link>
            ) : item.subject === 'alert' ? (
                item.incidentId
            ) : null,
        ],
        [is.owner, item.owner ?? strings.drawer.nobody],
        [is.determination, item.determination === null ? null : worded('determination', item.determination)],
        [is.devices, item.devices.join('\n')],
        [is.users, item.users.join('\n')],
        [is.product, item.product === null ? null : (strings.products[item.product] ?? item.product)],
        [is.category, item.category],
        [is.threat, item.threat],
        [is.actor, item.actor],
        [is.tags, item.tags.join(', ')],
        [is.created, item.created === null ? null : <When at={item.created} now={now} />],
        [
            is.activity,
            activity ? (
                <>
                    <When at={item.firstActivity} now={now} /> – <When at={item.lastActivity} now={now} />
                </>
            ) : null,
        ],
        [is.updated, <When key="updated" at={item.updated} now={now} />],
        [is.account, account],
        [is.tenant, item.tenant],
        [is.index, item.index],
        [is.id, item.id],
        [strings.fields.status ?? '', item.mergedInto === null ? null : strings.drawer.mergedInto(item.mergedInto)],
    ];
}

/** A click stays on the page; a link without this would load it anew, and nothing would be selected any more. */
function instead(go: () => void): MouseEventHandler {
    return (event) => {
        event.preventDefault();
        go();
    };
}

function Technique({ technique }: { technique: string }) {
    const link = techniqueLink(technique);
    if (link === null) return <Tag>{technique}</Tag>;
    return (
        <Link to={link} openInNewContext>
            {technique}
        </Link>
    );
}

function Alerts({ item, alertsOf, onOpen, address }: Props & { item: Item }) {
    const alerts = alertsOf(item);
    return (
        <Section title={strings.drawer.alerts(alerts.length)}>
            {alerts.length === 0 && <Small>{strings.drawer.noAlerts}</Small>}
            {alerts.map((alert) => (
                <Row key={alert.key} style={{ padding: '3px 0' }} $wrap={false}>
                    <div style={{ flex: '0 0 110px' }}>
                        <Severity severity={alert.severity} />
                    </div>
                    <div style={{ flex: 1, minWidth: 0 }}>
                        <Link to={address(alert)} onClick={instead(() => onOpen(alert))}>
                            {alert.title}
                        </Link>
                    </div>
                    <StatusTag status={alert.status} />
                </Row>
            ))}
        </Section>
    );
}

/** Asks Defender how it stands at this moment. */
function Comparison({ item, account, onLive }: Props & { item: Item }) {
    const [asked, setAsked] = useState<{ busy?: boolean; live?: Live; error?: unknown }>({});
    const stop = useRef(new AbortController());
    useEffect(() => () => stop.current.abort(), []);
    const say = strings.drawer;
    if (account === null) return null;
    const go = (): void => {
        stop.current = new AbortController();
        setAsked({ busy: true });
        ask(item, account, stop.current.signal).then(
            (live) => {
                setAsked({ live });
                onLive(item, live);
            },
            (error: unknown) => {
                if (!stop.current.signal.aborted) setAsked({ error });
            },
        );
    };
    return (
        <div style={{ marginTop: 12 }} aria-live="polite">
            <Row>
                <Button label={say.live} onClick={go} disabled={asked.busy === true ? 'dimmed' : false} />
                {asked.busy === true && (
                    <Row>
                        <WaitSpinner size="small" />
                        <Small>{say.liveRunning}</Small>
                    </Row>
                )}
                {asked.live?.differs.length === 0 && <Small>{say.liveSame}</Small>}
            </Row>
            {asked.live !== undefined && asked.live.differs.length > 0 && (
                <Message type="info" appearance="fill" style={{ marginTop: 8 }}>
                    <Message.Title>{say.liveDiffers}</Message.Title>
                    {asked.live.differs.map(({ field, before, after }) => (
                        <div key={field}>
                            {strings.fields[field] ?? field}:{' '}
                            {strings.act.from(worded(field, before), worded(field, after))}
                        </div>
                    ))}
                </Message>
            )}
            {'error' in asked && (
                <Message type="error" appearance="fill" style={{ marginTop: 8 }}>
                    <Message.Title>{say.unreadable}</Message.Title>
                    {errorMessage(asked.error)}
                </Message>
            )}
        </div>
    );
}

function revisions(item: Item): string {
    return searchPage(revisionsOf(item.subject, item.id), '0');
}
