// All there is to know about one alert or incident, beside the queue.
import { useRef } from 'react';
import SidePanel from '@splunk/react-ui/SidePanel';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { Row } from '../../../parts/Page';
import { OF_THE_PAGE } from '../../../parts/useKeys';
import type { Item } from '../model/item';
import { Sheet, Small } from '../parts/styles';
import { triage as strings } from '../strings';
import { Comments } from './Comments';
import { DetailsHeader } from './DetailsHeader';
import { EvidenceList } from './EvidenceList';
import { IncidentAlerts } from './IncidentAlerts';
import type { Live } from './live';
import { LiveComparison } from './LiveComparison';
import { ObjectFacts } from './ObjectFacts';
import { ProcessTree } from './ProcessTree';
import { Prose, Section } from './Section';
import { Technique } from './Technique';

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
    /** The account that reads and writes the object; `null` where it must be chosen first. */
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

const Content = styled.div`
    flex: 1;
    overflow-y: auto;
    padding: 4px 20px 32px;
`;

export function Details(props: Props) {
    const { item } = props;
    // The last object stays in sight while the panel slides out.
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
    const { item, now, address, onOpen } = props;
    const say = strings.drawer;
    return (
        <Body {...{ [OF_THE_PAGE]: '' }} data-test="details">
            <DetailsHeader {...props} portal={props.portal(item)} />
            <Content>
                <LiveComparison item={item} account={props.account} onLive={props.onLive} />
                <Section>
                    <ObjectFacts
                        item={item}
                        incident={item.subject === 'alert' ? props.incidentOf(item) : null}
                        account={props.account}
                        address={address}
                        onOpen={onOpen}
                        now={now}
                    />
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
                {item.subject === 'incident' && (
                    <IncidentAlerts alerts={props.alertsOf(item)} address={address} onOpen={onOpen} />
                )}
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
                {item.comments.length > 0 && <Comments comments={item.comments} now={now} />}
                {item.recommended !== null && (
                    <Section title={say.recommended}>
                        <Prose>{item.recommended}</Prose>
                    </Section>
                )}
            </Content>
        </Body>
    );
}
