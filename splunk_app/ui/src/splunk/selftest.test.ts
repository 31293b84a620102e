import { expect, test } from 'vitest';
import { contracts, markdown, SCRIPT, type Contract } from './selftest';

const ROW = { contract: 'canary: event', result: 'ok', found: 'found after 900 ms', expected: 'as sent', what_to_do: '' };
const UNKNOWN = { contract: SCRIPT, result: 'unknown', found: 'a search command does not see the page', expected: '', what_to_do: '' };

test('the row of the page’s script says how it was loaded, once and last', () => {
    for (const loader of ['script', 'dashboard.js']) {
        const rows = contracts([UNKNOWN, ROW], loader);
        expect(rows.map(({ contract }) => contract)).toEqual(['canary: event', SCRIPT]);
        expect(rows[1]).toMatchObject({ result: 'ok', found: loader, what_to_do: '' });
    }
    for (const loader of ['', 'x'.repeat(9000)]) expect(contracts([ROW], loader)[1]).toMatchObject({ result: 'unknown', found: 'the page does not say' });
    expect(contracts([], 'script')).toEqual([]);
});

test('a result nobody knows is unknown, and what is missing is empty', () => {
    expect(contracts([{ contract: 'x', result: 'splendid' }], 'script')[0]).toEqual({ contract: 'x', result: 'unknown', found: '', expected: '', what_to_do: '' });
});

test('the report is one Markdown table, whatever is in its cells', () => {
    const hostile: Contract = { contract: 'a|b', result: 'unexpected', found: 'two\nlines <b> [x](y) `z` \\ \u202e', expected: 'e'.repeat(5000), what_to_do: '' };
    const lines = markdown([hostile], new Date('2026-11-30T01:02:03.456Z')).split('\n');
    expect(lines.slice(0, 4)).toEqual([
        'Defender Bridge self-test, 2026-11-30T01:02:03Z',
        '',
        '| contract | result | found | expected | what_to_do |',
        '| --- | --- | --- | --- | --- |',
    ]);
    expect(lines).toHaveLength(6);
    expect(lines[4]).toContain('| a\\|b | unexpected | two lines \\<b\\> \\[x\\](y) \\`z\\` \\\\ | e');
    expect(lines[4]!.length).toBeLessThan(900);
});
