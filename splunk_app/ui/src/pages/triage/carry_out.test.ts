import { expect, test, vi } from 'vitest';
import { carryOut } from './carry_out';

vi.mock('../../splunk/search', async (original) => ({
    ...(await original<object>()),
    run: async () => ({
        sid: '1',
        messages: [],
        rows: [
            { id: '42', defender_account: 'fabrikam', defender_outcome: 'conflict' },
            { id: '42', defender_account: 'contoso', defender_outcome: 'updated' },
        ],
    }),
}));

test('incidents of the same number in two tenants end each as it did', async () => {
    const rows = ['contoso', 'fabrikam', 'adatum'].map((account) => ({ id: '42', defender_account: account }));
    const course = { signal: new AbortController().signal, onProgress: () => undefined };
    const endings = await carryOut(rows, 'incident', false, course);
    expect(endings.map(({ account, outcome }) => [account, outcome])).toEqual([
        ['contoso', 'updated'],
        ['fabrikam', 'conflict'],
        ['adatum', 'failed'],
    ]);
});
