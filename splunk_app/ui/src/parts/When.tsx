// When something happened or will happen: told from now, and in full where it is pointed at.

import { strings } from '../strings';
import { age, exactly, instant, relative } from '../time';

interface Props {
    /** As Microsoft writes it, or in milliseconds since 1970. */
    at: string | number | null;
    now: number;
}

export function When({ at, now }: Props) {
    if (at === null) return <span>{strings.none}</span>;
    const time = typeof at === 'string' ? instant(at) : at;
    if (time === undefined) return <span>{at}</span>;
    return (
        <time dateTime={new Date(time).toISOString()} title={exactly(time)}>
            {typeof at === 'string' ? age(time, now) : relative(time, now)}
        </time>
    );
}
