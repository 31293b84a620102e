// An empty queue says why it is empty, and what to do.
import Button from '@splunk/react-ui/Button';
import { Empty } from '../../../parts/Page';
import { page } from '../../../splunk/web';
import { triage as strings } from '../strings';
import type { Subject } from '../model/vocabulary';

interface Props {
    subject: Subject;
    setUp: boolean;
    administers: boolean;
    /** How many loaded objects the filters hide. */
    loaded: number;
    onClear: () => void;
}

export function EmptyQueue({ subject, setUp, administers, loaded, onClear }: Props) {
    const say = strings.empty;
    if (!setUp) {
        return (
            <Empty title={say.setUp.title} text={administers ? say.setUp.admin : say.setUp.other}>
                {administers && <Button appearance="primary" label={say.setUp.go} to={page('configuration')} />}
            </Empty>
        );
    }
    if (loaded > 0) {
        return (
            <Empty title={say.filtered.title} text={say.filtered.text(loaded)}>
                <Button label={strings.filters.clear} onClick={onClear} />
            </Empty>
        );
    }
    return (
        <Empty title={say.silent.title(strings.subjects[subject].toLowerCase())} text={say.silent.text}>
            <Button label={say.silent.inputs} to={page('inputs')} />
        </Empty>
    );
}
