// Which rows of the list are in sight, and the way to the other pages.
import Button from '@splunk/react-ui/Button';
import ChevronLeft from '@splunk/react-icons/ChevronLeft';
import ChevronRight from '@splunk/react-icons/ChevronRight';
import { Row } from '../../../parts/Page';
import { Small } from '../parts/styles';
import { triage as strings } from '../strings';
import type { List } from './useList';

export function Paginator({ list: { first, rows, found, page, pages, turn } }: { list: List }) {
    const say = strings.table;
    return (
        <Row style={{ justifyContent: 'space-between', marginTop: 8 }}>
            <Small>{say.shown(first + 1, first + rows.length, found.length)}</Small>
            {pages > 1 && (
                <Row $gap={4}>
                    <Button
                        icon={<ChevronLeft />}
                        aria-label={say.previousPage}
                        disabled={page === 1 ? 'dimmed' : false}
                        onClick={() => turn(-1)}
                    />
                    <Small>{say.page(page, pages)}</Small>
                    <Button
                        icon={<ChevronRight />}
                        aria-label={say.nextPage}
                        disabled={page === pages ? 'dimmed' : false}
                        onClick={() => turn(1)}
                    />
                </Row>
            )}
        </Row>
    );
}
