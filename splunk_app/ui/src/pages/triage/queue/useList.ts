// The list that is looked at: what the filters leave, in which order, which page of it, and the row one is on.
import { useDeferredValue, useMemo, useState } from 'react';
import type { Item } from '../model/item';
import { filtered, sorted, type Column, type QueueFilter, type Order } from '../model/queue';

const PAGE = 50;
const NEWEST: Order = { by: 'updated', descending: true };

export interface List {
    filter: QueueFilter;
    filterBy: (filter: QueueFilter) => void;
    order: Order;
    sortBy: (column: Column) => void;
    /** All objects that the filters leave. */
    found: readonly Item[];
    /** The objects of this page. */
    rows: readonly Item[];
    /** The place of the first of them, counted from zero. */
    first: number;
    page: number;
    pages: number;
    turn: (by: 1 | -1) => void;
    /** The key of the row one is on. */
    cursor: string | null;
    setCursor: (key: string | null) => void;
    at: Item | undefined;
    /** The next row, over the edges of pages. */
    step: (by: 1 | -1) => Item | undefined;
    restart: (filter: QueueFilter) => void;
}

export function useList(all: readonly Item[], mine: readonly string[], arrival: QueueFilter): List {
    const [filter, setFilter] = useState<QueueFilter>(arrival);
    const [order, setOrder] = useState<Order>(NEWEST);
    const [wanted, setPage] = useState(1);
    const [cursor, setCursor] = useState<string | null>(null);
    // The text in the field is drawn at once; the list follows when there is time.
    const by = useDeferredValue(filter);
    const found = useMemo(() => sorted(filtered(all, by, mine), order), [all, by, mine, order]);
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    const page = Math.min(wanted, pages);
    const first = (page - 1) * PAGE;
    const rows = useMemo(() => found.slice(first, first + PAGE), [found, first]);
    const filterBy = (next: QueueFilter): void => {
        setFilter(next);
        setPage(1);
    };
    return {
        filter,
        filterBy,
        order,
        sortBy: (by) => {
            const largest = by === 'updated' || by === 'severity';
            setOrder((before) => ({ by, descending: before.by === by ? !before.descending : largest }));
            setPage(1);
        },
        found,
        rows,
        first,
        page,
        pages,
        turn: (by) => setPage(Math.min(Math.max(page + by, 1), pages)),
        cursor,
        setCursor,
        at: found.find((item) => item.key === cursor),
        step: (by) => {
            const at = found.findIndex((item) => item.key === cursor);
            const next = found[at < 0 ? first : Math.min(Math.max(at + by, 0), found.length - 1)];
            if (next === undefined) return undefined;
            setCursor(next.key);
            setPage(Math.floor(found.indexOf(next) / PAGE) + 1);
            return next;
        },
        restart: (next) => {
            filterBy(next);
            setCursor(null);
        },
    };
}
