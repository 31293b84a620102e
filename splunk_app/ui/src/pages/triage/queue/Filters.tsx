// Filters the queue. Another time searches Splunk again; the other filters look through the loaded objects.
import type { Ref } from 'react';
import Button from '@splunk/react-ui/Button';
import Magnifier from '@splunk/react-icons/Magnifier';
import Select from '@splunk/react-ui/Select';
import Text from '@splunk/react-ui/Text';
import { Row } from '../../../parts/Page';
import type { QueueFilter } from '../model/queue';
import { triage as strings } from '../strings';
import { SEVERITIES, STATUSES, type Subject } from '../model/vocabulary';

interface Props {
    subject: Subject;
    earliest: string;
    onEarliest: (earliest: string) => void;
    filter: QueueFilter;
    onFilter: (filter: QueueFilter) => void;
    products: readonly string[];
    searchRef: Ref<HTMLInputElement>;
    /** Whether a filter differs from the usual ones. */
    active: boolean;
    onClear: () => void;
}

export function Filters(props: Props) {
    const say = strings.filters;
    const { filter, onFilter } = props;
    const set = (field: keyof QueueFilter) => (value: string) => onFilter({ ...filter, [field]: value });
    return (
        <Row role="search" aria-label={say.label}>
            <div style={{ flex: '1 1 260px', maxWidth: 460 }}>
                <Text
                    type="search"
                    value={filter.words}
                    placeholder={say.words}
                    inputRef={props.searchRef}
                    onChange={(_, { value }) => set('words')(value)}
                    startAdornment={<Magnifier style={{ margin: '0 4px' }} aria-hidden />}
                    canClear
                    aria-label={say.words}
                />
            </div>
            <Choice
                label={say.time}
                value={props.earliest}
                onChange={props.onEarliest}
                options={Object.entries(say.times)}
            />
            <Choice
                label={say.status}
                value={filter.status}
                onChange={set('status')}
                options={[
                    ['open', say.open],
                    ...STATUSES[props.subject].map((word): [string, string] => [word, strings.statuses[word] ?? word]),
                    ['all', say.all],
                ]}
            />
            <Choice
                label={say.severity}
                value={filter.severity}
                onChange={set('severity')}
                options={[
                    ['', say.anySeverity],
                    ...SEVERITIES.map((word): [string, string] => [word, strings.severities[word] ?? word]),
                ]}
            />
            <Choice
                label={say.product}
                value={filter.product}
                onChange={set('product')}
                options={[
                    ['', say.anyProduct],
                    ...props.products.map((word): [string, string] => [word, strings.products[word] ?? word]),
                ]}
            />
            <Choice
                label={say.owner}
                value={filter.owner}
                onChange={set('owner')}
                options={[
                    ['any', say.anyOwner],
                    ['me', say.mine],
                    ['none', say.nobody],
                ]}
            />
            {props.active && <Button appearance="subtle" label={say.clear} onClick={props.onClear} />}
        </Row>
    );
}

interface ChoiceProps {
    label: string;
    value: string;
    onChange: (value: string) => void;
    options: [string, string][];
}

function Choice({ label, value, onChange, options }: ChoiceProps) {
    return (
        <Select inline prefixLabel={label} value={value} onChange={(_, data) => onChange(String(data.value))}>
            {options.map(([word, shown]) => (
                <Select.Option key={word} value={word} label={shown} />
            ))}
        </Select>
    );
}
