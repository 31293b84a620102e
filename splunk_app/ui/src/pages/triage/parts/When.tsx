// A point in time as people read it.
import { ago, exactly } from '../model/instant';
import { triage as strings } from '../strings';

/** How long ago, and exactly when on hover. */
export function When({ at, now }: { at: string | null; now: number }) {
    if (at === null) return <span>{strings.unset}</span>;
    return (
        <time dateTime={at} title={exactly(at)}>
            {ago(at, now)}
        </time>
    );
}
