// A verdict on one or many objects in one dialog: form, preview, write, outcomes, undo.
import { useRef } from 'react';
import Modal from '@splunk/react-ui/Modal';
import { errorMessage } from '../../../splunk/failure';
import type { Accounts } from '../model/account';
import { VerdictButtons } from './VerdictButtons';
import { VerdictForm } from './VerdictForm';
import { Clipped, Sheet, Small } from '../parts/styles';
import { Notice } from '../parts/Notice';
import type { Outcome } from '../model/outcome';
import { Outcomes } from './Outcomes';
import { triage as strings } from '../strings';
import { useVerdictWorkflow, type VerdictWorkflow, type Phase } from './useVerdictWorkflow';
import type { Opening } from './useVerdictDialog';
import { useAccountRouting } from './useAccountRouting';
import type { Verdict } from '../model/verdict';
import { WriteProgress } from './WriteProgress';

interface Props {
    opening: Opening | null;
    accounts: Accounts;
    mine: readonly string[];
    maxTargets: number;
    /** The form to keep for the same objects, or `null` where there is nothing to keep. */
    onClose: (draft: Verdict | null) => void;
    onOutcomes: (outcomes: readonly Outcome[]) => void;
    onOwner: (principal: string) => void;
    returnFocus: () => void;
}

export function VerdictDialog(props: Props) {
    const last = useRef<Opening | null>(null);
    if (props.opening !== null) last.current = props.opening;
    const close = useRef<() => void>(() => undefined);
    return (
        <Modal
            open={props.opening !== null}
            onRequestClose={() => close.current()}
            returnFocus={props.returnFocus}
            style={{ width: 'min(1040px, 94vw)' }}
        >
            {last.current !== null && (
                <Inside {...props} opening={last.current} key={last.current.number} closing={close} />
            )}
        </Modal>
    );
}

function Inside(props: Props & { opening: Opening; closing: { current: () => void } }) {
    const { opening, accounts, maxTargets, onClose } = props;
    const routing = useAccountRouting(opening.items, accounts);
    const workflow = useVerdictWorkflow(opening, routing, maxTargets, props);
    const { phase } = workflow;
    props.closing.current = () => {
        if (!workflow.busy) onClose(phase === 'form' || phase === 'plan' ? workflow.verdict : null);
    };
    const [only] = opening.items.length === 1 ? opening.items : [];
    return (
        <>
            <Modal.Header
                title={titles(phase, strings.named[workflow.subject](opening.items.length))}
                subtitle={only === undefined ? undefined : <Clipped title={only.title}>{only.title}</Clipped>}
                hideCloseButton={workflow.busy}
            />
            <Modal.Body>
                <Sheet data-test={`act-${phase}`}>
                    {workflow.error !== null && (
                        <Notice type="error" title={strings.act.failed}>
                            {errorMessage(workflow.error)}
                        </Notice>
                    )}
                    {phase === 'form' && <VerdictForm workflow={workflow} routing={routing} mine={props.mine} maxTargets={maxTargets} />}
                    {workflow.busy && <WriteProgress phase={phase} progress={workflow.progress} />}
                    {phase === 'plan' && <Plan workflow={workflow} />}
                    {(phase === 'done' || phase === 'undone') && <Done workflow={workflow} />}
                    {phase === 'asking' && <p>{strings.act.undoAsk(workflow.taken)}</p>}
                </Sheet>
            </Modal.Body>
            <Modal.Footer>
                <VerdictButtons key={phase} workflow={workflow} onCancel={() => props.closing.current()} onDone={() => onClose(null)} />
            </Modal.Footer>
        </>
    );
}

function Plan({ workflow }: { workflow: VerdictWorkflow }) {
    const say = strings.act;
    return (
        <>
            <Notice type={workflow.planned > 0 ? 'info' : 'warning'}>
                {workflow.planned > 0 ? say.planText : say.planNothing}
            </Notice>
            <Outcomes outcomes={workflow.outcomes} itemOf={workflow.itemOf} onOverrule={workflow.overrule} />
        </>
    );
}

function Done({ workflow }: { workflow: VerdictWorkflow }) {
    const say = strings.act;
    return (
        <>
            {workflow.stopped && <Notice type="warning">{say.stopped}</Notice>}
            <Outcomes
                outcomes={workflow.outcomes}
                itemOf={workflow.itemOf}
                onOverrule={workflow.phase === 'done' ? workflow.overrule : undefined}
            />
            {workflow.undoable.length > 0 && (
                <Small as="div" style={{ marginTop: 8 }}>
                    {say.batch} {workflow.undoable.join(', ')}
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
