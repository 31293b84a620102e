// The actions for the selected objects; the bar stays in sight at the bottom.
import Button from '@splunk/react-ui/Button';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { Row } from '../../../parts/Page';
import { Small, Strong } from '../parts/styles';
import { triage as strings } from '../strings';

const Bar = styled.div`
    background: ${variables.backgroundColorPopup};
    border: 1px solid ${variables.borderColorWeak};
    border-radius: 6px;
    bottom: 12px;
    box-shadow: ${variables.overlayShadow};
    margin-top: 12px;
    padding: 10px 14px;
    position: sticky;
    z-index: 2;
`;

interface Props {
    count: number;
    hidden: number;
    /** The length of the whole list, where only one page of it is selected. */
    rest: number;
    onAll: () => void;
    onResolve: () => void;
    onDecide: () => void;
    onAssignToMe: () => void;
    onClear: () => void;
}

export function BulkBar(props: Props) {
    const say = strings.bulk;
    return (
        <Bar role="region" aria-label={say.label} data-test="bulk">
            <Row style={{ justifyContent: 'space-between' }}>
                <Row aria-live="polite">
                    <Strong>{say.selected(props.count)}</Strong>
                    {props.hidden > 0 && <Small>{say.outside(props.hidden)}</Small>}
                    {props.rest > 0 && <Button appearance="subtle" label={strings.table.selectAll(props.rest)} onClick={props.onAll} />}
                </Row>
                <Row>
                    <Button appearance="subtle" label={say.clear} onClick={props.onClear} />
                    <Button label={say.assignToMe} onClick={props.onAssignToMe} />
                    <Button label={say.resolve} onClick={props.onResolve} />
                    <Button appearance="primary" label={say.decide} onClick={props.onDecide} />
                </Row>
            </Row>
        </Bar>
    );
}
