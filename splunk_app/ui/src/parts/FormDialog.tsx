// A form in a dialog: its head and foot stay in sight while its body scrolls, a refusal is led to and read out,
// and while it is being saved nothing closes it.

import { useEffect, type ReactNode } from 'react';
import Button from '@splunk/react-ui/Button';
import Message from '@splunk/react-ui/Message';
import Modal from '@splunk/react-ui/Modal';
import { strings } from '../strings';
import { Failed } from './Failed';
import { goToFirstMistake } from './Field';
import { MessageArea } from './Page';
import { useFirstField } from './useFirstField';

export const WIDTH = { width: 'min(680px, calc(100vw - 40px))' };

interface Props {
    title: string;
    /** What is wrong with what was typed, by field. */
    wrong: object;
    /** How often it was refused: each time leads to the first mistake, mending one does not. */
    refusals: number;
    /** Why it was not saved. */
    failed?: { title: string; error: unknown };
    saving: boolean;
    onSubmit: () => void;
    onCancel: () => void;
    /** Beside Cancel. */
    buttons: ReactNode;
    children: ReactNode;
}

export function FormDialog({ title, wrong, refusals, failed, saving, onSubmit, onCancel, buttons, children }: Props) {
    const form = useFirstField<HTMLFormElement>();
    useEffect(() => {
        if (refusals > 0) goToFirstMistake(form.current);
    }, [form, refusals]);
    const error = failed?.error;
    useEffect(() => {
        // The field or button that had the focus was out of use while it was saved.
        if (error !== undefined) form.current?.querySelector<HTMLElement>('[data-test=failed]')?.focus();
    }, [form, error]);
    return (
        <form
            ref={form}
            noValidate
            style={{ display: 'contents' }}
            onSubmit={(event) => {
                event.preventDefault();
                onSubmit();
            }}
        >
            <Modal.Header title={title} hideCloseButton={saving} />
            <Modal.Body>
                {Object.keys(wrong).length > 0 && (
                    <MessageArea role="alert">
                        <Message type="error" appearance="fill">
                            {strings.form.wrong}
                        </Message>
                    </MessageArea>
                )}
                {failed !== undefined && (
                    <MessageArea tabIndex={-1} data-test="failed">
                        <Failed {...failed} />
                    </MessageArea>
                )}
                {children}
            </Modal.Body>
            <Modal.Footer>
                <Button appearance="secondary" disabled={saving} onClick={onCancel} label={strings.action.cancel} />
                {buttons}
            </Modal.Footer>
        </form>
    );
}
