// How many objects of each severity the list holds; a click filters by one, a second click ends that filter.
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import type { Item } from '../model/item';
import { Row } from '../../../parts/Page';
import { Severity } from '../parts/Tags';
import { Strong } from '../parts/styles';
import { countBySeverity } from '../model/queue';
import { triage as strings } from '../strings';

const Count = styled.button<{ $chosen: boolean }>`
    align-items: center;
    background: ${({ $chosen }) => ($chosen ? variables.interactiveColorOverlayActive : variables.backgroundColorSection)};
    border: 1px solid ${({ $chosen }) => ($chosen ? variables.focusColor : variables.borderColorWeak)};
    border-radius: 4px;
    color: ${variables.contentColorDefault};
    cursor: pointer;
    display: flex;
    font: inherit;
    gap: 8px;
    max-width: 320px;
    min-width: 0;
    padding: 4px 10px;
    &:hover {
        background: ${variables.interactiveColorOverlayHover};
    }
    &:focus-visible {
        outline: 2px solid ${variables.focusColor};
        outline-offset: 1px;
    }
`;

interface Props {
    items: readonly Item[];
    chosen: string;
    onChoose: (severity: string) => void;
}

export function SeverityCounts({ items, chosen, onChoose }: Props) {
    return (
        <Row style={{ marginBottom: 10 }} role="group" aria-label={strings.filters.severity}>
            {[...countBySeverity(items)].map(([severity, count]) => (
                <Count
                    key={severity}
                    type="button"
                    $chosen={severity === chosen}
                    aria-pressed={severity === chosen}
                    onClick={() => onChoose(severity === chosen ? '' : severity)}
                >
                    <Severity severity={severity} />
                    <Strong>{count.toLocaleString('en')}</Strong>
                </Count>
            ))}
        </Row>
    );
}
