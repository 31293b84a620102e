import { describe, expect, test } from 'vitest';
import { Accounts } from './account';
import { parseAddress, EARLIEST, formatAddress, type PageAddress } from './address';
import { batchesIn, isUndoable, type Batch } from './batch';
import { itemOf } from './item';
import { OPEN_FILTER } from './queue';
import { batchesOf, outcomeOf, mayPass, OUTCOMES, tally, worstFirst } from './outcome';
import { portions, rowsOf, undoSearch, updateSearch } from './commands';
import { triage as strings } from '../strings';
import { answered, faults, isEmpty, UNCHANGED_VERDICT, parameters } from './verdict';

const item = itemOf(
    {
        raw: JSON.stringify({
            id: 'da1_-1',
            lastUpdateDateTime: '2026-01-01T00:00:00Z',
            status: 'new',
            classification: 'unknown',
            assignedTo: null,
        }),
        source: 'defender_bridge:alerts:t1',
        index: 'defender',
    },
    'alert',
)!;

describe('the form', () => {
    test('asks for nothing until something is said', () => {
        expect(parameters(UNCHANGED_VERDICT, 'alert')).toEqual({});
        expect(isEmpty({ ...UNCHANGED_VERDICT, comment: '  \n' }, 'alert')).toBe(true);
        expect(isEmpty({ ...UNCHANGED_VERDICT, tagsAdd: 'vip' }, 'alert')).toBe(true);
        expect(parameters({ ...UNCHANGED_VERDICT, tagsAdd: 'vip, vip ,phish' }, 'incident')).toEqual({ tags_add: 'vip,phish' });
    });

    test('a determination goes only with its classification', () => {
        const malware = answered(answered(UNCHANGED_VERDICT, 'classification', 'truePositive'), 'determination', 'malware');
        expect(malware.determination).toBe('malware');
        expect(answered(malware, 'classification', 'falsePositive').determination).toBe('');
        expect(answered(malware, 'classification', '').determination).toBe('');
        const other = answered(malware, 'determination', 'other');
        expect(answered(other, 'classification', 'falsePositive').determination).toBe('other');
    });

    test('refuses what the executable would refuse', () => {
        const wrong = (fields: object) => Object.keys(faults({ ...UNCHANGED_VERDICT, ...fields }, 'incident'));
        expect(wrong({ ownerChoice: 'other', owner: 'bob' })).toEqual(['owner']);
        expect(wrong({ ownerChoice: 'me', owner: '' })).toEqual(['owner']);
        expect(wrong({ ownerChoice: 'none', owner: 'bob' })).toEqual([]);
        expect(wrong({ comment: '😀'.repeat(4000) })).toEqual([]);
        expect(wrong({ comment: 'a'.repeat(4001) })).toEqual(['comment']);
        expect(wrong({ comment: 'a\u001b[2J' })).toEqual(['comment']);
        expect(wrong({ comment: 'two\nlines\t.' })).toEqual([]);
        expect(wrong({ tagsAdd: 'a', tagsRemove: 'a' })).toEqual(['tagsRemove']);
        expect(wrong({ tagsAdd: 'a'.repeat(129) })).toEqual(['tagsAdd']);
    });
});

describe('what is sent', () => {
    test('a row carries what it showed, its account and its API, and the verdict under its own names', () => {
        expect(rowsOf([item], { status: 'resolved' }, () => 'contoso')).toEqual([
            {
                id: 'da1_-1',
                lastUpdateDateTime: '2026-01-01T00:00:00Z',
                status: 'new',
                classification: 'unknown',
                determination: 'null',
                assignedTo: 'null',
                defender_account: 'contoso',
                defender_api: 'graph',
                defender_status: 'resolved',
            },
        ]);
    });

    test('an overruling row does not say what it showed', () => {
        const [row] = rowsOf([item], { status: 'resolved' }, () => 'contoso', new Set([item.key]));
        expect(row).not.toHaveProperty('lastUpdateDateTime');
        expect(row).not.toHaveProperty('status');
    });

    test('what was typed never becomes a piece of the search', () => {
        const [row] = rowsOf([item], { comment: '"] | delete `x` [ "' }, () => 'contoso');
        const search = updateSearch([row!], 'alert', true);
        expect(search).toMatch(
            /^\| makeresults format=json data="(?:[^"\\|`]|\\.)*" \| defenderupdate subject=alert dry_run=1$/,
        );
        expect(search).not.toContain('delete `');
    });

    test('an undo looks as far back as the history it was chosen in', () => {
        expect(undoSearch('b1')).toBe('| defenderundo batch="b1"');
        expect(undoSearch('b1', { earliest: '-90d' })).toBe('| defenderundo batch="b1" earliest=-90d');
        expect(undoSearch('b1', { earliest: '0 | delete' })).toBe('| defenderundo batch="b1"');
        expect(undoSearch('b1', { confirmed: true })).toBe('| defenderundo batch="b1" dry_run=false');
    });

    test('a thousand rows go in several searches of bounded length, none lost', () => {
        const rows = Array.from({ length: 1000 }, (_, at) => ({ id: `${at}`, defender_comment: 'x'.repeat(3000) }));
        const all = portions(rows);
        expect(all.flat().map((row) => row.id)).toEqual(rows.map((row) => row.id));
        for (const portion of all) expect(updateSearch(portion, 'alert', false).length).toBeLessThan(230_000);
        expect(portions([])).toEqual([]);
        expect(portions([{ id: 'a', defender_comment: '"'.repeat(40_000) }])).toHaveLength(1);
    });
});

describe('outcomes', () => {
    test('each of the ten has a name, and each that is not well says what to do', () => {
        for (const name of OUTCOMES) {
            const outcome = outcomeOf({ id: 'a', defender_outcome: name, defender_verified: '1' });
            expect(strings.outcome.names[name]).toBeTruthy();
            expect(outcome.advice === '').toBe(['updated', 'unchanged', 'planned'].includes(name));
        }
    });

    test('a row without an outcome is not taken for well', () => {
        expect(outcomeOf({ id: 'a' })).toMatchObject({ outcome: 'failed', message: strings.outcome.unsaid });
    });

    test('a plan shows what was asked, an update what Defender shows', () => {
        const before = '{"status":"new","classification":"unknown","assigned_to":"kim@contoso.com","tags":["a","b"]}';
        const planned = outcomeOf({
            id: 'a',
            defender_outcome: 'planned',
            defender_changed: 'status,classification,assigned_to,tags,comment',
            defender_before: before,
            defender_status: 'resolved',
            defender_classification: 'falsePositive',
            defender_assigned_to: 'none',
            defender_tags_add: 'c',
            defender_tags_remove: 'a',
            defender_comment: 'dup',
        });
        expect(planned.changes).toEqual([
            { field: 'status', before: 'new', after: 'resolved' },
            { field: 'classification', before: '', after: 'falsePositive' },
            { field: 'assigned_to', before: 'kim@contoso.com', after: '' },
            { field: 'tags', before: 'a, b', after: '+ c − a' },
            { field: 'comment', before: '', after: 'dup' },
        ]);
        const updated = outcomeOf({
            id: 'a',
            defender_outcome: 'updated',
            defender_changed: 'status',
            defender_before: before,
            defender_after: '{"status":"resolved","updated":"2026-01-02T00:00:00Z"}',
            defender_verified: '0',
        });
        expect(updated).toMatchObject({
            changes: [{ after: 'resolved' }],
            advice: strings.outcome.unverified,
            after: { updated: '2026-01-02T00:00:00Z' },
        });
    });

    test('the worst stand first, and only what may pass is tried again', () => {
        const outcomes = ['updated', 'conflict', 'throttled', 'forbidden'].map((outcome, at) =>
            outcomeOf({ id: `${at}`, defender_outcome: outcome, defender_batch: 'b1' }),
        );
        expect(worstFirst(outcomes).map(({ outcome }) => outcome)).toEqual([
            'forbidden',
            'conflict',
            'throttled',
            'updated',
        ]);
        expect(tally(outcomes)[0]).toEqual(['forbidden', 1]);
        expect(outcomes.filter(mayPass).map(({ outcome }) => outcome)).toEqual(['throttled']);
        expect(batchesOf(outcomes)).toEqual(['b1']);
    });
});

describe('the account of a row', () => {
    const account = (name: string, tenant: string | null) => ({ name, tenant, cloud: 'commercial', readOnly: false });
    test('is the one of its tenant; with several it is asked for', () => {
        const accounts = new Accounts([account('a', 'T1'), account('b', 't2'), account('c', 't2')], []);
        expect(accounts.of('t1')).toEqual(['a']);
        expect(accounts.of('t2')).toEqual(['b', 'c']);
        expect(accounts.of('t3')).toEqual(['a', 'b', 'c']);
    });

    test('is found through the inputs where it names a domain or may not be read', () => {
        const health = [
            { account: 'a', tenant: 't1' },
            { account: 'gone', tenant: 't1' },
        ];
        expect(new Accounts([account('a', 'contoso.com'), account('b', 't2')], health).of('t1')).toEqual(['a']);
        expect(new Accounts([], health.slice(0, 1)).of('t1')).toEqual(['a']);
        expect(new Accounts([], []).of('t1')).toEqual([]);
    });
});

describe('the ledger', () => {
    const entry = (fields: object): string =>
        JSON.stringify({
            time: '2026-01-01T00:00:00Z',
            batch: 'b1',
            subject: 'alert',
            target: 'a',
            outcome: 'updated',
            actor: 'kim',
            requested: { status: 'resolved' },
            ...fields,
        });

    test('is told call by call, dry runs left out', () => {
        const raws = [
            entry({ target: 'b', outcome: 'conflict' }),
            entry({}),
            entry({ batch: 'dry', dry_run: true, outcome: 'planned' }),
            entry({ batch: 'b2', time: '2026-01-02T00:00:00Z', outcome: 'failed' }),
            'no json',
        ];
        const batches = batchesIn(raws.map((raw) => ({ raw, authentic: 'true' })));
        expect(batches.map(({ id }) => id)).toEqual(['b2', 'b1']);
        expect(batches[1]).toMatchObject({ targets: ['b', 'a'], actor: 'kim', requested: [['status', 'resolved']] });
        expect(batches.map(isUndoable)).toEqual([false, true]);
    });

    test('obeys only entries the app stands for', () => {
        const planted = [
            entry({ actor: 'admin', requested: { status: 'new' }, target: 'planted' }),
            entry({ batch: 'b2', undoes: 'b1' }),
            entry({ batch: 'b3' }),
        ].map((raw, at) => ({ raw, authentic: ['false', 'unsigned', 'unknown'][at]! }));
        const [b1, b2, b3] = batchesIn([...planted, { raw: entry({}), authentic: 'true' }]).sort((one, other) => one.id.localeCompare(other.id));
        expect(b1).toMatchObject({ actor: 'kim', others: ['admin'], requested: [['status', 'resolved']], changed: 1, undoneBy: null });
        expect([...b1!.strange]).toEqual([['false', 1]]);
        expect([b1, b2, b3].map((batch) => isUndoable(batch!))).toEqual([true, false, false]);
        const undone = { raw: entry({ batch: 'b4', undoes: 'b1' }), authentic: 'true' };
        expect(batchesIn([{ raw: entry({}), authentic: 'true' }, undone]).map(isUndoable)).toEqual([false, false]);
    });

    test('calls a batch undone only when all it changed is as before again', () => {
        const ours = (raws: string[]): Batch => {
            const batches = batchesIn(raws.map((raw) => ({ raw, authentic: 'true' })));
            return batches.find(({ id }) => id === 'b1')!;
        };
        const written = [
            entry({}),
            entry({ target: 'b', outcome: 'unchanged', changed: ['status'] }),
            entry({ target: 'c', merged_into: 'd', subject: 'incident' }),
            entry({ target: 'e', outcome: 'unchanged', changed: [] }),
            entry({ target: 'a' }),
        ];
        const undo = (target: string, fields: object = {}): string => entry({ batch: 'u1', undoes: 'b1', target, ...fields });
        const [a, b, d] = [undo('a'), undo('b', { outcome: 'unchanged' }), undo('d', { batch: 'u2', subject: 'incident' })];
        expect(ours(written)).toMatchObject({ changed: 3, undoneBy: null });
        for (const some of [[a], [a, b], [b, d], [a, b, undo('d')], [a, d, undo('b', { outcome: 'conflict' })], [a, d, undo('b', { dry_run: true })]]) {
            expect(isUndoable(ours([...some, ...written]))).toBe(true);
            expect(ours([...written, ...some]).undoneBy).toBeNull();
        }
        expect(ours([a, b, ...written, d]).undoneBy).toBe('u2');
        expect(isUndoable(ours([d, b, a, ...written]))).toBe(false);
        expect(isUndoable(ours([...written, a, undo('b', { outcome: 'conflict' }), d, undo('b', { batch: 'u3' })]))).toBe(false);
        expect(isUndoable(ours([a, b, undo('d', { subject: 'incident', account: 'fabrikam' }), ...written]))).toBe(true);
    });
});

describe('a link into the page', () => {
    const nothing: PageAddress = { subject: 'alert', id: null, filter: OPEN_FILTER, earliest: EARLIEST };

    test('names one object, with or without Splunk’s own prefix', () => {
        expect(parseAddress('?form.alert_id=da1_-1')).toMatchObject({ subject: 'alert', id: 'da1_-1' });
        expect(parseAddress('?alert_id=a')).toMatchObject({ subject: 'alert', id: 'a' });
        expect(parseAddress('?form.incident_id=28282')).toMatchObject({ subject: 'incident', id: '28282' });
        expect(parseAddress('')).toEqual(nothing);
    });

    test('shows what a tile of the overview counted, and keeps that in the address', () => {
        expect(parseAddress('?form.severity=high').filter).toEqual({ ...OPEN_FILTER, severity: 'high' });
        expect(parseAddress('?form.owner=nobody').filter).toEqual({ ...OPEN_FILTER, owner: 'none' });
        expect(parseAddress('?form.subject=incident')).toMatchObject({ subject: 'incident', filter: OPEN_FILTER });
        expect(parseAddress('?form.severity=toString&form.owner=constructor').filter).toEqual(OPEN_FILTER);
        const shown = { ...nothing, subject: 'incident' as const, filter: { ...OPEN_FILTER, severity: 'low', owner: 'none' } };
        expect(parseAddress(formatAddress('?form.severity=high', shown))).toEqual(shown);
    });

    test.each(['a" | delete', '../../x', '%3Cb%3E', '', 'ä'])('%s is no id and asks for nothing', (id) => {
        expect(parseAddress(`?alert_id=${encodeURIComponent(id)}`).id).toBeNull();
    });

    test('is kept in the address, what others put there stays', () => {
        expect(formatAddress('?earliest=-1d&alert_id=a', { ...nothing, subject: 'incident', id: '7' })).toBe('?earliest=-1d&form.incident_id=7');
        expect(formatAddress('?form.alert_id=a', nothing)).toBe('');
    });

    test('is the whole of what is in sight after a reload: every filter, also beside an open object', () => {
        const filter = { status: 'inProgress', severity: 'high', product: 'microsoftSentinel', owner: 'me', words: 'wks-1 "x" &y' };
        const everything: PageAddress = { subject: 'incident', id: '7', filter: { ...filter, status: 'active' }, earliest: '0' };
        for (const shown of [everything, { ...nothing, filter }, { ...nothing, filter: { ...filter, status: 'all' } }]) {
            expect(parseAddress(formatAddress('', shown))).toEqual(shown);
        }
    });

    test('asks for no filter the page does not have', () => {
        expect(parseAddress('?form.status=toString&form.product=__proto__&form.updated=-99y')).toEqual(nothing);
        expect(parseAddress(`?form.words=${'x'.repeat(5000)}`).filter.words).toHaveLength(200);
    });
});
