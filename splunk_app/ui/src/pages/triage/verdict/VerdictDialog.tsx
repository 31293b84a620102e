// What is decided about one or many, in one dialog: asked, previewed, written, and taken back where it was wrong.
import { useRef } from 'react';
import Modal from '@splunk/react-ui/Modal';
import { told } from '../../../splunk/failure';
import type { Accounts } from '../model/account';
import { ActButtons } from './VerdictButtons';
import { ActForm } from './VerdictForm';
import { Clipped, Sheet, Small } from '../styles';
import { Notice } from '../Notice';
import type { Ending } from '../model/outcome';
import { Outcomes } from './Outcomes';
import { triage as strings } from '../strings';
import { useCourse, type Course, type Phase } from './useVerdictWorkflow';
import type { Intent } from './useVerdictDialog';
import { useWays } from './useAccountRouting';
import type { Verdict } from '../model/verdict';
import { Waiting } from './WriteProgress';

interface Props {
    intent: Intent | null;
    accounts: Accounts;
    mine: readonly string[];
    maxTargets: number;
    /** Closed with the form as it stands, or with nothing left to keep. */
    onClose: (draft: Verdict | null) => void;
    onEndings: (endings: readonly Ending[]) => void;
    onOwner: (principal: string) => void;
    returnFocus: () => void;
}

export function ActDialog(props: Props) {
    const last = useRef<Intent | null>(null);
    if (props.intent !== null) last.current = props.intent;
    const close = useRef<() => void>(() => undefined);
    return (
        <Modal
            open={props.intent !== null}
            onRequestClose={() => close.current()}
            returnFocus={props.returnFocus}
            style={{ width: 'min(1040px, 94vw)' }}
        >
            {last.current !== null && (
                <Inside {...props} intent={last.current} key={last.current.number} closing={close} />
            )}
        </Modal>
    );
}

function Inside(props: Props & { intent: Intent; closing: { current: () => void } }) {
    const { intent, accounts, maxTargets, onClose } = props;
    const ways = useWays(intent.items, accounts);
    const course = useCourse(intent, ways, maxTargets, props);
    const { phase } = course;
    props.closing.current = () => {
        if (!course.busy) onClose(phase === 'form' || phase === 'plan' ? course.verdict : null);
    };
    const [only] = intent.items.length === 1 ? intent.items : [];
    return (
        <>
            <Modal.Header
                title={titles(phase, strings.named[course.subject](intent.items.length))}
                subtitle={only === undefined ? undefined : <Clipped title={only.title}>{only.title}</Clipped>}
                hideCloseButton={course.busy}
            />
            <Modal.Body>
                <Sheet data-test={`act-${phase}`}>
                    {course.error !== null && (
                        <Notice type="error" title={strings.act.failed}>
                            {told(course.error)}
                        </Notice>
                    )}
                    {phase === 'form' && <ActForm course={course} ways={ways} mine={props.mine} maxTargets={maxTargets} />}
                    {course.busy && <Waiting phase={phase} progress={course.progress} />}
                    {phase === 'plan' && <Plan course={course} />}
                    {(phase === 'done' || phase === 'undone') && <Done course={course} />}
                    {phase === 'asking' && <p>{strings.act.undoAsk(course.taken)}</p>}
                </Sheet>
            </Modal.Body>
            <Modal.Footer>
                <ActButtons key={phase} course={course} onCancel={() => props.closing.current()} onDone={() => onClose(null)} />
            </Modal.Footer>
        </>
    );
}

function Plan({ course }: { course: Course }) {
    const say = strings.act;
    return (
        <>
            <Notice type={course.planned > 0 ? 'info' : 'warning'}>
                {course.planned > 0 ? say.planText : say.planNothing}
            </Notice>
            <Outcomes endings={course.endings} itemOf={course.itemOf} onOverrule={course.overrule} />
        </>
    );
}

function Done({ course }: { course: Course }) {
    const say = strings.act;
    return (
        <>
            {course.stopped && <Notice type="warning">{say.stopped}</Notice>}
            <Outcomes
                endings={course.endings}
                itemOf={course.itemOf}
                onOverrule={course.phase === 'done' ? course.overrule : undefined}
            />
            {course.undoable.length > 0 && (
                <Small as="div" style={{ marginTop: 8 }}>
                    {say.batch} {course.undoable.join(', ')}
                </Small>
            )}
        </>
    );
}

function titles(phase: Phase, what: string): string {
    switch (phase) {
        case 'plan':
        case 'examining':
            return `${strings.act.planTitle}: ${what}`;
        case 'writing':
        case 'done':
            return `${strings.act.doneTitle}: ${what}`;
        case 'asking':
        case 'undoing':
            return strings.act.undoTitle;
        case 'undone':
            return strings.act.undone;
        case 'form':
            return strings.verdict.title(what);
    }
}
