import { describe, expect, test } from 'vitest';
import { address, names, option, rows } from './spl';

describe('values inside a search', () => {
    test('an ordinary row reads as JSON', () => {
        expect(rows([{ id: 'a-1', n: 2, yes: true, none: null }])).toBe(
            String.raw`| makeresults format=json data="[{\"id\":\"a-1\",\"n\":2,\"yes\":true,\"none\":null}]"`,
        );
    });

    test.each([
        ['a quote that would end the string', '" | delete "'],
        ['a backslash before the quote', String.raw`\" | delete`],
        ['a macro', '`evil`'],
        ['a subsearch', '[ search index=* ]'],
        ['a token', '$env:user$'],
        ['a line end', 'a\nb\r\u2028'],
        ['other scripts and emoji', 'Überprüfung 😀'],
    ])('%s is written by number and means nothing', (_, value) => {
        const search = rows([{ comment: value }]);
        const data = /^\| makeresults format=json data="(.*)"$/s.exec(search)?.[1] ?? '';
        // What SPL's quoting leaves is JSON, and JSON gives the value back.
        const json = data.replace(/\\(.)/g, '$1');
        expect(JSON.parse(json)).toEqual([{ comment: value }]);
        const inside = json.slice('[{"comment":"'.length, -'"}]'.length);
        expect(inside).toMatch(/^[A-Za-z0-9 _.@:,\\-]*$/);
        expect(search).not.toMatch(/[`$\n\r]/);
    });

    test('a name that could be more than a name never gets into a search', () => {
        expect(option('account', 'contoso-eu.1')).toBe('account="contoso-eu.1"');
        for (const name of ['a b', 'a"', 'a|b', '', '`x`', 'a=b', '$x$']) {
            expect(() => option('account', name)).toThrow(/only letters/);
        }
    });
});

test('addresses and lists of names stand in a search as they are, or not at all', () => {
    expect(address('checkpoint_container', 'https://c.blob.core.windows.net/a-b')).toBe('checkpoint_container="https://c.blob.core.windows.net/a-b"');
    expect(names('tables', ['AlertInfo', 'DeviceEvents'])).toBe('tables="AlertInfo,DeviceEvents"');
    expect(names('tables', ['AlertInfo'])).toBe('tables="AlertInfo"');
    for (const value of ['http://c', 'https://c/"|delete', 'https://c?sig=x', 'https://c/`m`', 'https://c/$x$']) {
        expect(() => address('checkpoint_container', value)).toThrow();
    }
    for (const value of [[], ['a', ''], ['a', 'b"'], ['a b'], ['a', '|']]) expect(() => names('tables', value)).toThrow();
});
