import { expect, test } from 'vitest';
import { button, visitors } from './visit';

const visit = visitors();

test('an administrator runs the self-test, sees every contract and has the report in the clipboard', async () => {
    const at = await visit({ tenant: ['--alerts', '5'], account: 'contoso' });
    const { page, splunk } = at;
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await at.go('configuration', '?tab=report');
    await button(page, 'Copy report').click();
    await page.getByText('The report is in the clipboard').waitFor();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    for (const row of ['| endpoint: native driver | ok |', '| endpoint: starts again | ok |', '| alert actions | ok |', '| search commands | ok |', '| page script | ok | script |']) {
        expect(text).toContain(row);
    }
    const { client_secret, client_id } = splunk.tenant!.at;
    for (const secret of [client_secret, client_id, 'contoso', splunk.splunkd.users.named('admin').key]) expect(text).not.toContain(secret);
    const lines = text.split('\n').filter((line) => line.startsWith('| '));
    expect(await page.getByRole('row').count()).toBe(lines.length - 1);
    expect(at.errors).toEqual([]);
});

test('who is no administrator is told what the self-test takes', async () => {
    const at = await visit({ user: 'analyst' });
    await at.go('configuration', '?tab=report');
    await at.page.getByText('admin_all_objects, which the self-test needs').waitFor();
    expect(await button(at.page, 'Copy report').count()).toBe(0);
});
