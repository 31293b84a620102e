// What can be done with one row of a table, named with the row for those who do not see where it stands.

import Button from '@splunk/react-ui/Button';
import { strings } from '../strings';

interface Props {
    what: string;
    /** The row's name. */
    to: string;
    appearance?: 'secondary' | 'subtle';
    disabled?: boolean;
    onClick: () => void;
}

export function RowAction({ what, to, appearance = 'subtle', disabled, onClick }: Props) {
    return <Button appearance={appearance} label={what} aria-label={strings.action.of(what, to)} disabled={disabled} onClick={onClick} />;
}
