// The inputs that fail, each with its cause and the way to mend it; many of them leave the table in sight.

import { useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Link from '@splunk/react-ui/Link';
import Message from '@splunk/react-ui/Message';
import { MessageArea, Row } from '../../parts/Page';
import { relative } from '../../time';
import type { Health } from '../../splunk/health';
import type { Input } from '../../splunk/inputs';
import { searchPage } from '../../splunk/web';
import { strings } from '../../strings';

const words = strings.inputs.failing;
export const LOG = searchPage('`defender_bridge_log`');
/** More are shown on demand. */
const SHOWN = 3;

interface Props {
    inputs: { input: Input; health: Health }[];
    now: number;
    /** Undefined for those who may look only. */
    onEdit: ((input: Input) => void) | undefined;
}

export function InputErrors({ inputs, now, onEdit }: Props) {
    const [all, setAll] = useState(false);
    const shown = all ? inputs : inputs.slice(0, SHOWN);
    return (
        <>
            {shown.map(({ input, health }) => (
                <MessageArea key={input.name}>
                    <Message type="error" appearance="fill">
                        <Message.Title>{words.title(input.name, relative(health.begun, now))}</Message.Title>
                        <div>{health.error}</div>
                        <Row $gap={16} style={{ marginTop: 8 }}>
                            {onEdit !== undefined && (
                                <Button appearance="secondary" label={words.edit} aria-label={strings.action.of(words.edit, input.name)} onClick={() => onEdit(input)} />
                            )}
                            <Link to={LOG} openInNewContext>
                                {words.log}
                            </Link>
                        </Row>
                    </Message>
                </MessageArea>
            ))}
            {inputs.length > SHOWN && (
                <MessageArea>
                    <Button appearance="secondary" label={all ? words.fewer : words.more(inputs.length - SHOWN)} onClick={() => setAll(!all)} />
                </MessageArea>
            )}
        </>
    );
}
