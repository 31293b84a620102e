// The state of one input: its last run, the newest object it brought, its next run.

import Chip from '@splunk/react-ui/Chip';
import { Muted, Row } from '../../parts/Page';
import { When } from '../../parts/When';
import type { Health } from '../../splunk/health';
import { strings } from '../../strings';
import { instant, span } from '../../time';
import { pause } from './input';

const words = strings.inputs;

interface Props {
    health: Health | undefined;
    now: number;
}

export function LastRun({ health, now, enabled }: Props & { enabled: boolean }) {
    if (health === undefined) return <Muted>{enabled ? words.noRun : words.noRunYet}</Muted>;
    const look = { ok: 'success', stopped: 'info', error: 'error' } as const;
    return (
        <div>
            <Row>
                <Chip appearance={look[health.outcome]}>{words.outcome[health.outcome]}</Chip>
                <When at={health.begun} now={now} />
            </Row>
            <Muted>{words.events(health.events)}</Muted>
            {health.openGaps > 0 && <div>{words.gaps(health.openGaps)}</div>}
            {health.throttles > 0 && <div>{words.throttled(health.throttles)}</div>}
        </div>
    );
}

export function Newest({ health, now }: Props) {
    const time = instant(health?.watermark ?? '');
    return time === undefined ? <Muted>{strings.none}</Muted> : <When at={time} now={now} />;
}

export function NextRun({ health, now, interval, enabled }: Props & { interval: string; enabled: boolean }) {
    const every = pause(interval);
    if (!enabled) return <div>{strings.none}</div>;
    if (every === undefined) return <div>{words.bySchedule}</div>;
    if (health === undefined) return <div>{strings.none}</div>;
    const next = health.begun + health.took + every;
    // A run in progress leaves its summary at its end, so a little late is not late.
    const grace = Math.max(120_000, every);
    if (next >= now) {
        return (
            <div>
                <When at={next} now={now} />
            </div>
        );
    }
    return next + grace >= now ? <div>{words.due}</div> : <Chip appearance="warning">{words.overdue(span(now - next))}</Chip>;
}

/** A stream tells each minute how it goes; some minutes without a word are too many. */
const QUIET = 5 * 60_000;

export function Following({ health, now, enabled }: Props & { enabled: boolean }) {
    if (!enabled || health === undefined) return <div>{strings.none}</div>;
    const heard = now - health.begun;
    if (health.outcome === 'ok' && heard > QUIET) return <Chip appearance="warning">{words.notTold(span(heard))}</Chip>;
    const silent = instant(health.silentSince);
    return (
        <div>
            <div>{words.follows}</div>
            {silent !== undefined && <Muted>{words.silent(span(now - silent))}</Muted>}
        </div>
    );
}
