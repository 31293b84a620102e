// From an empty form to an account that works and inputs that read with it: form, test, inputs, one after another.

import { useEffect, useRef, useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Message from '@splunk/react-ui/Message';
import Modal from '@splunk/react-ui/Modal';
import { goToFirstMistake } from '../../parts/Field';
import { Failed } from '../../parts/Failed';
import { Notice } from '../../parts/Page';
import type { Verdict } from '../../splunk/check';
import { strings } from '../../strings';
import { account, draft as drafted, settings, wrong as wrongOf, type Account, type Draft, type Wrong } from './account';
import { AccountForm } from './AccountForm';
import { Check } from './Check';
import { FirstInputs } from './FirstInputs';
import { save, type Kept } from './keep';

export type Step = 'form' | 'check' | 'inputs';

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
    return (
        <Modal open={opened !== undefined} onRequestClose={onClose} returnFocus={returnFocus} style={{ width: 'min(680px, calc(100vw - 40px))' }}>
            {opened !== undefined && <Steps {...rest} opened={opened} onClose={onClose} />}
        </Modal>
    );
}

function Steps({ opened, names, isUsed, mayEdit, mayAddInputs, onSaved, onInputs, onClose }: Omit<Props, 'opened' | 'returnFocus'> & { opened: Opened }) {
    const [step, setStep] = useState(opened.step);
    const [draft, setDraft] = useState(opened.draft);
    const [before, setBefore] = useState(opened.before);
    const [wrong, setWrong] = useState<Wrong>({});
    const [kept, setKept] = useState<Kept>();
    const [saving, setSaving] = useState(false);
    const [round, setRound] = useState(0);
    const [verdict, setVerdict] = useState<Verdict>();
    const [checked, setChecked] = useState(false);
    const form = useRef<HTMLFormElement>(null);
    const name = draft.name.trim();
    const offersInputs = mayAddInputs && !isUsed(name);

    useEffect(() => {
        if (Object.keys(wrong).length > 0) goToFirstMistake(form.current);
    }, [wrong]);

    const change = (part: Partial<Draft>) => {
        setDraft((now) => ({ ...now, ...part }));
        setWrong((now) => Object.fromEntries(Object.entries(now).filter(([key]) => !(key in part))));
    };

    const submit = async (test: boolean) => {
        const found = wrongOf(draft, before, names);
        setWrong(found);
        setKept(undefined);
        if (Object.keys(found).length > 0) return;
        setSaving(true);
        const result = await save(draft, before, new Date());
        setSaving(false);
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

    if (step === 'inputs') return <FirstInputs account={name} onCreated={onInputs} onClose={onClose} />;
    if (step === 'check') {
        const words = strings.check;
        return (
            <>
                <Modal.Header title={words.title(name)} />
                <Modal.Body>
                    {kept?.done === 'all_but_note' && (
                        <Notice>
                            <Message type="info">{strings.accounts.saved.note}</Message>
                        </Notice>
                    )}
                    <Check
                        account={name}
                        round={round}
                        onDone={(worst) => {
                            setChecked(true);
                            setVerdict(worst);
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
                    {offersInputs && checked && verdict !== undefined && verdict !== 'failed' ? (
                        <Button appearance="primary" onClick={() => setStep('inputs')} label={words.createInputs} />
                    ) : (
                        <Button appearance="primary" onClick={onClose} label={strings.action.close} />
                    )}
                </Modal.Footer>
            </>
        );
    }

    const words = strings.accounts;
    return (
        <form
            ref={form}
            noValidate
            // So that head and foot stay in sight while the body scrolls.
            style={{ display: 'contents' }}
            onSubmit={(event) => {
                event.preventDefault();
                void submit(true);
            }}
        >
            <Modal.Header title={before === undefined ? words.form.create : words.form.edit(name)} />
            <Modal.Body>
                {Object.keys(wrong).length > 0 && (
                    <Notice role="alert">
                        <Message type="error" appearance="fill">
                            {words.wrong.some}
                        </Message>
                    </Notice>
                )}
                {kept?.done === 'nothing' && (
                    <Notice>
                        <Failed title={words.saved.nothing} error={kept.error} />
                    </Notice>
                )}
                {kept?.done === 'settings' && (
                    <Notice>
                        <Failed title={words.saved.half} error={`${kept.error instanceof Error ? kept.error.message : ''} ${words.saved.halfText}`} />
                    </Notice>
                )}
                <AccountForm draft={draft} before={before} wrong={wrong} disabled={saving} onChange={change} />
            </Modal.Body>
            <Modal.Footer>
                <Button appearance="secondary" onClick={onClose} label={strings.action.cancel} />
                <Button appearance="secondary" disabled={saving} onClick={() => void submit(false)} label={saving ? strings.action.saving : strings.action.save} />
                <Button appearance="primary" type="submit" disabled={saving} label={words.form.saveAndTest} />
            </Modal.Footer>
        </form>
    );
}
