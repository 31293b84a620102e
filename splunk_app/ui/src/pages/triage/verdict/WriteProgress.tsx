// The progress of a search that writes or previews, and how long it may take.
import Progress from '@splunk/react-ui/Progress';
import { Row } from '../../../parts/Page';
import { Small } from '../parts/styles';
import { triage as strings } from '../strings';

export function WriteProgress({ phase, progress: [done, of] }: { phase: string; progress: [number, number] }) {
    const say = strings.act;
    const text = phase === 'examining' ? say.examining : phase === 'undoing' ? say.undoing : say.writing;
    return (
        <div role="status" style={{ padding: '24px 0' }}>
            <Row style={{ justifyContent: 'space-between', marginBottom: 8 }}>
                <span>{text}</span>
                {of > 1 && done > 0 && <Small>{say.progress(done, of)}</Small>}
            </Row>
            {minutes(phase, of) > 0 && (
                <Small as="div" style={{ marginTop: 8 }}>
                    {say.patience(minutes(phase, of))}
                </Small>
            )}
            {done > 0 ? <Progress percentage={Math.round((100 * done) / of)} /> : <Progress indeterminate />}
        </div>
    );
}

/** Microsoft Graph takes 150 calls a minute for the alerts of a tenant; a write is also read before and after. */
const CALLS_A_MINUTE = 150;

/** Rounded: less than half a minute is not told. */
function minutes(phase: string, count: number): number {
    const calls = phase === 'examining' ? 1 : 3;
    return Math.round((count * calls) / CALLS_A_MINUTE);
}
