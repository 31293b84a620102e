// The alerts of an incident that the queue holds.
import { Row } from '../../../parts/Page';
import type { Item } from '../model/item';
import { Small } from '../parts/styles';
import { Severity, StatusTag } from '../parts/Tags';
import { triage as strings } from '../strings';
import { ObjectLink } from './ObjectLink';
import { Section } from './Section';

interface Props {
    alerts: readonly Item[];
    address: (item: Item) => string;
    onOpen: (item: Item) => void;
}

export function IncidentAlerts({ alerts, address, onOpen }: Props) {
    return (
        <Section title={strings.drawer.alerts(alerts.length)}>
            {alerts.length === 0 && <Small>{strings.drawer.noAlerts}</Small>}
            {alerts.map((alert) => (
                <Row key={alert.key} style={{ padding: '3px 0' }} $wrap={false}>
                    <div style={{ flex: '0 0 110px' }}>
                        <Severity severity={alert.severity} />
                    </div>
                    <div style={{ flex: 1, minWidth: 0 }}>
                        <ObjectLink item={alert} label={alert.title} address={address} onOpen={onOpen} />
                    </div>
                    <StatusTag status={alert.status} />
                </Row>
            ))}
        </Section>
    );
}
