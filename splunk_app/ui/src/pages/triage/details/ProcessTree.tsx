// Who started whom, as a tree that reads from top to bottom.
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { Row } from '../../../parts/Page';
import { Mono, Small, Strong } from '../parts/styles';
import { Marks } from './EvidenceList';
import { processTree, type TreeNode } from '../model/processTree';
import type { Evidence } from '../model/evidence';
import { exactly, instant } from '../../../time';
import { triage as strings } from '../strings';

const Branch = styled.ul`
    list-style: none;
    margin: 0;
    padding: 0;
    ul {
        list-style: none;
        border-left: 1px solid ${variables.borderColorWeak};
        margin: 0 0 0 7px;
        padding: 0 0 0 16px;
    }
    li {
        position: relative;
    }
    ul > li::before {
        border-top: 1px solid ${variables.borderColorWeak};
        content: '';
        left: -16px;
        position: absolute;
        top: 16px;
        width: 12px;
    }
`;

const Node = styled.div<{ $named: boolean }>`
    border: 1px ${({ $named }) => ($named ? 'dashed' : 'solid')} ${variables.borderColorWeak};
    border-radius: 4px;
    margin: 4px 0;
    padding: 6px 10px;
`;

const Command = styled(Mono)`
    background: ${variables.backgroundColorPage};
    border-radius: 3px;
    color: ${variables.contentColorActive};
    display: block;
    margin-top: 4px;
    max-height: 9em;
    overflow-y: auto;
    padding: 4px 6px;
`;

export function ProcessTree({ evidence }: { evidence: readonly Evidence[] }) {
    const roots = processTree(evidence);
    return (
        <Branch data-test="process-tree">
            {roots.map((root) => (
                <Leaf key={root.key} node={root} />
            ))}
        </Branch>
    );
}

function Leaf({ node }: { node: TreeNode }) {
    const { image, evidence } = node;
    const time = instant(node.started);
    const started = time === undefined ? node.started : exactly(time);
    const folder =
        image.path === null ? '' : `${image.path.replace(/[\\/]+$/u, '')}${image.path.includes('/') ? '/' : '\\'}`;
    return (
        <li>
            <Node $named={evidence === null}>
                <Row>
                    <Strong>{image.name ?? node.command ?? strings.evidence.unnamed}</Strong>
                    {node.pid !== null && <Small>{node.pid}</Small>}
                    {evidence === null ? <Small>{strings.evidence.parentOnly}</Small> : <Marks evidence={evidence} />}
                </Row>
                <Small as="div">
                    {[folder && `${folder}${image.name ?? ''}`, node.user, started]
                        .filter(Boolean)
                        .join(' · ')}
                </Small>
                {node.command !== null && (
                    <Command tabIndex={node.command.length > 400 ? 0 : undefined}>{node.command}</Command>
                )}
                {image.sha256 !== null && (
                    <Small as="div">
                        {strings.evidence.facts.sha256} <Mono>{image.sha256}</Mono>
                    </Small>
                )}
            </Node>
            {node.children.length > 0 && (
                <ul>
                    {node.children.map((child) => (
                        <Leaf key={child.key} node={child} />
                    ))}
                </ul>
            )}
        </li>
    );
}
