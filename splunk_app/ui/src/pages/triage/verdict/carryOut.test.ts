import { expect, test, vi } from 'vitest';
import { SearchFailure } from '../../../splunk/search';
import { carryOut } from './carryOut';
import { triage as strings } from '../strings';

let answered: Record<string, string>[] = [];
let lost: { error: Error; begun: boolean } | undefined;
vi.mock('../../../splunk/search', async (original) => ({
    ...(await original<object>()),
    run: async (_: string, options: { onBegun?: () => void }) => {
        if (lost?.begun !== false) options.onBegun?.();
        if (lost !== undefined) throw lost.error;
        return { sid: '1', messages: [], rows: answered };
    },
}));
const control = { signal: new AbortController().signal, onProgress: () => undefined };

test('incidents of the same number in two tenants end each as it did', async () => {
    const rows = ['contoso', 'fabrikam', 'adatum'].map((account) => ({ id: '42', defender_account: account }));
    answered = [
        { id: '42', defender_account: 'fabrikam', defender_outcome: 'conflict' },
        { id: '42', defender_account: 'contoso', defender_outcome: 'updated' },
    ];
    const outcomes = await carryOut(rows, 'incident', false, control);
    expect(outcomes.map(({ account, outcome }) => [account, outcome])).toEqual([
        ['contoso', 'updated'],
        ['fabrikam', 'conflict'],
        ['adatum', 'failed'],
    ]);
});

test('a plan that came back with another text than was typed is none', async () => {
    const row = { id: 'a', defender_account: 'contoso', defender_comment: 'costs $5\nor "more"' };
    answered = [{ ...row, defender_comment: 'costs $5 or "more"', defender_outcome: 'planned' }];
    expect((await carryOut([row], 'alert', true, control))[0]?.outcome).toBe('planned');
    for (const comment of ['costs u00245', '']) {
        answered = [{ ...row, defender_comment: comment, defender_outcome: 'planned' }];
        await expect(carryOut([row], 'alert', true, control)).rejects.toThrow(/another text/);
    }
});

test('a write that was lost on the way is not told as one that never began', async () => {
    const rows = [{ id: 'a', defender_account: 'contoso' }];
    lost = { error: new Error('Splunk does not answer'), begun: true };
    const [outcome] = await carryOut(rows, 'alert', false, control);
    expect(outcome).toMatchObject({ outcome: 'failed', advice: strings.outcome.unknown });
    // What was refused, or has failed by its own word, was not carried out.
    lost = { error: new Error('forbidden'), begun: false };
    await expect(carryOut(rows, 'alert', false, control)).rejects.toThrow('forbidden');
    lost = { error: new SearchFailure('no such account'), begun: true };
    await expect(carryOut(rows, 'alert', false, control)).rejects.toThrow('no such account');
    lost = undefined;
});
