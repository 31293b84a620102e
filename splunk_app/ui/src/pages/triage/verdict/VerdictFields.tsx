// The fields of a verdict. Each begins as "leave unchanged"; a classification offers its own determinations.
import { useId } from 'react';
import ControlGroup from '@splunk/react-ui/ControlGroup';
import RadioBar from '@splunk/react-ui/RadioBar';
import Select from '@splunk/react-ui/Select';
import Text from '@splunk/react-ui/Text';
import TextArea from '@splunk/react-ui/TextArea';
import { triage as strings } from '../strings';
import {
    answered,
    COMMENT_MAX,
    UNCHANGED,
    type Faults,
    type OwnerChoice,
    type Verdict,
    type VerdictField,
} from '../model/verdict';
import { CLASSIFICATIONS, determinationsOf, STATUSES, type Subject } from '../model/vocabulary';

interface Props {
    subject: Subject;
    verdict: Verdict;
    onVerdict: (verdict: Verdict) => void;
    faults: Faults;
    mine: readonly string[];
    /** Tenants with several accounts that fit, and which one was chosen. */
    accounts: { tenant: string; choices: readonly string[]; chosen: string; fault: string | undefined }[];
    onAccount: (tenant: string, account: string) => void;
}

export function VerdictFields({ subject, verdict, onVerdict, faults, mine, accounts, onAccount }: Props) {
    const say = strings.verdict;
    const set = (field: VerdictField) => (value: string) => onVerdict(answered(verdict, field, value));
    const choose = (choice: OwnerChoice): void =>
        onVerdict({ ...verdict, ownerChoice: choice, owner: choice === 'me' ? (mine[0] ?? verdict.owner) : '' });
    const named = verdict.ownerChoice === 'me' || verdict.ownerChoice === 'other';
    const determinations = determinationsOf(verdict.classification);
    return (
        <>
            <Bar
                label={say.status}
                value={verdict.status}
                onChange={set('status')}
                options={STATUSES[subject].map((word) => [word, strings.statuses[word] ?? word])}
            />
            <Bar
                label={say.classification}
                value={verdict.classification}
                onChange={set('classification')}
                options={CLASSIFICATIONS.map((word) => [word, strings.classifications[word] ?? word])}
            />
            <ControlGroup
                label={say.determination}
                style={{ maxWidth: 'none' }}
                help={determinations.length === 0 ? say.determinationHelp : undefined}
            >
                <Select value={verdict.determination} onChange={(_, { value }) => set('determination')(String(value))}>
                    <Select.Option value={UNCHANGED} label={say.unchanged} />
                    {determinations.map((word) => (
                        <Select.Option key={word} value={word} label={strings.determinations[word] ?? word} />
                    ))}
                </Select>
            </ControlGroup>
            <Bar
                label={say.owner}
                value={verdict.ownerChoice}
                onChange={(value) => choose(value as OwnerChoice)}
                options={[
                    ['me', say.ownerMe],
                    ['none', say.ownerNone],
                    ['other', say.ownerOther],
                ]}
            />
            {named && (
                <ControlGroup
                    label={verdict.ownerChoice === 'me' ? say.ownerMine : say.ownerName}
                    help={say.ownerHelp}
                    error={faults.owner ?? false}
                >
                    <Text value={verdict.owner} onChange={(_, { value }) => set('owner')(value)} autoComplete="off" />
                </ControlGroup>
            )}
            <ControlGroup
                label={say.comment}
                style={{ maxWidth: 'none' }}
                help={say.commentHelp(COMMENT_MAX - [...verdict.comment].length)}
                error={faults.comment ?? false}
            >
                <TextArea
                    value={verdict.comment}
                    rowsMin={3}
                    rowsMax={10}
                    onChange={(_, { value }) => set('comment')(value)}
                />
            </ControlGroup>
            {subject === 'incident' && (
                <>
                    <ControlGroup label={say.tagsAdd} help={say.tagsHelp} error={faults.tagsAdd ?? false}>
                        <Text value={verdict.tagsAdd} onChange={(_, { value }) => set('tagsAdd')(value)} />
                    </ControlGroup>
                    <ControlGroup label={say.tagsRemove} error={faults.tagsRemove ?? false}>
                        <Text value={verdict.tagsRemove} onChange={(_, { value }) => set('tagsRemove')(value)} />
                    </ControlGroup>
                </>
            )}
            {accounts.map(({ tenant, choices, chosen, fault }) => (
                <ControlGroup key={tenant} label={say.account} help={say.accountHelp(tenant)} error={fault ?? false}>
                    <Select
                        value={chosen}
                        placeholder={say.accountAsk}
                        onChange={(_, { value }) => onAccount(tenant, String(value))}
                    >
                        {choices.map((name) => (
                            <Select.Option key={name} value={name} label={name} />
                        ))}
                    </Select>
                </ControlGroup>
            ))}
        </>
    );
}

interface BarProps {
    label: string;
    value: string;
    onChange: (value: string) => void;
    options: readonly (readonly [string, string])[];
}

function Bar({ label, value, onChange, options }: BarProps) {
    const id = useId();
    return (
        <ControlGroup label={label} labelFor={id} style={{ maxWidth: 'none' }}>
            <RadioBar id={id} value={value} onChange={(_, data) => onChange(String(data.value))} aria-label={label}>
                <RadioBar.Option value={UNCHANGED} label={strings.verdict.unchanged} />
                {options.map(([word, shown]) => (
                    <RadioBar.Option key={word} value={word} label={shown} />
                ))}
            </RadioBar>
        </ControlGroup>
    );
}
