// The page Inputs: what is read, the state of each input, and everything that can be done about it.

import { useEffect, useRef, useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Link from '@splunk/react-ui/Link';
import Message from '@splunk/react-ui/Message';
import Plus from '@splunk/react-icons/Plus';
import { DeleteDialog } from '../../parts/DeleteDialog';
import { Failed } from '../../parts/Failed';
import { Empty, Loading, LookOnly, MessageArea, PageHead, Row } from '../../parts/Page';
import { useLoaded } from '../../parts/useLoaded';
import { useOpener } from '../../parts/useOpener';
import * as conf from '../../splunk/conf';
import { SplunkFailure } from '../../splunk/failure';
import { newest, type Health } from '../../splunk/health';
import * as inputs from '../../splunk/inputs';
import type { Input } from '../../splunk/inputs';
import { info } from '../../splunk/server';
import { current, setsUpInputs } from '../../splunk/session';
import { page } from '../../splunk/web';
import { strings } from '../../strings';
import { InputDialog, type Opened } from './InputDialog';
import { InputErrors, LOG } from './InputErrors';
import { Elsewhere, InputTable } from './InputTable';
import { cloned, draft } from './input';
import { SeveralServers } from './SeveralServers';
import { WhereToRun } from './WhereToRun';

const words = strings.inputs;
/** Milliseconds after which the page looks again by itself. */
const AGAIN = 60_000;

export function Inputs() {
    const session = useLoaded(current);
    const loaded = useLoaded((signal) => inputs.list(signal));
    const health = useLoaded(newest);
    const server = useLoaded((signal) => info(signal).catch(() => undefined));
    // Undefined where this user may not list them.
    const accounts = useLoaded(async (signal) => (await conf.list('defender_bridge_account', signal)).map(({ name }) => name).sort());
    const [opened, setOpened] = useState<Opened>();
    const [removing, setRemoving] = useState<Input>();
    const [switching, setSwitching] = useState<string>();
    const [notSwitched, setNotSwitched] = useState<{ title: string; error: unknown }>();
    const { remember, returnFocus } = useOpener('[data-add-input]');
    // What Health links to: shown among the others, and nothing else happens.
    const [linked] = useState(() => new URLSearchParams(window.location.search).get('form.input') ?? undefined);
    const led = useRef(false);

    const refresh = () => {
        loaded.again();
        health.again();
    };
    const again = useRef(refresh);
    again.current = refresh;
    useEffect(() => {
        const timer = setInterval(() => document.visibilityState === 'visible' && again.current(), AGAIN);
        return () => clearInterval(timer);
    }, []);

    useEffect(() => {
        if (linked === undefined || led.current) return;
        const row = document.querySelector<HTMLElement>(`[data-input="${CSS.escape(linked)}"]`);
        if (row === null) return;
        led.current = true;
        row.scrollIntoView({ block: 'center' });
        row.focus({ preventScroll: true });
    });

    const mayEdit = session.value !== undefined && setsUpInputs(session.value);
    const list = loaded.value ?? [];
    const names = list.map(({ name }) => name);
    const open = (what: Opened) => {
        remember();
        setOpened(what);
    };
    const first = accounts.value?.length === 1 ? accounts.value[0]! : '';

    const turn = async (input: Input) => {
        setSwitching(input.name);
        setNotSwitched(undefined);
        try {
            await (input.enabled ? inputs.disable : inputs.enable)(input.name);
        } catch (error) {
            setNotSwitched({ title: (input.enabled ? words.enabling.failedOff : words.enabling.failedOn)(input.name), error });
        }
        setSwitching(undefined);
        loaded.again();
    };

    const head = (
        <PageHead title={words.title} description={words.description}>
            {loaded.value !== undefined && (
                <>
                    <Button appearance="secondary" onClick={refresh} label={words.refresh} />
                    {mayEdit && list.length > 0 && (
                        <Button appearance="primary" icon={<Plus />} label={words.add} data-add-input onClick={() => open({ draft: { ...draft(), account: first }, saved: false })} />
                    )}
                </>
            )}
        </PageHead>
    );
    const failed = session.error ?? (loaded.value === undefined ? loaded.error : undefined);
    if (failed !== undefined) {
        const missing = failed instanceof SplunkFailure && failed.kind === 'missing';
        return (
            <>
                {head}
                <Failed
                    title={words.failed}
                    error={missing ? `${words.unknownScheme} ${words.notExposed}` : failed}
                    again={() => {
                        session.again();
                        loaded.again();
                    }}
                />
            </>
        );
    }
    if (session.value === undefined || loaded.value === undefined) {
        return (
            <>
                {head}
                <Loading />
            </>
        );
    }

    const now = Date.now();
    const going = new Map<string, Health>((health.value ?? []).map((one) => [one.name, one]));
    const failing = list.flatMap((input) => {
        const of = going.get(input.name);
        return input.enabled && of?.outcome === 'error' ? [{ input, health: of }] : [];
    });
    // What was deleted here left its last events, too.
    const elsewhere = (health.value ?? []).filter((one) => !names.includes(one.name) && one.host !== server.value?.name);
    return (
        <>
            {head}
            {!mayEdit && <LookOnly why={strings.rights.inputs} />}
            {mayEdit && <WhereToRun server={server.value} />}
            {notSwitched !== undefined && (
                <MessageArea>
                    <Failed {...notSwitched} />
                </MessageArea>
            )}
            {health.error !== undefined && (
                <MessageArea>
                    <Failed title={words.healthFailed} error={health.error} again={health.again} />
                </MessageArea>
            )}
            {server.value?.place === 'forwarder' && list.length > 0 && (
                <MessageArea>
                    <Message type="info">{words.healthElsewhere}</Message>
                </MessageArea>
            )}
            <InputErrors inputs={failing} now={now} onEdit={mayEdit ? (input) => open({ draft: draft(input), saved: true }) : undefined} />
            <SeveralServers health={health.value ?? []} />
            {list.length === 0 && mayEdit && accounts.value?.length === 0 && (
                <Empty title={words.noAccount.title} text={words.noAccount.text}>
                    <Button appearance="primary" to={page('configuration')} label={words.noAccount.go} />
                </Empty>
            )}
            {list.length === 0 && mayEdit && accounts.value?.length !== 0 && (
                <Empty title={words.empty.title} text={words.empty.text}>
                    <Button appearance="primary" icon={<Plus />} label={words.empty.add} data-add-input onClick={() => open({ draft: { ...draft(), account: first }, saved: false })} />
                </Empty>
            )}
            {list.length === 0 && !mayEdit && <Empty title={words.empty.title} text={words.empty.lookOnly} />}
            {list.length > 0 && (
                <>
                    <InputTable
                        inputs={list}
                        health={going}
                        now={now}
                        mayEdit={mayEdit}
                        switching={switching}
                        linked={linked}
                        onSwitch={(input) => void turn(input)}
                        onEdit={(input) => open({ draft: draft(input), saved: true })}
                        onClone={(input) => open({ draft: cloned(input, names), saved: false })}
                        onDelete={(input) => {
                            remember();
                            setRemoving(input);
                        }}
                    />
                    <Row $gap={16} style={{ marginTop: 12 }}>
                        <Link to={page('health')}>{words.health}</Link>
                        <Link to={LOG} openInNewContext>
                            {words.log}
                        </Link>
                    </Row>
                </>
            )}
            {elsewhere.length > 0 && <Elsewhere health={elsewhere} now={now} linked={linked} />}
            <InputDialog
                opened={opened}
                accounts={accounts.value}
                names={names}
                server={server.value}
                onSaved={refresh}
                onClose={() => setOpened(undefined)}
                returnFocus={returnFocus}
            />
            <DeleteDialog
                name={removing?.name}
                words={words.remove}
                remove={async (name) => {
                    try {
                        await inputs.remove(name);
                    } catch (error) {
                        return { title: words.remove.failed, error };
                    }
                    refresh();
                    return undefined;
                }}
                onClose={() => setRemoving(undefined)}
                returnFocus={returnFocus}
            />
        </>
    );
}
