// From an empty form to an account that works and inputs that read with it: form, test, inputs, one after another.

import { useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Message from '@splunk/react-ui/Message';
import Modal from '@splunk/react-ui/Modal';
import { Check } from '../../parts/Check';
import { Focused } from '../../parts/Focused';
import { FormDialog, WIDTH } from '../../parts/FormDialog';
import { MessageArea } from '../../parts/Page';
import { useDraft } from '../../parts/useDraft';
import { errorMessage } from '../../splunk/failure';
import type { CheckState } from '../../splunk/check';
import { strings } from '../../strings';
import { account, draft as drafted, settings, wrong as wrongOf, type Account, type Draft } from './account';
import { AccountForm } from './AccountForm';
import { FirstInputs } from './FirstInputs';
import { save, type SaveResult } from './saveAccount';

type Step = 'form' | 'check' | 'inputs';

export interface Opened {
    step: Step;
    draft: Draft;
    /** As saved; undefined while it is new. */
    before?: Account;
}

interface Props {
    opened: Opened | undefined;
    names: string[];
    /** Whether an input reads with this account already. */
    isUsed: (name: string) => boolean;
    mayEdit: boolean;
    mayAddInputs: boolean;
    onSaved: () => void;
    onInputs: () => void;
    onClose: () => void;
    returnFocus: () => void;
}

export function AccountDialog({ opened, onClose, returnFocus, ...rest }: Props) {
    const [saving, setSaving] = useState(false);
    return (
        <Modal open={opened !== undefined} onRequestClose={() => saving || onClose()} returnFocus={returnFocus} style={WIDTH}>
            {opened !== undefined && <Steps {...rest} opened={opened} saving={saving} onSaving={setSaving} onClose={onClose} />}
        </Modal>
    );
}

interface StepsProps extends Omit<Props, 'opened' | 'returnFocus'> {
    opened: Opened;
    saving: boolean;
    onSaving: (saving: boolean) => void;
}

function Steps({ opened, names, isUsed, mayEdit, mayAddInputs, saving, onSaving, onSaved, onInputs, onClose }: StepsProps) {
    const [step, setStep] = useState(opened.step);
    const { draft, setDraft, wrong, refuse, refusals, change } = useDraft(opened.draft);
    const [before, setBefore] = useState(opened.before);
    const [kept, setKept] = useState<SaveResult>();
    const [round, setRound] = useState(0);
    const [state, setState] = useState<CheckState>();
    const [checked, setChecked] = useState(false);
    const name = draft.name.trim();
    const offersInputs = mayAddInputs && !isUsed(name);

    const submit = async (test: boolean) => {
        const found = wrongOf(draft, before, names);
        refuse(found);
        setKept(undefined);
        if (Object.keys(found).length > 0) return;
        onSaving(true);
        const result = await save(draft, before, new Date());
        onSaving(false);
        setKept(result);
        if (result.done === 'nothing') return;
        // From here on it exists: saving again edits it.
        setBefore({ ...account(name, settings(draft)), secret_stored: before?.secret_stored ?? '' });
        onSaved();
        if (result.done === 'settings') return;
        setDraft((now) => ({ ...drafted(now), secret: '', key: '', certificate: '' }));
        if (test) {
            setChecked(false);
            setStep('check');
            setRound((count) => count + 1);
        } else if (offersInputs) setStep('inputs');
        else onClose();
    };

    if (step === 'inputs') return <FirstInputs account={name} working={saving} onWorking={onSaving} onCreated={onInputs} onClose={onClose} />;
    if (step === 'check') {
        const words = strings.check;
        return (
            <>
                <Modal.Header title={words.title(name)} />
                <Modal.Body>
                    {kept?.done === 'all_but_note' && (
                        <MessageArea>
                            <Message type="info">{strings.accounts.saved.note}</Message>
                        </MessageArea>
                    )}
                    <Check
                        account={name}
                        round={round}
                        onDone={(worst) => {
                            setChecked(true);
                            setState(worst);
                        }}
                    />
                </Modal.Body>
                <Modal.Footer>
                    {mayEdit && <Button appearance="secondary" onClick={() => setStep('form')} label={words.edit} />}
                    <Button
                        appearance="secondary"
                        disabled={!checked}
                        onClick={() => {
                            setChecked(false);
                            setRound((count) => count + 1);
                        }}
                        label={words.again}
                    />
                    <Focused>
                        {(ref) =>
                            offersInputs && checked && state !== undefined && state !== 'failed' ? (
                                <Button appearance="primary" elementRef={ref} onClick={() => setStep('inputs')} label={words.createInputs} />
                            ) : (
                                <Button appearance="primary" elementRef={ref} onClick={onClose} label={strings.action.close} />
                            )
                        }
                    </Focused>
                </Modal.Footer>
            </>
        );
    }

    const words = strings.accounts;
    return (
        <FormDialog
            title={before === undefined ? words.form.create : words.form.edit(name)}
            wrong={wrong}
            refusals={refusals}
            failed={failed(kept)}
            saving={saving}
            onSubmit={() => void submit(true)}
            onCancel={onClose}
            buttons={
                <>
                    <Button appearance="secondary" disabled={saving} onClick={() => void submit(false)} label={saving ? strings.action.saving : strings.action.save} />
                    <Button appearance="primary" type="submit" disabled={saving} label={words.form.saveAndTest} />
                </>
            }
        >
            <AccountForm draft={draft} before={before} wrong={wrong} disabled={saving} onChange={change} />
        </FormDialog>
    );
}

/** Which half is missing, and why. */
function failed(kept: SaveResult | undefined): { title: string; error: unknown } | undefined {
    const words = strings.accounts.saved;
    if (kept?.done === 'nothing') return { title: words.nothing, error: kept.error };
    if (kept?.done === 'settings') return { title: words.half, error: `${errorMessage(kept.error)} ${words.halfText}` };
    return undefined;
}
