import { describe, expect, test } from 'vitest';
import { evidenceOf } from './evidence';
import { portalLink, techniqueLink } from './link';
import { processTree, type TreeNode } from './processTree';

const type = (name: string): string => `#microsoft.graph.security.${name}Evidence`;
const process = (pid: number, parent: number, name: string, more: object = {}): never =>
    ({
        '@odata.type': type('process'),
        processId: pid,
        processCreationDateTime: `2026-01-01T00:00:0${pid}Z`,
        parentProcessId: parent,
        parentProcessCreationDateTime: `2026-01-01T00:00:0${parent}Z`,
        processCommandLine: `${name} --run`,
        mdeDeviceId: 'd1',
        imageFile: { fileName: name },
        parentProcessImageFile: { fileName: `parent of ${name}` },
        ...more,
    }) as never;
const shape = (nodes: readonly TreeNode[]): unknown[] =>
    nodes.map((node) => [node.image.name, ...shape(node.children)]);

describe('the process tree', () => {
    test('reads from the root down, in the order the processes started', () => {
        const evidence = evidenceOf({
            evidence: [process(4, 2, 'd.exe'), process(3, 2, 'c.exe'), process(2, 1, 'b.exe')],
        });
        expect(shape(processTree(evidence))).toEqual([['parent of b.exe', ['b.exe', ['c.exe'], ['d.exe']]]]);
    });

    test('names a parent that is no evidence, and says that it is none', () => {
        const [root] = processTree(evidenceOf({ evidence: [process(2, 1, 'b.exe')] }));
        expect(root).toMatchObject({ evidence: null, image: { name: 'parent of b.exe' }, pid: '1' });
    });

    test('takes the same number on another device, or at another time, for another process', () => {
        const evidence = evidenceOf({
            evidence: [
                process(2, 1, 'b.exe'),
                process(2, 1, 'x.exe', { mdeDeviceId: 'd2' }),
                process(2, 1, 'y.exe', { processCreationDateTime: '2026-01-02T00:00:00Z' }),
            ],
        });
        expect(shape(processTree(evidence)).flat(9).sort()).toEqual([
            'b.exe',
            'parent of b.exe',
            'parent of x.exe',
            'x.exe',
            'y.exe',
        ]);
    });

    test('ends where evidence says that two processes started each other', () => {
        const evidence = evidenceOf({
            evidence: [process(1, 2, 'a.exe'), process(2, 1, 'b.exe'), process(3, 3, 'c.exe')],
        });
        expect(shape(processTree(evidence)).flat(9).sort()).toEqual(['a.exe', 'b.exe', 'c.exe']);
    });

    test('is drawn from the flat spelling of the older APIs too', () => {
        const evidence = evidenceOf({
            evidence: [
                {
                    entityType: 'Process',
                    processId: 3276,
                    processCreationTime: '2021-01-26T20:31:32Z',
                    processCommandLine: 'rundll32.exe  c:\\temp\\suspicious.dll',
                    fileName: 'rundll32.exe',
                    parentProcessId: 8420,
                    parentProcessFileName: 'explorer.exe',
                    parentProcessCreationTime: '2021-01-26T20:31:31Z',
                },
            ],
        });
        expect(shape(processTree(evidence))).toEqual([['explorer.exe', ['rundll32.exe']]]);
    });
});

describe('evidence', () => {
    test.each([
        ['ip', { ipAddress: '203.0.113.9', countryLetterCode: 'NL' }, 'address', '203.0.113.9'],
        ['url', { url: 'https://evil.example/' }, 'url', 'https://evil.example/'],
        ['registryValue', { registryHive: 'HKLM', registryKey: 'Run', registryValue: 'x' }, 'registry', 'HKLM\\Run'],
        [
            'analyzedMessage',
            { subject: 'Pay <b>now</b>', p2Sender: { emailAddress: 'a@b.example' } },
            'mail',
            'Pay <b>now</b>',
        ],
        ['cloudApplication', { displayName: 'Exchange' }, 'cloudApp', 'Exchange'],
        ['user', { userAccount: { accountName: 'kim', domainName: 'CONTOSO' } }, 'user', 'CONTOSO\\kim'],
    ])('of the type %s is told by what matters', (name, fields, kind, title) => {
        expect(evidenceOf({ evidence: [{ '@odata.type': type(name), ...fields }] as never })).toMatchObject([
            { kind, title },
        ]);
    });

    test('of a type nobody has heard of is shown with the fields it has', () => {
        const [one] = evidenceOf({
            evidence: [{ '@odata.type': type('kubernetesPod'), name: 'web-1', namespaceId: 7, deep: { a: 1 } }],
        });
        expect(one).toMatchObject({ kind: 'other', title: 'Kubernetes pod: web-1' });
        expect(one?.facts).toEqual([
            { name: 'Name', value: 'web-1' },
            { name: 'Namespace id', value: '7' },
        ]);
    });
});

describe('links', () => {
    test('a technique leads to MITRE, what is none leads nowhere', () => {
        expect(techniqueLink('T1059.001')).toBe('https://attack.mitre.org/techniques/T1059/001/');
        expect(techniqueLink('T1078')).toBe('https://attack.mitre.org/techniques/T1078/');
        for (const other of ['', 'TA0001', 'T1059.001/../..', 'javascript:alert(1)'])
            expect(techniqueLink(other)).toBeNull();
    });

    test.each([
        'http://security.microsoft.com/alerts/a',
        'https://security.microsoft.com.evil.example/alerts/a',
        'https://evil.example/?security.microsoft.com',
        'https://kim@security.microsoft.com/alerts/a',
        'https://security.microsoft.com:8443/alerts/a',
        'javascript:alert(1)//security.microsoft.com',
        'no link',
    ])('%s is not followed: the link is built from the id', (said) => {
        expect(portalLink(said, 'alert', 'a/b', 't', 'gcc_high')).toBe(
            'https://security.microsoft.us/alerts/a%2Fb?tid=t',
        );
    });

    test('the portal’s own link is followed', () => {
        expect(portalLink('https://security.microsoft.com/incidents/7?tid=t', 'incident', '7', 't')).toBe(
            'https://security.microsoft.com/incidents/7?tid=t',
        );
    });
});
