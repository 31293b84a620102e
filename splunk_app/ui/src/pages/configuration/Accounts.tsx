// All accounts, and what can be done with each.

import { useMemo, useState } from 'react';
import Button from '@splunk/react-ui/Button';
import Chip from '@splunk/react-ui/Chip';
import Message from '@splunk/react-ui/Message';
import Table from '@splunk/react-ui/Table';
import Plus from '@splunk/react-icons/Plus';
import { RowAction } from '../../parts/RowAction';
import { DeleteDialog } from '../../parts/DeleteDialog';
import { Failed } from '../../parts/Failed';
import { Bar, Empty, Loading, LookOnly, Muted, MessageArea, OneLine, Row } from '../../parts/Page';
import { useLoaded } from '../../parts/useLoaded';
import { useOpener } from '../../parts/useOpener';
import { markConfigured } from '../../splunk/app';
import * as conf from '../../splunk/conf';
import * as inputs from '../../splunk/inputs';
import { setsUpAccounts, setsUpInputs, type Session } from '../../splunk/session';
import { strings } from '../../strings';
import { CONF, account, cloned, daysLeft, draft, expiresSoon, needsSecret, type Account } from './account';
import { AccountDialog, type Opened } from './AccountDialog';
import { remove } from './saveAccount';

const words = strings.accounts;

export function Accounts({ session }: { session: Session }) {
    const mayEdit = setsUpAccounts(session);
    const loaded = useLoaded(async (signal) => {
        const stanzas = await conf.list(CONF, signal);
        return stanzas.map(({ name, settings }) => account(name, settings)).sort((a, b) => a.name.localeCompare(b.name));
    });
    // Only to warn and to offer inputs: without it everything else works.
    const used = useLoaded((signal) => inputs.list(signal).catch(() => undefined));
    const [opened, setOpened] = useState<Opened>();
    const [removing, setRemoving] = useState<Account>();
    const { remember, returnFocus } = useOpener('[data-add-account]');
    const accounts = loaded.value ?? [];
    const now = Date.now();
    const expiring = useMemo(() => accounts.filter((one) => expiresSoon(one, Date.now())).map(({ name }) => name), [accounts]);

    const open = (what: Opened) => {
        remember();
        setOpened(what);
    };
    const readers = (name: string) => used.value?.filter((input) => input.settings.account === name).map((input) => input.name);

    if (loaded.value === undefined) return loaded.error === undefined ? <Loading /> : <Failed error={loaded.error} again={loaded.again} title={words.failed} />;
    const add = (label: string) => (
        <Button appearance="primary" icon={<Plus />} label={label} data-add-account onClick={() => open({ step: 'form', draft: draft() })} />
    );
    return (
        <>
            {!mayEdit && <LookOnly why={strings.rights.secrets} />}
            {loaded.error !== undefined && (
                <MessageArea>
                    <Failed error={loaded.error} again={loaded.again} title={words.failed} />
                </MessageArea>
            )}
            {expiring.length > 0 && (
                <MessageArea>
                    <Message type="warning" appearance="fill">
                        {words.expiring(expiring)}
                    </Message>
                </MessageArea>
            )}
            {accounts.length === 0 && mayEdit && (
                <Empty title={words.empty.title} text={words.empty.text}>
                    <Permissions />
                    {add(words.empty.add)}
                </Empty>
            )}
            {accounts.length === 0 && !mayEdit && <Empty title={words.hidden.title} text={words.hidden.text} />}
            {accounts.length > 0 && (
                <>
                    <Bar>
                        <p>{words.intro}</p>
                        {mayEdit && add(words.add)}
                    </Bar>
                    <Table stripeRows tableStyle={{ minWidth: 1200, tableLayout: 'fixed', width: '100%' }}>
                        <Table.Head>
                            <Table.HeadCell width="auto">{words.column.name}</Table.HeadCell>
                            <Table.HeadCell width={260}>{words.column.tenant}</Table.HeadCell>
                            <Table.HeadCell width={130}>{words.column.auth}</Table.HeadCell>
                            <Table.HeadCell width={130}>{words.column.access}</Table.HeadCell>
                            <Table.HeadCell width={160}>{words.column.credential}</Table.HeadCell>
                            <Table.HeadCell width={340}>{words.column.actions}</Table.HeadCell>
                        </Table.Head>
                        <Table.Body>
                            {accounts.map((one) => (
                                <Table.Row key={one.name}>
                                    <Table.Cell>
                                        <OneLine as="strong" title={one.name}>
                                            {one.name}
                                        </OneLine>
                                    </Table.Cell>
                                    <Table.Cell>
                                        <div>
                                            <div>{one.tenant_id === '' ? strings.none : one.tenant_id}</div>
                                            <Muted>{words.inCloud[one.cloud]}</Muted>
                                        </div>
                                    </Table.Cell>
                                    <Table.Cell>{words.auth[one.auth]}</Table.Cell>
                                    <Table.Cell>
                                        <OneLine>{one.read_only ? words.readOnly : words.readWrite}</OneLine>
                                    </Table.Cell>
                                    <Table.Cell>
                                        <Credential of={one} now={now} />
                                    </Table.Cell>
                                    <Table.Cell>
                                        <Row $wrap={false}>
                                            <RowAction what={words.test} to={one.name} appearance="secondary" onClick={() => open({ step: 'check', draft: draft(one), before: one })} />
                                            {mayEdit && (
                                                <>
                                                    <RowAction what={strings.action.edit} to={one.name} onClick={() => open({ step: 'form', draft: draft(one), before: one })} />
                                                    <RowAction
                                                        what={strings.action.clone}
                                                        to={one.name}
                                                        onClick={() => open({ step: 'form', draft: cloned(one, accounts.map(({ name }) => name)) })}
                                                    />
                                                    <RowAction
                                                        what={strings.action.delete}
                                                        to={one.name}
                                                        onClick={() => {
                                                            remember();
                                                            setRemoving(one);
                                                        }}
                                                    />
                                                </>
                                            )}
                                        </Row>
                                    </Table.Cell>
                                </Table.Row>
                            ))}
                        </Table.Body>
                    </Table>
                </>
            )}
            <AccountDialog
                opened={opened}
                names={accounts.map(({ name }) => name)}
                isUsed={(name) => used.value === undefined || (readers(name) ?? []).length > 0}
                mayEdit={mayEdit}
                mayAddInputs={setsUpInputs(session)}
                onSaved={() => {
                    loaded.again();
                    // So that Splunk stops calling the app not set up; it works without.
                    if (session.can('edit_local_apps')) void markConfigured().catch(() => undefined);
                }}
                onInputs={used.again}
                onClose={() => {
                    setOpened(undefined);
                    loaded.again();
                }}
                returnFocus={returnFocus}
            />
            <DeleteDialog
                name={removing?.name}
                words={words.remove}
                remove={async (name) => {
                    const removed = await remove(name);
                    loaded.again();
                    if (removed.done === 'all') return undefined;
                    return { title: removed.done === 'nothing' ? words.remove.halfSecret : words.remove.halfConf, error: removed.error };
                }}
                onClose={() => setRemoving(undefined)}
                returnFocus={returnFocus}
            >
                {removing !== undefined && <Readers names={readers(removing.name)} />}
            </DeleteDialog>
        </>
    );
}

function Credential({ of, now }: { of: Account; now: number }) {
    const said = words.credential;
    if (!needsSecret(of.auth)) return <Muted>{said.noneNeeded}</Muted>;
    const stored = of.secret_stored === '' ? said.elsewhere : said.stored(of.secret_stored.slice(0, 10));
    const days = daysLeft(of, now);
    return (
        <Row>
            {days !== undefined && days < 0 && <Chip appearance="error">{said.ended(of.secret_expires)}</Chip>}
            {days !== undefined && days >= 0 && days <= 30 && <Chip appearance="warning">{said.endsIn(days)}</Chip>}
            <div>
                <div>{stored}</div>
                {days !== undefined && days > 30 && <Muted>{said.ends(of.secret_expires)}</Muted>}
            </div>
        </Row>
    );
}

function Permissions() {
    return (
        <Table style={{ width: 560, textAlign: 'left', marginBottom: 12 }}>
            <Table.Head>
                <Table.HeadCell>{words.empty.purpose}</Table.HeadCell>
                <Table.HeadCell>{words.empty.needed}</Table.HeadCell>
            </Table.Head>
            <Table.Body>
                {words.empty.permissions.map(([permission, purpose]) => (
                    <Table.Row key={permission}>
                        <Table.Cell>{permission}</Table.Cell>
                        <Table.Cell>{purpose}</Table.Cell>
                    </Table.Row>
                ))}
            </Table.Body>
        </Table>
    );
}

/** Whom a deletion would leave without an account. */
function Readers({ names }: { names: string[] | undefined }) {
    if (names === undefined) return <Message type="warning">{words.remove.unknown}</Message>;
    if (names.length === 0) return null;
    return (
        <Message type="warning" appearance="fill">
            {words.remove.used(names)}
        </Message>
    );
}
