// The form of a verdict beside the objects it is about, and the reasons why it cannot be written.
import type { KeyboardEvent } from 'react';
import styled from 'styled-components';
import { useFirstField } from '../../../parts/useFirstField';
import { ObjectSummary } from './ObjectSummary';
import { Notice } from '../parts/Notice';
import { triage as strings } from '../strings';
import type { VerdictWorkflow } from './useVerdictWorkflow';
import type { AccountRouting } from './useAccountRouting';
import { VerdictFields } from './VerdictFields';

const Sides = styled.div`
    align-items: start;
    display: grid;
    gap: 24px;
    grid-template-columns: minmax(0, 1fr) 280px;
    @media (max-width: 900px) {
        grid-template-columns: minmax(0, 1fr);
    }
`;

interface Props {
    workflow: VerdictWorkflow;
    routing: AccountRouting;
    mine: readonly string[];
    maxTargets: number;
}

export function VerdictForm({ workflow, routing, mine, maxTargets }: Props) {
    const say = strings.verdict;
    const { subject, items, verdict, tried } = workflow;
    const around = useFirstField<HTMLDivElement>();
    /** Enter shows the preview; in a field where Enter has a meaning of its own, Ctrl+Enter does. */
    const press = (event: KeyboardEvent): void => {
        const target = event.target as Element;
        const goesOn = target instanceof HTMLInputElement || target.getAttribute('role') === 'radio';
        if (event.key !== 'Enter' || !(goesOn || event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        workflow.examine();
    };
    return (
        <div ref={around} onKeyDown={press}>
            {tried && workflow.empty && <Notice type="error">{say.nothing}</Notice>}
            {workflow.tooMany && <Notice type="error">{say.tooMany(items.length, maxTargets)}</Notice>}
            {routing.nowhere && <Notice type="error">{say.noAccount}</Notice>}
            {routing.readOnly.map((name) => (
                <Notice key={name} type="warning">
                    {say.readOnly(name)}
                </Notice>
            ))}
            <Sides>
                <div>
                    <VerdictFields
                        subject={subject}
                        verdict={verdict}
                        onVerdict={workflow.setVerdict}
                        faults={tried ? workflow.wrong : {}}
                        mine={mine}
                        accounts={routing.toChoose.map((one) => ({
                            ...one,
                            fault: tried && one.chosen === '' ? say.faults.account : undefined,
                        }))}
                        onAccount={routing.choose}
                    />
                </div>
                <ObjectSummary items={items} />
            </Sides>
        </div>
    );
}
