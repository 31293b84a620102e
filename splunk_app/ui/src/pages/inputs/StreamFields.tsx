// What only a stream has: which event hub or storage account, and which of its tables.

import { ChoiceField, TextField } from '../../parts/Field';
import { strings } from '../../strings';
import { TRANSPORTS, type Draft } from './input';

const text = strings.inputs.form;

type Key = Exclude<keyof Draft, 'service_sources'>;

interface Props {
    draft: Draft;
    isNew: boolean;
    disabled: boolean;
    field: (key: Key) => { value: string; error: string | undefined; disabled: boolean; onChange: (value: string) => void };
}

export function StreamFields({ draft, isNew, disabled, field }: Props) {
    // Positions are those of one stream.
    const fixed = (key: Key) => ({ ...field(key), disabled: disabled || !isNew });
    const help = (words: string) => (isNew ? words : text.streamFixed);
    return (
        <>
            {draft.feed === 'event_hub' ? (
                <>
                    <TextField label={text.namespace} help={help(text.namespaceHelp)} {...fixed('event_hub_namespace')} />
                    <TextField label={text.hub} help={help(text.hubHelp)} {...fixed('event_hub')} />
                    <TextField label={text.group} help={help(text.groupHelp)} {...fixed('consumer_group')} />
                    <ChoiceField
                        label={text.transport}
                        help={text.transportHelp}
                        {...field('transport')}
                        options={TRANSPORTS.map((value) => ({ value, label: text.transports[value] ?? value }))}
                    />
                </>
            ) : (
                <TextField label={text.storage} help={help(text.storageHelp)} {...fixed('storage_account')} />
            )}
            <TextField label={text.tables} help={text.tablesHelp} {...field('tables')} />
        </>
    );
}
