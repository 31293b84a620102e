// The keys of this page.
import Modal from '@splunk/react-ui/Modal';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { Sheet } from './parts/styles';
import { triage as strings } from './strings';

const Keys = styled.dl`
    display: grid;
    gap: 8px 16px;
    grid-template-columns: max-content 1fr;
    margin: 0;
    dt {
        color: ${variables.contentColorActive};
        font-family: ${variables.monoFontFamily};
    }
    dd {
        margin: 0;
    }
`;

interface Props {
    open: boolean;
    onClose: () => void;
    returnFocus: () => void;
}

export function KeyboardHelp({ open, onClose, returnFocus }: Props) {
    return (
        <Modal open={open} onRequestClose={onClose} returnFocus={returnFocus} style={{ width: 460 }}>
            <Modal.Header title={strings.keys.title} />
            <Modal.Body>
                <Sheet>
                    <Keys>
                        {strings.keys.list.map(([key, does]) => (
                            <div key={key} style={{ display: 'contents' }}>
                                <dt>{key}</dt>
                                <dd>{does}</dd>
                            </div>
                        ))}
                    </Keys>
                </Sheet>
            </Modal.Body>
        </Modal>
    );
}
