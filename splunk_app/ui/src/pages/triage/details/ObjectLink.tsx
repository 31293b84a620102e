// A link to another object of the page. A click opens the object beside the queue: the page is not loaded anew, and
// what is selected stays selected. Another tab finds it by its address.
import Link from '@splunk/react-ui/Link';
import type { Item } from '../model/item';

interface Props {
    item: Item;
    label: string;
    address: (item: Item) => string;
    onOpen: (item: Item) => void;
}

export function ObjectLink({ item, label, address, onOpen }: Props) {
    return (
        <Link
            to={address(item)}
            onClick={(event) => {
                event.preventDefault();
                onOpen(item);
            }}
        >
            {label}
        </Link>
    );
}
