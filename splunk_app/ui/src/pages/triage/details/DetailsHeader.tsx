// What the object is, the way to its neighbours in the queue, and what can be done with it.
import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import ChevronDown from '@splunk/react-icons/ChevronDown';
import ChevronUp from '@splunk/react-icons/ChevronUp';
import Cross from '@splunk/react-icons/Cross';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { Row } from '../../../parts/Page';
import { searchPage } from '../../../splunk/web';
import type { Item } from '../model/item';
import { revisionsOf } from '../model/queue';
import { worded } from '../model/wording';
import { Severity, StatusTag, Tag } from '../parts/Tags';
import { triage as strings } from '../strings';

const Head = styled.div`
    border-bottom: 1px solid ${variables.borderColorWeak};
    padding: 14px 20px 12px;
`;

interface Props {
    item: Item;
    mayWrite: boolean;
    /** Its page in Defender's portal. */
    portal: string;
    onClose: () => void;
    onStep: (by: 1 | -1) => void;
    onDecide: (items: readonly Item[]) => void;
    onResolve: (items: readonly Item[]) => void;
}

export function DetailsHeader({ item, mayWrite, portal, onClose, onStep, onDecide, onResolve }: Props) {
    const say = strings.drawer;
    return (
        <Head>
            <Row $wrap={false} style={{ justifyContent: 'space-between' }}>
                <Row style={{ minWidth: 0 }}>
                    <Severity severity={item.severity} />
                    <StatusTag status={item.status} />
                    {item.classification !== null && <Tag>{worded('classification', item.classification)}</Tag>}
                </Row>
                <Row $gap={0} $wrap={false} style={{ flex: 'none' }}>
                    <Button appearance="subtle" icon={<ChevronUp />} aria-label={say.previous} onClick={() => onStep(-1)} />
                    <Button appearance="subtle" icon={<ChevronDown />} aria-label={say.next} onClick={() => onStep(1)} />
                    <Button appearance="subtle" icon={<Cross />} aria-label={say.close} onClick={onClose} />
                </Row>
            </Row>
            <Heading level={2} style={{ margin: '6px 0 10px', overflowWrap: 'anywhere' }} aria-live="polite">
                {item.title}
            </Heading>
            <Row>
                {mayWrite && (
                    <>
                        <Button appearance="primary" label={strings.bulk.decide} onClick={() => onDecide([item])} />
                        {item.status !== 'resolved' && (
                            <Button label={strings.bulk.resolve} onClick={() => onResolve([item])} />
                        )}
                    </>
                )}
                <Button label={say.portal} to={portal} openInNewContext />
                <Button
                    appearance="subtle"
                    label={say.events}
                    to={searchPage(revisionsOf(item.subject, item.id), '0')}
                    openInNewContext
                />
            </Row>
        </Head>
    );
}
