import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Answer } from './client';
import { SplunkFailure } from './failure';
import { run } from './search';

const asked: string[] = [];
let answers: (() => Answer)[] = [];
vi.mock('./client', async (original) => ({
    ...(await original<object>()),
    call: async (method: string, path: string) => {
        asked.push(`${method} ${path.replace(/^.*search\/jobs/, '')}`);
        if (method === 'POST') return { sid: '7' };
        return answers.shift()!();
    },
}));
vi.mock('./web', async (original) => ({ ...(await original<object>()), config: () => ({ USERNAME: 'kim' }) }));

const state = (content: object) => () => ({ entry: [{ name: '7', content: { ...content } }] });
const fails = (kind: 'network' | 'broken' | 'forbidden' | 'missing') => () => {
    throw new SplunkFailure(kind, '', 0);
};
const rows = () => ({ results: [{ id: 'a' }] });

describe('a running search', () => {
    beforeEach(() => {
        asked.length = 0;
        vi.useFakeTimers();
        return () => vi.useRealTimers();
    });

    test('goes on while nobody answers for a moment: what it writes is not cut off', async () => {
        answers = [state({ isDone: false }), fails('network'), fails('broken'), state({ isDone: true }), fails('network'), rows];
        const found = run('| defenderupdate');
        await vi.runAllTimersAsync();
        expect((await found).rows).toEqual([{ id: 'a' }]);
        expect(asked).not.toContain('POST /7/control');
    });

    test('is given up when nobody answers any more, or when it is forbidden', async () => {
        answers = Array.from({ length: 20 }, () => fails('network'));
        const lost = expect(run('| defenderupdate')).rejects.toMatchObject({ kind: 'network' });
        await vi.runAllTimersAsync();
        await lost;
        answers = [fails('forbidden')];
        await expect(run('| defenderupdate')).rejects.toMatchObject({ kind: 'forbidden' });
        expect(asked.at(-1)).toBe('POST /7/control');
    });

    test('that is there no more is told as such, not as something somebody deleted', async () => {
        answers = [fails('missing')];
        await expect(run('| defenderupdate')).rejects.toThrow(/The search is gone/);
    });
});
