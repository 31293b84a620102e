import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import { button, changes, choose, expectSecretsKept, field, typeAccount, visitors } from './visit';

const visit = visitors();
const refused = (status: number, text: string) => ({ status, body: { messages: [{ type: 'ERROR', text }] } });

test('a save that fails names the half that is missing, and loses nothing that was typed', async () => {
    const at = await visit({ tenant: ['--alerts', '5'] });
    const { page, splunk } = at;
    await at.go('configuration');
    await button(page, 'Add the first account').click();
    await typeAccount(at, 'contoso');

    splunk.splunkd.fault = (method, path) => (method === 'POST' && path === 'configs/conf-defender_bridge_account' ? refused(500, 'disk full') : undefined);
    await button(page, 'Save').click();
    await page.getByText('Nothing was saved').waitFor();
    expect(await page.getByRole('alert').last().innerText()).toContain('disk full');

    splunk.splunkd.fault = (method, path) => (method === 'POST' && path === 'storage/passwords' ? refused(403, 'requires capability: edit_storage_passwords') : undefined);
    await button(page, 'Save').click();
    await page.getByText('The account is saved, its credential is not').waitFor();
    expect(await field(page, 'Client secret').inputValue()).toBe(splunk.tenant!.at.client_secret);
    expect(await field(page, 'Client id').inputValue()).toBe(splunk.tenant!.at.client_id);

    // The second time it exists, and is edited.
    splunk.splunkd.fault = undefined;
    await button(page, 'Save and test connection').click();
    await page.getByText('Sign-in at Microsoft').waitFor();
    expect(await page.locator('[data-state=failed]').count()).toBe(0);
    expect(splunk.splunkd.confs.names('defender_bridge_account')).toEqual(['contoso']);
});

test('without a connection nothing is lost either', async () => {
    const at = await visit({ tenant: ['--alerts', '5'] });
    const { page } = at;
    await at.go('configuration');
    await button(page, 'Add the first account').click();
    await typeAccount(at, 'contoso');
    await page.context().setOffline(true);
    await button(page, 'Save').click();
    await page.getByText('Splunk does not answer').waitFor();
    await page.context().setOffline(false);
    await button(page, 'Save').click();
    await page.getByText('What should contoso read?').waitFor();
});

test('a wrong secret is told with its cause and what to do, and can be corrected at once', async () => {
    const at = await visit({ tenant: ['--alerts', '5'] });
    const { page, splunk } = at;
    await at.go('configuration');
    await button(page, 'Add the first account').click();
    await typeAccount(at, 'contoso', 'not~the~secret');
    await button(page, 'Save and test connection').click();
    const failed = page.locator('[data-state=failed]', { hasText: 'Sign-in at Microsoft' });
    await failed.waitFor();
    expect(await failed.innerText()).toMatch(/AADSTS7000215/);
    expect(await failed.innerText()).toMatch(/Value, not its Secret ID/);

    await button(page, 'Edit account').click();
    expect(await field(page, 'Client secret').inputValue()).toBe('');
    await field(page, 'Client secret').fill(splunk.tenant!.at.client_secret);
    await button(page, 'Save and test connection').click();
    await page.getByText('Reading alerts').waitFor();
    expect(await page.locator('[data-state=failed]').count()).toBe(0);
    expectSecretsKept(at, 'not~the~secret', splunk.tenant!.at.client_secret);
});

test('a missing permission is told by name, and reading goes on', async () => {
    const at = await visit({ tenant: ['--alerts', '5'] });
    const { page, splunk } = at;
    const { reader_id, reader_secret } = splunk.tenant!.at;
    await at.go('configuration');
    await button(page, 'Add the first account').click();
    await typeAccount(at, 'contoso', reader_secret);
    await field(page, 'Client id').fill(reader_id);
    await button(page, 'Save and test connection').click();
    const limited = page.locator('[data-state=warning]', { hasText: 'SecurityAlert.ReadWrite.All' });
    await limited.waitFor();
    expect(await limited.innerText()).toContain('grant admin consent');
    expect(await page.locator('[data-state=ok]', { hasText: 'Reading alerts' }).count()).toBe(1);
    expect(await page.locator('[data-state=failed]').count()).toBe(0);
});

test('a certificate goes into the store in pieces, and a secret that was there goes', async () => {
    const at = await visit({ tenant: ['--alerts', '5'], account: 'contoso' });
    const { page, splunk } = at;
    const pair = await generate([{ name: 'commonName', value: 'x' }], { keySize: 2048 });
    await at.go('configuration');
    await button(page, 'Edit contoso').click();
    await choose(page, 'Signs in with', 'Certificate');
    await button(page, 'Save').click();
    await page.getByText('Paste the private key (PEM)').waitFor();
    await field(page, 'Private key').fill(pair.private);
    await field(page, 'Certificate').fill(pair.cert);
    await field(page, 'Ends on').fill('2027-03-31');
    await button(page, 'Save').click();
    await expect.poll(() => splunk.splunkd.confs.stanza('defender_bridge_account', 'contoso')?.secret_stored).toBeTruthy();
    const names = [...splunk.splunkd.passwords.keys()];
    expect(names).not.toContain('defender_bridge:contoso:');
    const stored = names.map((name) => splunk.splunkd.passwords.get(name)!);
    expect(stored.length).toBeGreaterThan(5);
    for (const piece of stored) expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(255);
    expect(stored.join('')).toBe(`${pair.private.trim()}\n${pair.cert.trim()}\n`.replace(/\r\n/g, '\n'));
    expectSecretsKept(at, pair.private.slice(100, 160));
});

test('an edit without a new secret leaves the stored one alone; a clone asks for its own', async () => {
    const at = await visit({ tenant: ['--alerts', '5'], account: 'contoso' });
    const { page, splunk } = at;
    await at.go('configuration');
    await button(page, 'Edit contoso').click();
    expect(await field(page, 'Client secret').getAttribute('placeholder')).toBe('******');
    await page.getByRole('switch', { name: 'Read only' }).click();
    await button(page, 'Save').click();
    await page.getByRole('cell', { name: 'Read only' }).waitFor();
    expect(changes(at)).toEqual(['POST configs/conf-defender_bridge_account/contoso', 'POST apps/local/defender_bridge']);

    await button(page, 'Not now').click();
    await button(page, 'Clone contoso').click();
    expect(await field(page, 'Name').inputValue()).toBe('contoso_copy');
    await button(page, 'Save').click();
    await page.getByText('Paste the client secret’s Value').waitFor();
    expect(splunk.splunkd.confs.names('defender_bridge_account')).toEqual(['contoso']);
});

test('deleting removes the secret first, and says who still reads with the account', async () => {
    const at = await visit({ tenant: ['--alerts', '5'], account: 'contoso' });
    const { page, splunk } = at;
    splunk.addInput('contoso_alerts', { account: 'contoso', feed: 'alerts' });
    await at.go('configuration');
    await button(page, 'Delete contoso').click();
    await page.getByText('1 input reads with it and will fail: contoso_alerts').waitFor();

    splunk.splunkd.fault = (method, path) => (method === 'DELETE' && path.startsWith('storage/') ? refused(500, 'busy') : undefined);
    await button(page, 'Delete account').click();
    await page.getByText('Nothing was deleted: the credential could not be removed').waitFor();
    expect(splunk.splunkd.confs.names('defender_bridge_account')).toEqual(['contoso']);

    splunk.splunkd.fault = undefined;
    splunk.web.trace.length = 0;
    await button(page, 'Delete account').click();
    await page.getByRole('heading', { name: 'No account yet' }).waitFor();
    expect(changes(at)).toEqual(['DELETE storage/passwords/defender_bridge:contoso:', 'DELETE storage/passwords/defender_bridge:contoso#1:', 'DELETE configs/conf-defender_bridge_account/contoso']);
    expect(splunk.splunkd.passwords.size).toBe(0);
});

test('a credential about to end is warned about', async () => {
    const at = await visit({ at: Date.parse('2026-11-22T12:00:00Z') / 1000 });
    const { page, splunk } = at;
    splunk.addAccount('soon', { tenant_id: 'contoso.com', client_id: 'c', secret_expires: '2026-11-30' });
    splunk.addAccount('gone', { tenant_id: 'contoso.com', client_id: 'c', secret_expires: '2026-11-01' });
    splunk.addAccount('late', { tenant_id: 'contoso.com', client_id: 'c', secret_expires: '2027-11-01' });
    await at.go('configuration');
    await page.getByText('The credential of gone, soon ends within 30 days or has ended').waitFor();
    await page.getByRole('row', { name: /^soon/ }).getByText('Ends in 8 days').waitFor();
    await page.getByRole('row', { name: /^gone/ }).getByText('Ended 2026-11-01').waitFor();
});

test('a field that was refused is mended letter by letter, and keeps the focus beside other wrong ones', async () => {
    const at = await visit();
    const { page } = at;
    await at.go('configuration');
    await button(page, 'Add the first account').click();
    // Whoever opens it can type at once.
    await expect.poll(() => field(page, 'Name').evaluate((input) => input === document.activeElement)).toBe(true);
    await button(page, 'Save').click();
    await page.getByText('Something is missing or wrong').waitFor();
    await field(page, 'Client id').pressSequentially('abc-123');
    expect(await field(page, 'Client id').inputValue()).toBe('abc-123');
    expect(await field(page, 'Name').inputValue()).toBe('');
});

test('nothing closes an account that is being saved, and a failure is where the focus is', async () => {
    const at = await visit();
    const { page, splunk } = at;
    await at.go('configuration');
    await button(page, 'Add the first account').click();
    await field(page, 'Name').fill('contoso');
    await field(page, 'Tenant id').fill('contoso.example');
    await field(page, 'Client id').fill('c');
    await field(page, 'Client secret').fill('s~1');
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    await page.route('**/configs/conf-defender_bridge_account?*', async (route) => {
        if (route.request().method() === 'POST') await held;
        await route.continue();
    });
    splunk.splunkd.fault = (method) => (method === 'POST' ? refused(500, 'disk full') : undefined);
    await field(page, 'Client secret').press('Enter');
    await button(page, 'Saving').waitFor();
    await page.keyboard.press('Escape');
    expect(await button(page, 'Cancel').isDisabled()).toBe(true);
    expect(await page.getByRole('heading', { name: 'Add account' }).count()).toBe(1);
    goOn();
    await page.getByText('Nothing was saved').waitFor();
    await expect.poll(() => page.evaluate(`document.activeElement?.getAttribute('data-test')`)).toBe('failed');
    expect(await field(page, 'Client secret').inputValue()).toBe('s~1');
});
