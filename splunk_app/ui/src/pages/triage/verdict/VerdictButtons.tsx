// The buttons of each phase. When a phase begins, the button most people press has the focus.
import Button from '@splunk/react-ui/Button';
import { Focused } from '../../../parts/Focused';
import { triage as strings } from '../strings';
import type { VerdictWorkflow } from './useVerdictWorkflow';

interface Props {
    workflow: VerdictWorkflow;
    onCancel: () => void;
    onDone: () => void;
}

export function VerdictButtons({ workflow, onCancel, onDone }: Props) {
    const say = strings.act;
    const { planned, passing } = workflow;
    switch (workflow.phase) {
        case 'form':
            return (
                <>
                    <Button label={strings.verdict.cancel} onClick={onCancel} />
                    <Button appearance="primary" label={strings.verdict.examine} onClick={workflow.examine} />
                </>
            );
        case 'examining':
        case 'writing':
            return <Button label={say.stop} onClick={workflow.stop} />;
        case 'plan': {
            const what = strings.named[workflow.subject](planned).replace(/^\S+ /u, '');
            return (
                <>
                    <Button label={say.back} onClick={() => workflow.goTo('form')} />
                    {planned > 0 && <Primary label={say.write(planned, what)} onClick={workflow.write} />}
                </>
            );
        }
        case 'done':
            return (
                <>
                    {passing > 0 && <Button label={say.again(passing)} onClick={workflow.again} />}
                    {workflow.undoable.length > 0 && <Button label={say.undo} onClick={() => workflow.goTo('asking')} />}
                    <Primary label={say.close} onClick={onDone} />
                </>
            );
        case 'asking':
            return (
                <>
                    <Button label={say.back} onClick={() => workflow.goTo('done')} />
                    <Primary label={say.undoGo} onClick={workflow.undo} />
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
