// One input in a form that shows only what its feed and API need. The executable judges it with a real read;
// what it refuses is shown at the field it names.

import { useState } from 'react';
import Button from '@splunk/react-ui/Button';
import CollapsiblePanel from '@splunk/react-ui/CollapsiblePanel';
import Modal from '@splunk/react-ui/Modal';
import { Check } from '../../parts/Check';
import { ChoiceField, SeveralField, SuggestField, TextField } from '../../parts/Field';
import { FormDialog, WIDTH } from '../../parts/FormDialog';
import { Section } from '../../parts/Section';
import { useDraft } from '../../parts/useDraft';
import { useLoaded } from '../../parts/useLoaded';
import { SplunkFailure, errorMessage } from '../../splunk/failure';
import * as inputs from '../../splunk/inputs';
import { indexes, type Server } from '../../splunk/server';
import { strings } from '../../strings';
import {
    FEEDS,
    SEVERITIES,
    SOURCES,
    apis,
    changed,
    checkpoints,
    filtersSeverity,
    filtersSources,
    isStream,
    refusedAt,
    settings,
    tested,
    wrong as wrongOf,
    type Draft,
} from './input';
import { StreamFields } from './StreamFields';
import { WhereToRun } from './WhereToRun';

const words = strings.inputs;
const ADVANCED: (keyof Draft)[] = ['overlap', 'settle', 'checkpoint', 'checkpoint_container'];

export interface Opened {
    draft: Draft;
    /** Whether the input exists already. */
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
    const [saving, setSaving] = useState(false);
    return (
        <Modal open={opened !== undefined} onRequestClose={() => saving || onClose()} returnFocus={returnFocus} style={WIDTH}>
            {opened !== undefined && <Form {...rest} opened={opened} saving={saving} onSaving={setSaving} onClose={onClose} />}
        </Modal>
    );
}

interface FormProps extends Omit<Props, 'opened' | 'returnFocus'> {
    opened: Opened;
    saving: boolean;
    onSaving: (saving: boolean) => void;
}

function Form({ opened, accounts, names, server, saving, onSaving, onSaved, onClose }: FormProps) {
    const isNew = !opened.saved;
    const { draft, wrong, refuse, refusals, change } = useDraft(opened.draft, changed);
    const [error, setError] = useState<unknown>();
    const [advanced, setAdvanced] = useState(false);
    const [tests, setTests] = useState(0);
    const known = useLoaded((signal) => indexes(signal).catch(() => []));

    const submit = async () => {
        const found = wrongOf(draft, isNew, names);
        refuse(found);
        if (ADVANCED.some((key) => found[key] !== undefined)) setAdvanced(true);
        setError(undefined);
        if (Object.keys(found).length > 0) return;
        onSaving(true);
        try {
            if (isNew) await inputs.create(draft.name.trim(), settings(draft));
            else await inputs.edit(draft.name, settings(draft));
            onSaved();
            onClose();
        } catch (refused) {
            if (refused instanceof SplunkFailure && refused.kind === 'exists') refuse({ name: words.wrong.nameTaken });
            else {
                const field = refused instanceof SplunkFailure && refused.kind === 'refused' ? refusedAt(refused.said) : undefined;
                if (field === undefined) setError(refused);
                else {
                    if (ADVANCED.includes(field)) setAdvanced(true);
                    refuse({ [field]: errorMessage(refused).replace(new RegExp(`^${field}: `), '') });
                }
            }
        } finally {
            onSaving(false);
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
    const stream = isStream(draft.feed);
    const start = stream ? text.streamStartHelp : text.startHelp;
    return (
        <FormDialog
            title={isNew ? text.create : text.edit(draft.name)}
            wrong={wrong}
            refusals={refusals}
            failed={error === undefined ? undefined : { title: words.notSaved, error }}
            saving={saving}
            onSubmit={() => void submit()}
            onCancel={onClose}
            buttons={<Button appearance="primary" type="submit" disabled={saving} label={saving ? text.trying : strings.action.save} />}
        >
            {isNew && <WhereToRun server={server} />}
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
                {stream ? (
                    <>
                        <StreamFields draft={draft} isNew={isNew} disabled={saving} field={field} />
                        <div style={{ margin: '12px 0' }}>
                            <Button
                                appearance="secondary"
                                disabled={saving || draft.account === ''}
                                onClick={() => setTests((count) => count + 1)}
                                label={tests === 0 ? text.test : text.testAgain}
                            />
                        </div>
                        {tests > 0 && <Check account={draft.account} stream={tested(draft)} round={tests} />}
                    </>
                ) : (
                    <ChoiceField
                        label={text.api}
                        help={isNew ? (ends ?? text.apiHelp) : text.fixed}
                        {...field('api')}
                        disabled={saving || !isNew}
                        options={apis(draft.feed).map((value) => ({ value, label: words.api[value] ?? value }))}
                    />
                )}
            </Section>
            <Section title={text.where}>
                <SuggestField label={text.index} help={text.indexHelp} required {...field('index')} options={known.value ?? []} />
                <TextField label={text.interval} help={stream ? text.streamIntervalHelp : text.intervalHelp} required {...field('interval')} />
                <TextField label={text.start} help={isNew ? start : `${start} ${text.startRan}`} {...field('start')} />
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
                    {!stream && (
                        <>
                            <TextField label={text.overlap} help={text.overlapHelp} {...field('overlap')} />
                            <TextField label={text.settle} help={text.settleHelp} {...field('settle')} />
                        </>
                    )}
                    <ChoiceField
                        label={text.checkpoint}
                        help={stream ? text.checkpointStreamHelp : text.checkpointHelp}
                        {...field('checkpoint')}
                        options={checkpoints(draft.feed).map((value) => ({ value, label: text.checkpoints[value] ?? value }))}
                    />
                    {draft.checkpoint === 'blob' && (
                        <TextField label={text.container} help={text.containerHelp} required placeholder="https://" {...field('checkpoint_container')} />
                    )}
                </div>
            </CollapsiblePanel>
        </FormDialog>
    );
}
