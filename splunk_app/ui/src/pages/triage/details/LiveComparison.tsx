// Asks Defender for the object's state at this moment, and says what differs from the index.
import { useEffect, useRef, useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Message from '@splunk/react-ui/Message';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { Row } from '../../../parts/Page';
import { errorMessage } from '../../../splunk/failure';
import type { Item } from '../model/item';
import { worded } from '../model/wording';
import { Small } from '../parts/styles';
import { triage as strings } from '../strings';
import { readLive, type Live } from './live';

interface Props {
    item: Item;
    account: string | null;
    onLive: (item: Item, live: Live) => void;
}

export function LiveComparison({ item, account, onLive }: Props) {
    const [asked, setAsked] = useState<{ busy?: boolean; live?: Live; error?: unknown }>({});
    const stop = useRef(new AbortController());
    useEffect(() => () => stop.current.abort(), []);
    const say = strings.drawer;
    if (account === null) return null;
    const go = (): void => {
        stop.current = new AbortController();
        setAsked({ busy: true });
        readLive(item, account, stop.current.signal).then(
            (live) => {
                setAsked({ live });
                onLive(item, live);
            },
            (error: unknown) => {
                if (!stop.current.signal.aborted) setAsked({ error });
            },
        );
    };
    return (
        <div style={{ marginTop: 12 }} aria-live="polite">
            <Row>
                <Button label={say.live} onClick={go} disabled={asked.busy === true ? 'dimmed' : false} />
                {asked.busy === true && (
                    <Row>
                        <WaitSpinner size="small" />
                        <Small>{say.liveRunning}</Small>
                    </Row>
                )}
                {asked.live?.differs.length === 0 && <Small>{say.liveSame}</Small>}
            </Row>
            {asked.live !== undefined && asked.live.differs.length > 0 && (
                <Message type="info" appearance="fill" style={{ marginTop: 8 }}>
                    <Message.Title>{say.liveDiffers}</Message.Title>
                    {asked.live.differs.map(({ field, before, after }) => (
                        <div key={field}>
                            {strings.fields[field] ?? field}:{' '}
                            {strings.act.from(worded(field, before), worded(field, after))}
                        </div>
                    ))}
                </Message>
            )}
            {'error' in asked && (
                <Message type="error" appearance="fill" style={{ marginTop: 8 }}>
                    <Message.Title>{say.unreadable}</Message.Title>
                    {errorMessage(asked.error)}
                </Message>
            )}
        </div>
    );
}
