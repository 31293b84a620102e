// The page's name, the age of what it shows, and the buttons for the whole page.
import type { Ref } from 'react';
import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { age } from '../../../time';
import { Row } from '../../../parts/Page';
import { Small } from '../parts/styles';
import { triage as strings } from '../strings';
import type { Queue } from './useQueue';

interface Props {
    queue: Queue;
    now: number;
    /** Takes the focus where there is no row. */
    headingRef: Ref<HTMLDivElement>;
    onHistory: () => void;
    onHelp: () => void;
}

export function QueueHeader({ queue, now, headingRef, onHistory, onHelp }: Props) {
    const say = strings.page;
    return (
        <Row style={{ justifyContent: 'space-between', marginBottom: 4 }}>
            <div ref={headingRef} tabIndex={-1} style={{ outline: 'none' }}>
                <Heading level={1} style={{ margin: 0 }}>
                    {strings.title}
                </Heading>
            </div>
            <Row>
                {queue.state !== null && (
                    <Row role="status">
                        <WaitSpinner size="small" />
                        <Small>{queue.state === 'queued' ? say.queued : say.loading}</Small>
                        <Button appearance="subtle" label={say.cancel} onClick={queue.cancel} />
                    </Row>
                )}
                {queue.state === null && queue.at !== null && (
                    <Small>{say.updated(age(queue.at, now))}</Small>
                )}
                <Button label={say.refresh} onClick={queue.refresh} />
                <Button label={say.history} onClick={onHistory} />
                <Button appearance="subtle" label={say.keyboard} onClick={onHelp} />
            </Row>
        </Row>
    );
}
