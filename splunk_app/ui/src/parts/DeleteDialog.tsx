// Asks before something is deleted, and says why a deletion failed. The dialog stays open while Splunk deletes.

import { useState, type ReactNode } from 'react';
import Button from '@splunk/react-ui/Button';
import Modal from '@splunk/react-ui/Modal';
import { strings } from '../strings';
import { Failed } from './Failed';
import { MessageArea } from './Page';

interface Props {
    /** The name of the thing to be deleted; undefined while the dialog is closed. */
    name: string | undefined;
    words: { title: (name: string) => string; text: string; button: string };
    /** Why the deletion failed, where it failed. */
    remove: (name: string) => Promise<{ title: string; error: unknown } | undefined>;
    onClose: () => void;
    returnFocus: () => void;
    /** What the user should know before. */
    children?: ReactNode;
}

export function DeleteDialog({ name, words, remove, onClose, returnFocus, children }: Props) {
    const [failed, setFailed] = useState<{ title: string; error: unknown }>();
    const [working, setWorking] = useState(false);
    const close = () => {
        if (working) return;
        setFailed(undefined);
        onClose();
    };
    const go = async (of: string) => {
        setWorking(true);
        setFailed(undefined);
        const why = await remove(of);
        setWorking(false);
        if (why === undefined) onClose();
        else setFailed(why);
    };
    return (
        <Modal open={name !== undefined} onRequestClose={close} returnFocus={returnFocus} style={{ width: 'min(520px, calc(100vw - 40px))' }}>
            {name !== undefined && (
                <>
                    <Modal.Header title={words.title(name)} hideCloseButton={working} />
                    <Modal.Body>
                        {failed !== undefined && (
                            <MessageArea>
                                <Failed {...failed} />
                            </MessageArea>
                        )}
                        <p style={{ marginTop: 0 }}>{words.text}</p>
                        {children}
                    </Modal.Body>
                    <Modal.Footer>
                        <Button appearance="secondary" disabled={working} onClick={close} label={strings.action.cancel} />
                        <Button appearance="destructive" disabled={working} onClick={() => void go(name)} label={working ? strings.action.deleting : words.button} />
                    </Modal.Footer>
                </>
            )}
        </Modal>
    );
}
