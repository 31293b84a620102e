import { expect, test } from 'vitest';
import { button, choose, visitors } from './visit';

const visit = visitors();

test('an analyst sees accounts and inputs, and is told why nothing can be changed', async () => {
    const at = await visit({ user: 'analyst', tenant: ['--alerts', '5'], account: 'contoso' });
    const { page, splunk } = at;
    splunk.addInput('contoso_alerts', { account: 'contoso', feed: 'alerts' });
    await at.go('configuration');
    await page.getByText('You can look, but not change anything here').waitFor();
    await page.getByText('edit_storage_passwords').waitFor();
    await page.getByRole('row', { name: /contoso/ }).waitFor();
    for (const name of ['Add account', 'Edit contoso', 'Clone contoso', 'Delete contoso']) expect(await button(page, name).count()).toBe(0);

    // Who may not read the secret has the app's endpoint sign in with it.
    await button(page, 'Test connection contoso').click();
    await page.locator('[data-state=ok]').first().waitFor();
    expect(await page.locator('[data-state=failed]').count()).toBe(0);
    await page.getByRole('contentinfo').or(page.getByRole('dialog')).getByRole('button', { name: 'Close' }).last().click();

    await page.getByRole('tab', { name: 'Proxy' }).click();
    expect(await page.getByRole('textbox', { name: 'Proxy URL' }).isDisabled()).toBe(true);
    expect(await button(page, 'Save').isDisabled()).toBe(true);

    await at.go('inputs');
    await page.getByText('You can look, but not change anything here').waitFor();
    expect(await page.getByRole('switch', { name: 'Enable contoso_alerts' }).isDisabled()).toBe(true);
    expect(await button(page, 'Create input').count()).toBe(0);
    expect(splunk.web.trace.filter(({ method, path }) => method !== 'GET' && !path.includes('search/jobs'))).toEqual([]);
    expect(at.errors).toEqual([]);
});

test('a reader, to whom accounts are not shown, is not told that there are none', async () => {
    const at = await visit({ user: 'reader', tenant: ['--alerts', '5'], account: 'contoso' });
    await at.go('configuration');
    await at.page.getByRole('heading', { name: 'No account that you may see' }).waitFor();
    await at.go('inputs');
    await at.page.getByText('Ask a Splunk administrator to create one').waitFor();
});

test('a session that has ended is told, and the typed settings stay', async () => {
    const at = await visit();
    const { page } = at;
    await at.go('configuration', '?tab=logging');
    await choose(page, 'Level', 'Errors only');
    await page.context().clearCookies();
    await button(page, 'Save').click();
    await page.getByText(/Your Splunk session has ended|Splunk does not let you do this/).waitFor();
    expect(await page.getByRole('combobox', { name: 'Level' }).innerText()).toBe('Errors only');
});
