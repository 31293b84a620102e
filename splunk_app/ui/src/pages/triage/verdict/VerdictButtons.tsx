// The ways on and back from each phase; the one most take has the focus when the phase begins.
import Button from '@splunk/react-ui/Button';
import { Focused } from '../../../parts/Focused';
import { triage as strings } from '../strings';
import type { Course } from './useVerdictWorkflow';

interface Props {
    course: Course;
    onCancel: () => void;
    onDone: () => void;
}

export function ActButtons({ course, onCancel, onDone }: Props) {
    const say = strings.act;
    const { planned, passing } = course;
    switch (course.phase) {
        case 'form':
            return (
                <>
                    <Button label={strings.verdict.cancel} onClick={onCancel} />
                    <Button appearance="primary" label={strings.verdict.examine} onClick={course.examine} />
                </>
            );
        case 'examining':
        case 'writing':
            return <Button label={say.stop} onClick={course.stop} />;
        case 'plan': {
            const what = strings.named[course.subject](planned).replace(/^\S+ /u, '');
            return (
                <>
                    <Button label={say.back} onClick={() => course.goTo('form')} />
                    {planned > 0 && <Primary label={say.write(planned, what)} onClick={course.write} />}
                </>
            );
        }
        case 'done':
            return (
                <>
                    {passing > 0 && <Button label={say.again(passing)} onClick={course.again} />}
                    {course.undoable.length > 0 && <Button label={say.undo} onClick={() => course.goTo('asking')} />}
                    <Primary label={say.close} onClick={onDone} />
                </>
            );
        case 'asking':
            return (
                <>
                    <Button label={say.back} onClick={() => course.goTo('done')} />
                    <Primary label={say.undoGo} onClick={course.undo} />
                </>
            );
        case 'undone':
            return <Primary label={say.close} onClick={onDone} />;
        case 'undoing':
            return null;
    }
}

function Primary({ label, onClick }: { label: string; onClick: () => void }) {
    return (
        <Focused>
            {(ref) => <Button appearance="primary" elementRef={ref} label={label} onClick={onClick} />}
        </Focused>
    );
}
