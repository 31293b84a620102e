// The fields of an account: only those its kind of credential and its cloud need.

import { ChoiceField, PemField, SwitchField, TextField } from '../../parts/Field';
import { Section } from '../../parts/Section';
import { strings } from '../../strings';
import { AUTHS, CLOUDS, URLS, needsSecret, signsIn, type Account, type Draft, type Wrong } from './account';

const words = strings.accounts.form;

interface Props {
    draft: Draft;
    /** As saved; undefined while it is new. */
    before?: Account;
    wrong: Wrong;
    disabled: boolean;
    onChange: (change: Partial<Draft>) => void;
}

export function AccountForm({ draft, before, wrong, disabled, onChange }: Props) {
    const field = (key: 'name' | 'tenant_id' | 'client_id' | 'secret' | 'key' | 'certificate' | 'secret_expires' | 'ca_file' | (typeof URLS)[number]) => ({
        value: draft[key],
        error: wrong[key],
        disabled,
        onChange: (value: string) => onChange({ [key]: value }),
    });
    // Nothing is asked of the store: a credential of this kind is there when it was saved with it.
    const kept = before !== undefined && before.auth === draft.auth;
    const client = {
        secret: words.clientHelp,
        certificate: words.clientHelp,
        managed_identity: words.clientIdentity,
        workload_identity: words.clientEnvironment,
        connection_string: words.notNeeded,
    };
    const tenant = { ...client, secret: words.tenantHelp, certificate: words.tenantHelp, managed_identity: words.tenantHelp, workload_identity: words.tenantEnvironment };
    const secret = draft.auth === 'secret' ? { label: words.secret, help: words.secretHelp } : { label: words.connectionString, help: words.connectionStringHelp };
    return (
        <>
            <Section title={words.identity}>
                {before === undefined && <TextField label={words.name} help={words.nameHelp} required {...field('name')} />}
                <TextField
                    label={words.tenant}
                    help={tenant[draft.auth]}
                    required={draft.auth !== 'workload_identity' && signsIn(draft.auth)}
                    {...field('tenant_id')}
                />
                <TextField label={words.client} help={client[draft.auth]} required={needsSecret(draft.auth) && signsIn(draft.auth)} {...field('client_id')} />
            </Section>
            <Section title={words.credential}>
                <ChoiceField
                    label={words.auth}
                    help={words.authHelp[draft.auth]}
                    value={draft.auth}
                    disabled={disabled}
                    onChange={(value) => onChange({ auth: AUTHS.find((one) => one === value) ?? 'secret' })}
                    options={AUTHS.map((value) => ({ value, label: strings.accounts.auth[value] }))}
                />
                {(draft.auth === 'secret' || draft.auth === 'connection_string') && (
                    <TextField
                        label={secret.label}
                        help={kept ? `${secret.help} ${words.secretKept}` : secret.help}
                        required={!kept}
                        password
                        placeholder={kept ? words.kept : undefined}
                        {...field('secret')}
                    />
                )}
                {draft.auth === 'certificate' && (
                    <>
                        <PemField label={words.key} help={kept ? `${words.keyHelp} ${words.secretKept}` : words.keyHelp} required={!kept} {...field('key')} />
                        <PemField label={words.certificate} help={kept ? `${words.certificateHelp} ${words.secretKept}` : words.certificateHelp} required={!kept} {...field('certificate')} />
                    </>
                )}
                {needsSecret(draft.auth) && <TextField label={words.expires} help={words.expiresHelp} placeholder="YYYY-MM-DD" {...field('secret_expires')} />}
            </Section>
            <Section title={words.more}>
                <ChoiceField
                    label={words.cloud}
                    help={words.cloudHelp}
                    value={draft.cloud}
                    disabled={disabled}
                    onChange={(value) => onChange({ cloud: CLOUDS.find((one) => one === value) ?? 'commercial' })}
                    options={CLOUDS.map((value) => ({ value, label: strings.accounts.cloud[value] }))}
                />
                {draft.cloud === 'custom' &&
                    URLS.map((key) => <TextField key={key} label={words.url[key]} help={words.urlHelp[key]} required={key === 'login_url' && signsIn(draft.auth)} placeholder="https://" {...field(key)} />)}
                <TextField label={words.ca} help={words.caHelp} {...field('ca_file')} />
                <SwitchField label={words.readOnly} help={words.readOnlyHelp} on={draft.read_only} disabled={disabled} onChange={(read_only) => onChange({ read_only })} />
            </Section>
        </>
    );
}
