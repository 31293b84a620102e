// The question: what is to be changed, beside what it is about, and whatever stands against it.
import type { KeyboardEvent } from 'react';
import styled from 'styled-components';
import { useFirstField } from '../../../parts/useFirstField';
import { About } from './ObjectSummary';
import { Notice } from '../Notice';
import { triage as strings } from '../strings';
import type { Course } from './useVerdictWorkflow';
import type { Ways } from './useAccountRouting';
import { VerdictForm } from './VerdictFields';

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
    course: Course;
    ways: Ways;
    mine: readonly string[];
    maxTargets: number;
}

export function ActForm({ course, ways, mine, maxTargets }: Props) {
    const say = strings.verdict;
    const { subject, items, verdict, tried } = course;
    const around = useFirstField<HTMLDivElement>();
    /** Enter goes on, as in every form; where it has a meaning of its own, together with Ctrl. */
    const press = (event: KeyboardEvent): void => {
        const target = event.target as Element;
        const goesOn = target instanceof HTMLInputElement || target.getAttribute('role') === 'radio';
        if (event.key !== 'Enter' || !(goesOn || event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        course.examine();
    };
    return (
        <div ref={around} onKeyDown={press}>
            {tried && course.empty && <Notice type="error">{say.nothing}</Notice>}
            {course.tooMany && <Notice type="error">{say.tooMany(items.length, maxTargets)}</Notice>}
            {ways.nowhere && <Notice type="error">{say.noAccount}</Notice>}
            {ways.readOnly.map((name) => (
                <Notice key={name} type="warning">
                    {say.readOnly(name)}
                </Notice>
            ))}
            <Sides>
                <div>
                    <VerdictForm
                        subject={subject}
                        verdict={verdict}
                        onVerdict={course.setVerdict}
                        faults={tried ? course.wrong : {}}
                        mine={mine}
                        accounts={ways.toChoose.map((one) => ({
                            ...one,
                            fault: tried && one.chosen === '' ? say.faults.account : undefined,
                        }))}
                        onAccount={ways.choose}
                    />
                </div>
                <About items={items} />
            </Sides>
        </div>
    );
}
