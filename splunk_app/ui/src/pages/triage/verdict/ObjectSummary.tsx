// The objects a verdict is about, as they stand now.
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import type { Item } from '../model/item';
import { Row } from '../../../parts/Page';
import { Severity, StatusTag } from '../parts/Tags';
import { Clipped, Small, Strong } from '../parts/styles';
import { triage as strings } from '../strings';

const Beside = styled.aside`
    border-left: 1px solid ${variables.borderColorWeak};
    padding-left: 16px;
`;

/** How many objects are named; the others are counted. */
const NAMED = 8;

export function ObjectSummary({ items }: { items: readonly Item[] }) {
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
