// An empty queue says why it is empty, and what to do.
import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import { page } from '../../splunk/web';
import { triage as strings } from './strings';
import type { Subject } from './vocabulary';

interface Props {
    subject: Subject;
    setUp: boolean;
    administers: boolean;
    /** What the filters hide. */
    loaded: number;
    onClear: () => void;
}

export function Nothing({ subject, setUp, administers, loaded, onClear }: Props) {
    const say = strings.empty;
    if (!setUp) {
        return (
            <Centred title={say.setUp.title} text={administers ? say.setUp.admin : say.setUp.other}>
                {administers && <Button appearance="primary" label={say.setUp.go} to={page('configuration')} />}
            </Centred>
        );
    }
    if (loaded > 0) {
        return (
            <Centred title={say.filtered.title} text={say.filtered.text(loaded)}>
                <Button label={strings.filters.clear} onClick={onClear} />
            </Centred>
        );
    }
    return (
        <Centred title={say.silent.title(strings.subjects[subject].toLowerCase())} text={say.silent.text}>
            <Button label={say.silent.inputs} to={page('inputs')} />
        </Centred>
    );
}

function Centred({ title, text, children }: { title: string; text: string; children: React.ReactNode }) {
    return (
        <div style={{ margin: '72px auto', maxWidth: 520, textAlign: 'center' }} data-test="nothing">
            <Heading level={2} style={{ margin: '0 0 8px' }}>
                {title}
            </Heading>
            <p style={{ margin: '0 0 16px' }}>{text}</p>
            {children}
        </div>
    );
}
