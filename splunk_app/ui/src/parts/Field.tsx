// Form fields: label, control, what it is for, and what is wrong with it, tied together for screen readers.

import { useRef, type ReactNode } from 'react';
import Button from '@splunk/react-ui/Button';
import ComboBox from '@splunk/react-ui/ComboBox';
import ControlGroup from '@splunk/react-ui/ControlGroup';
import Multiselect from '@splunk/react-ui/Multiselect';
import Select from '@splunk/react-ui/Select';
import Switch from '@splunk/react-ui/Switch';
import Text from '@splunk/react-ui/Text';
import TextArea from '@splunk/react-ui/TextArea';
import { strings } from '../strings';
import { Row } from './Page';

interface Common {
    label: string;
    help?: ReactNode;
    error?: string;
    required?: boolean;
    disabled?: boolean;
    value: string;
    onChange: (value: string) => void;
}

function Group({ label, help, error, required, layout, children }: Omit<Common, 'value' | 'onChange' | 'disabled'> & { layout?: 'stack'; children: ReactNode }) {
    return (
        <ControlGroup label={label} help={help} error={error ?? false} required={required ?? false} labelPosition="left" labelWidth={170} controlsLayout={layout}>
            {children}
        </ControlGroup>
    );
}

export function TextField({ placeholder, password, ...field }: Common & { placeholder?: string; password?: boolean }) {
    return (
        <Group {...field}>
            <Text
                value={field.value}
                onChange={(_, { value }) => field.onChange(value)}
                disabled={field.disabled}
                error={field.error !== undefined}
                placeholder={placeholder}
                type={password === true ? 'password' : 'text'}
                passwordVisibilityToggle={password === true && field.value !== ''}
                autoComplete={password === true ? 'new-password' : 'off'}
                spellCheck={false}
            />
        </Group>
    );
}

/** A PEM text: pasted, or taken from a file. */
export function PemField(field: Common) {
    return (
        <Group {...field} layout="stack">
            <TextArea
                value={field.value}
                onChange={(_, { value }) => field.onChange(value)}
                disabled={field.disabled}
                error={field.error !== undefined}
                rowsMin={3}
                rowsMax={3}
                spellCheck={false}
                autoComplete="off"
            />
            <FromFile field={field} />
        </Group>
    );
}

function FromFile({ field }: { field: Common }) {
    const file = useRef<HTMLInputElement>(null);
    return (
        <Row>
            <Button appearance="secondary" disabled={field.disabled} onClick={() => file.current?.click()} label={strings.accounts.form.chooseFile} aria-label={`${strings.accounts.form.chooseFile}: ${field.label}`} />
            <input
                ref={file}
                type="file"
                hidden
                accept=".pem,.key,.crt,.cer,text/plain"
                onChange={(event) => {
                    const chosen = event.target.files?.[0];
                    event.target.value = '';
                    void chosen?.text().then(field.onChange);
                }}
            />
        </Row>
    );
}

export function ChoiceField({ options, ...field }: Common & { options: { value: string; label: string; description?: string }[] }) {
    return (
        <Group {...field}>
            <Select value={field.value} onChange={(_, { value }) => field.onChange(String(value))} disabled={field.disabled} error={field.error !== undefined}>
                {options.map((option) => (
                    <Select.Option key={option.value} value={option.value} label={option.label} description={option.description} />
                ))}
            </Select>
        </Group>
    );
}

/** One of the suggestions, or any other text. */
export function SuggestField({ options, ...field }: Common & { options: string[] }) {
    return (
        <Group {...field}>
            <ComboBox value={field.value} onChange={(_, { value }) => field.onChange(value)} disabled={field.disabled} error={field.error !== undefined}>
                {options.map((option) => (
                    <ComboBox.Option key={option} value={option} />
                ))}
            </ComboBox>
        </Group>
    );
}

/** Any number of the options. */
export function SeveralField({ options, values, onChange, ...field }: Omit<Common, 'value' | 'onChange'> & { options: { value: string; label: string }[]; values: string[]; onChange: (values: string[]) => void }) {
    return (
        <Group {...field}>
            <Multiselect values={values} onChange={(_, { values: chosen }) => onChange(chosen.map(String))} disabled={field.disabled} error={field.error !== undefined}>
                {options.map((option) => (
                    <Multiselect.Option key={option.value} value={option.value} label={option.label} />
                ))}
            </Multiselect>
        </Group>
    );
}

export function SwitchField({ label, help, on, disabled, onChange }: { label: string; help?: string; on: boolean; disabled?: boolean; onChange: (on: boolean) => void }) {
    return (
        <Group label={label} help={help}>
            <Switch appearance="toggle" selected={on} disabled={disabled} onClick={() => onChange(!on)} aria-label={label} />
        </Group>
    );
}

/** A refused form begins at its first mistake. */
export function goToFirstMistake(form: HTMLElement | null): void {
    const first = form?.querySelector<HTMLElement>('[aria-describedby*="error-"]');
    first?.focus();
    first?.scrollIntoView({ block: 'center' });
}
