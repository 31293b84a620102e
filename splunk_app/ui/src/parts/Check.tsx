// The connection of an account or a stream, check by check: what works, what does not, what to do.

import { useEffect, useRef, useState } from 'react';
import CheckCircle from '@splunk/react-icons/CheckCircle';
import CrossCircle from '@splunk/react-icons/CrossCircle';
import ExclamationTriangle from '@splunk/react-icons/ExclamationTriangle';
import Message from '@splunk/react-ui/Message';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import variables from '@splunk/themes/variables';
import styled from 'styled-components';
import { Failed } from './Failed';
import { Muted, MessageArea, Row } from './Page';
import { check, worst, type CheckResult, type CheckState, type Stream } from '../splunk/check';
import type { State } from '../splunk/search';
import { strings } from '../strings';

const words = strings.check;

const Results = styled.ul`
    list-style: none;
    margin: 0;
    padding: 0;
    border: 1px solid ${variables.neutral100};
    border-radius: 6px;
    li {
        display: grid;
        grid-template-columns: 24px 92px 1fr;
        gap: 4px;
        padding: 10px 12px;
    }
    li + li {
        border-top: 1px solid ${variables.neutral100};
    }
`;

const Mark = styled.span<{ $state: CheckState }>`
    display: inline-flex;
    padding-top: 1px;
    color: ${({ $state, ...props }) =>
        ({
            ok: variables.statusColorNormal,
            warning: variables.statusColorMedium,
            failed: variables.statusColorCritical,
        })[$state](props)};
`;

const Remedy = styled.div`
    margin-top: 4px;
    overflow-wrap: anywhere;
`;

const ICON = { ok: CheckCircle, warning: ExclamationTriangle, failed: CrossCircle };

type Found = { results: CheckResult[] } | { error: unknown } | undefined;

interface Props {
    account: string;
    /** In place of the account's lists; as it is when `round` changes. */
    stream?: Stream;
    /** Asks again when it changes. */
    round: number;
    /** Hears how it ended. */
    onDone?: (worst: CheckState | undefined) => void;
}

export function Check({ account, stream, round, onDone }: Props) {
    const [found, setFound] = useState<Found>();
    const [state, setState] = useState<State>('running');
    const done = useRef(onDone);
    done.current = onDone;
    const asked = useRef(stream);
    asked.current = stream;
    useEffect(() => {
        const stop = new AbortController();
        setFound(undefined);
        setState('running');
        check(account, { signal: stop.signal, onState: setState }, asked.current).then(
            (results) => {
                if (stop.signal.aborted) return;
                setFound({ results });
                done.current?.(results.length === 0 ? undefined : worst(results));
            },
            (error: unknown) => {
                if (stop.signal.aborted) return;
                setFound({ error });
                done.current?.(undefined);
            },
        );
        return () => stop.abort();
    }, [account, round]);

    if (found === undefined) {
        return (
            <Row role="status" style={{ padding: '24px 0' }}>
                <WaitSpinner size="medium" />
                {state === 'queued' ? words.queued : words.running}
            </Row>
        );
    }
    if ('error' in found) return <Failed error={found.error} title={words.broken} />;
    if (found.results.length === 0) return <Failed error={words.empty} title={words.broken} />;
    const overall = worst(found.results);
    return (
        <div>
            <MessageArea role="status">
                <Message type={overall === 'ok' ? 'success' : overall === 'warning' ? 'warning' : 'error'} appearance="fill">
                    {overall === 'ok' ? words.well : overall === 'warning' ? words.warned : words.failed}
                </Message>
            </MessageArea>
            <Results>
                {found.results.map((result) => (
                    <ResultRow key={`${result.input} ${result.check}`} {...result} />
                ))}
            </Results>
        </div>
    );
}

function ResultRow({ input, check, state, permission, finding, remedy }: CheckResult) {
    const Icon = ICON[state];
    return (
        <li data-state={state}>
            <Mark $state={state}>
                <Icon aria-hidden="true" width={18} height={18} />
            </Mark>
            <span>{words.state[state]}</span>
            <div>
                <strong>
                    {input === '' ? '' : `${input}: `}
                    {words.check[check] ?? check}
                </strong>{' '}
                {finding === permission ? <Muted>{permission}</Muted> : <Muted style={{ overflowWrap: 'anywhere' }}>{finding}</Muted>}
                {state !== 'ok' && remedy !== '' && (
                    <Remedy>
                        <strong>{words.remedy}:</strong> {remedy}
                    </Remedy>
                )}
            </div>
        </li>
    );
}
