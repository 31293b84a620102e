import { expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { visitors } from './visit';

const visit = visitors();

/** Tab, until what has the focus is called so; nothing, where it is already. */
async function tabTo(page: Page, name: string): Promise<void> {
    const called = () => page.evaluate(`(() => {
        const at = document.activeElement;
        const label = (at.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' ').trim();
        return (at.getAttribute('aria-label') ?? (label || at.innerText || '')).trim();
    })()`) as Promise<string>;
    const seen: string[] = [];
    for (let step = 0; step < 60; step += 1) {
        const now = (await called()).replace(/^\*/, '');
        if (now === name) return;
        seen.push(now);
        await page.keyboard.press('Tab');
    }
    throw new Error(`Tab never reached ${name}, but ${seen.join(', ')}`);
}

test('an account is set up, tested and given inputs with the keyboard alone', async () => {
    const at = await visit({ tenant: ['--alerts', '10'] });
    const { page, splunk } = at;
    const { url, ca_file, tenant_id, client_id, client_secret } = splunk.tenant!.at;
    await at.go('configuration');
    await page.getByRole('heading', { name: 'No account yet' }).waitFor();
    await tabTo(page, 'Add the first account');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Add account' }).waitFor();
    const type = async (name: string, text: string) => {
        await tabTo(page, name);
        await page.keyboard.insertText(text);
    };
    await type('Name', 'contoso');
    await type('Tenant id', tenant_id);
    await type('Client id', client_id);
    await type('Client secret', client_secret);
    await tabTo(page, 'Cloud');
    await page.keyboard.press('ArrowDown');
    await page.getByRole('option', { name: 'Custom' }).waitFor();
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await type('Sign-in URL', url);
    await type('Microsoft Graph URL', url);
    await type('CA file', ca_file);
    // Enter in a field saves and tests.
    await page.keyboard.press('Enter');
    await page.getByText('Permission to hunt').waitFor();
    await tabTo(page, 'Next: create inputs');
    await page.keyboard.press('Enter');
    await tabTo(page, 'Create 2 inputs');
    await page.keyboard.press('Enter');
    await page.getByText('contoso_incidents is created and runs').waitFor();
    await page.keyboard.press('Escape');
    // Back where it began.
    await expect.poll(() => page.evaluate('document.activeElement.innerText')).toBe('Add account');
});

test('a dialog gives the focus back to what opened it', async () => {
    const at = await visit();
    const { page, splunk } = at;
    splunk.addAccount('contoso', { tenant_id: 'contoso.example', client_id: 'c' });
    await at.go('configuration');
    await page.getByRole('row', { name: /contoso/ }).waitFor();
    for (const name of ['Edit contoso', 'Delete contoso']) {
        await tabTo(page, name);
        await page.keyboard.press('Enter');
        await page.getByRole('heading', { level: 2 }).waitFor();
        await page.keyboard.press('Escape');
        await expect.poll(() => page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe(name);
    }
});
