// One input in a form that shows only what its feed and API need. The executable judges it with a real read;
// what it refuses is shown at the field it names.

import { useEffect, useRef, useState } from 'react';
import Button from '@splunk/react-ui/Button';
import CollapsiblePanel from '@splunk/react-ui/CollapsiblePanel';
import Message from '@splunk/react-ui/Message';
import Modal from '@splunk/react-ui/Modal';
import { ChoiceField, SeveralField, SuggestField, TextField, goToFirstMistake } from '../../parts/Field';
import { Failed } from '../../parts/Failed';
import { Notice } from '../../parts/Page';
import { Section } from '../../parts/Section';
import { useLoaded } from '../../parts/useLoaded';
import { SplunkFailure, told } from '../../splunk/failure';
import * as inputs from '../../splunk/inputs';
import { indexes, type Server } from '../../splunk/server';
import { strings } from '../../strings';
import { FEEDS, SEVERITIES, SOURCES, apis, changed, filtersSeverity, filtersSources, refusedAt, settings, wrong as wrongOf, type Draft, type Wrong } from './input';
import { whereToRun } from './place';

const words = strings.inputs;

export interface Opened {
    draft: Draft;
    /** Whether it is there already. */
    saved: boolean;
}

interface Props {
    opened: Opened | undefined;
    /** Undefined where they cannot be listed: then any name may be typed. */
    accounts: string[] | undefined;
    names: string[];
    server: Server | undefined;
    onSaved: () => void;
    onClose: () => void;
    returnFocus: () => void;
}

export function InputDialog({ opened, onClose, returnFocus, ...rest }: Props) {
    return (
        <Modal open={opened !== undefined} onRequestClose={onClose} returnFocus={returnFocus} style={{ width: 'min(680px, calc(100vw - 40px))' }}>
            {opened !== undefined && <Form {...rest} opened={opened} onClose={onClose} />}
        </Modal>
    );
}

function Form({ opened, accounts, names, server, onSaved, onClose }: Omit<Props, 'opened' | 'returnFocus'> & { opened: Opened }) {
    const isNew = !opened.saved;
    const [draft, setDraft] = useState(opened.draft);
    const [wrong, setWrong] = useState<Wrong>({});
    const [error, setError] = useState<unknown>();
    const [saving, setSaving] = useState(false);
    const [advanced, setAdvanced] = useState(false);
    const form = useRef<HTMLFormElement>(null);
    const known = useLoaded((signal) => indexes(signal).catch(() => []));
    const hint = isNew ? whereToRun(server) : undefined;

    useEffect(() => {
        if (Object.keys(wrong).length > 0) goToFirstMistake(form.current);
    }, [wrong]);

    const change = (part: Partial<Draft>) => {
        setDraft((now) => changed(now, part));
        setWrong((now) => Object.fromEntries(Object.entries(now).filter(([key]) => !(key in part))));
    };

    const submit = async () => {
        const found = wrongOf(draft, isNew, names);
        setWrong(found);
        setError(undefined);
        if (Object.keys(found).length > 0) return;
        setSaving(true);
        try {
            if (isNew) await inputs.create(draft.name.trim(), settings(draft));
            else await inputs.edit(draft.name, settings(draft));
            onSaved();
            onClose();
        } catch (refused) {
            if (refused instanceof SplunkFailure && refused.kind === 'exists') setWrong({ name: words.wrong.nameTaken });
            else {
                const field = refused instanceof SplunkFailure && refused.kind === 'refused' ? refusedAt(refused.said) : undefined;
                if (field === undefined) {
                    setError(refused);
                    form.current?.querySelector('[role=alert]')?.scrollIntoView();
                } else {
                    if (field === 'overlap' || field === 'settle') setAdvanced(true);
                    setWrong({ [field]: told(refused).replace(new RegExp(`^${field}: `), '') });
                }
            }
        } finally {
            setSaving(false);
        }
    };

    const field = (key: Exclude<keyof Draft, 'service_sources'>) => ({
        value: draft[key],
        error: wrong[key],
        disabled: saving,
        onChange: (value: string) => change({ [key]: value }),
    });
    const text = words.form;
    const ends = draft.api === 'graph' ? undefined : text.apiEnds;
    return (
        <form
            ref={form}
            noValidate
            style={{ display: 'contents' }}
            onSubmit={(event) => {
                event.preventDefault();
                void submit();
            }}
        >
            <Modal.Header title={isNew ? text.create : text.edit(draft.name)} />
            <Modal.Body>
                {Object.keys(wrong).length > 0 && (
                    <Notice role="alert">
                        <Message type="error" appearance="fill">
                            {words.wrong.some}
                        </Message>
                    </Notice>
                )}
                {error !== undefined && (
                    <Notice>
                        <Failed title={words.notSaved} error={error} />
                    </Notice>
                )}
                {hint !== undefined && (
                    <Notice>
                        <Message type={hint.type} appearance="fill">
                            {hint.text}
                        </Message>
                    </Notice>
                )}
                <Section title={text.what}>
                    {isNew && <TextField label={text.name} help={text.nameHelp} required {...field('name')} />}
                    {accounts === undefined || accounts.length === 0 ? (
                        <TextField label={text.account} help={text.accountNone} required {...field('account')} />
                    ) : (
                        <ChoiceField
                            label={text.account}
                            help={isNew ? undefined : text.accountHelp}
                            required
                            {...field('account')}
                            options={[...new Set([...accounts, ...(draft.account === '' ? [] : [draft.account])])].map((value) => ({ value, label: value }))}
                        />
                    )}
                    <ChoiceField label={text.feed} {...field('feed')} disabled={saving || !isNew} options={FEEDS.map((value) => ({ value, label: words.feed[value] ?? value }))} />
                    <ChoiceField
                        label={text.api}
                        help={isNew ? (ends ?? text.apiHelp) : text.fixed}
                        {...field('api')}
                        disabled={saving || !isNew}
                        options={apis(draft.feed).map((value) => ({ value, label: words.api[value] ?? value }))}
                    />
                </Section>
                <Section title={text.where}>
                    <SuggestField label={text.index} help={text.indexHelp} required {...field('index')} options={known.value ?? []} />
                    <TextField label={text.interval} help={text.intervalHelp} required {...field('interval')} />
                    <TextField label={text.start} help={isNew ? text.startHelp : `${text.startHelp} ${text.startRan}`} {...field('start')} />
                </Section>
                {(filtersSeverity(draft) || filtersSources(draft)) && (
                    <Section title={text.filters}>
                        {filtersSeverity(draft) && (
                            <ChoiceField
                                label={text.severity}
                                help={text.severityHelp}
                                {...field('min_severity')}
                                options={SEVERITIES.map((value) => ({ value, label: text.severities[value] ?? value }))}
                            />
                        )}
                        {filtersSources(draft) && (
                            <SeveralField
                                label={text.sources}
                                help={text.sourcesHelp}
                                values={draft.service_sources}
                                error={wrong.service_sources}
                                disabled={saving}
                                onChange={(service_sources) => change({ service_sources })}
                                options={[...new Set([...SOURCES, ...draft.service_sources])].map((value) => ({ value, label: text.source[value] ?? value }))}
                            />
                        )}
                    </Section>
                )}
                <CollapsiblePanel title={text.advanced} open={advanced} onChange={() => setAdvanced(!advanced)}>
                    <div style={{ paddingTop: 12 }}>
                        <TextField label={text.overlap} help={text.overlapHelp} {...field('overlap')} />
                        <TextField label={text.settle} help={text.settleHelp} {...field('settle')} />
                    </div>
                </CollapsiblePanel>
            </Modal.Body>
            <Modal.Footer>
                <Button appearance="secondary" onClick={onClose} label={strings.action.cancel} />
                <Button appearance="primary" type="submit" disabled={saving} label={saving ? text.trying : strings.action.save} />
            </Modal.Footer>
        </form>
    );
}
