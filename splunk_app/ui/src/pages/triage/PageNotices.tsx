// What has to be known before the queue is read: missing rights, failed searches, objects that are not in it.
import Button from '@splunk/react-ui/Button';
import Message from '@splunk/react-ui/Message';
import { errorMessage } from '../../splunk/failure';
import { strings as shared } from '../../strings';
import { MOST } from './model/queue';
import { Notice } from './parts/Notice';
import { triage as strings } from './strings';
import type { TriageState } from './useTriage';

export function PageNotices({ session, mayWrite, missing, queue, all }: TriageState) {
    const say = strings.page;
    return (
        <>
            {session.user !== null && !mayWrite && (
                <Message type="info" style={{ marginBottom: 10 }}>
                    <strong>{say.capability.title}</strong> {say.capability.text}
                </Message>
            )}
            {session.error !== null && (
                <Notice type="error" title={say.noSession}>
                    {errorMessage(session.error)} <Button label={shared.failure.tryAgain} onClick={session.again} />
                </Notice>
            )}
            {missing !== null && <Missing {...missing} />}
            {queue.error !== null && (
                <Notice type="error" title={strings.empty.failed}>
                    {errorMessage(queue.error)} <Button label={say.refresh} onClick={queue.refresh} />
                </Notice>
            )}
            {queue.cancelled && <Notice type="info">{say.cancelled}</Notice>}
            {all.length >= MOST && <Notice type="info">{say.capped(MOST)}</Notice>}
        </>
    );
}

/** What a link named and the page cannot show. */
function Missing({ id, error }: { id: string; error?: unknown }) {
    const say = strings.empty;
    if (error === undefined) return <Notice type="warning" title={say.missing(id)}>{say.missingHelp}</Notice>;
    return <Notice type="error" title={say.notSought(id)}>{errorMessage(error)}</Notice>;
}
