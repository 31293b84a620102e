import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { triage as strings } from '../strings';
import { CLASSIFICATIONS, DETERMINATIONS, spelled, STATUSES } from './vocabulary';

const rust = readFileSync(new URL('../../../../../../src/triage/vocabulary.rs', import.meta.url), 'utf8');
const words = (text: string): string[] => [...text.matchAll(/"([A-Za-z]+)"/g)].map((match) => match[1]!);
const part = (from: string, to: string): string => rust.slice(rust.indexOf(from), rust.indexOf(to, rust.indexOf(from)));

test('the pairs are those the executable takes: its own source says so', () => {
    const insta = /truePositive: .*\n\s*informationalExpectedActivity: .*\n\s*falsePositive: .*/.exec(rust)?.[0] ?? '';
    const table = Object.fromEntries(
        insta.split('\n').map((line) => {
            const [classification = '', determinations = ''] = line.trim().split(': ');
            return [classification, determinations.split(', ')];
        }),
    );
    expect(table).toEqual(DETERMINATIONS);
    expect(CLASSIFICATIONS).toEqual(words(part('impl Classification', 'pub fn spelling').split('as_str')[1] ?? ''));
});

test('so are the statuses, and the words Defender says but does not take', () => {
    const all = part('pub const fn all(subject', 'pub const fn of');
    const named = (variant: string): string => variant.charAt(0).toLowerCase() + variant.slice(1);
    for (const subject of ['alert', 'incident'] as const) {
        const arm =
            new RegExp(`Subject::${subject.charAt(0).toUpperCase()}${subject.slice(1)} => &\\[(.*?)\\]`).exec(
                all,
            )?.[1] ?? '';
        expect([...arm.matchAll(/Self::(\w+)/g)].map((match) => named(match[1]!))).toEqual(STATUSES[subject]);
    }
    for (const word of [...words(part('const WITHDRAWN', ';\n')), 'redirected', 'awaitingAction']) {
        expect(spelled(word.toUpperCase())).toBe(word);
    }
    for (const [, other, meant] of part('const OTHER_NAMES', '\n];').matchAll(/"(\w+)",\s*Determination::(\w+)/g)) {
        expect(spelled(other!)).toBe(named(meant!));
    }
});

test('every word has a label', () => {
    for (const word of [...STATUSES.alert, ...STATUSES.incident]) expect(strings.statuses[word]).toBeTruthy();
    for (const [classification, determinations] of Object.entries(DETERMINATIONS)) {
        expect(strings.classifications[classification]).toBeTruthy();
        for (const word of determinations) expect(strings.determinations[word]).toBeTruthy();
    }
});

test('words are read under every name the APIs print, and nothing is no word', () => {
    expect(spelled('InProgress')).toBe('inProgress');
    expect(spelled('CompromisedUser')).toBe('compromisedAccount');
    expect(spelled('Line-of-business app')).toBe('lineOfBusinessApplication');
    expect(spelled('brandNewWord')).toBe('brandNewWord');
    for (const nothing of [null, '', 'unknown', 'null', 'NotAvailable']) expect(spelled(nothing)).toBeNull();
});
