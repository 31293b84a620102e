import { expect, test } from 'vitest';
import { button, choose, expectSecretsKept, field, visitors } from './visit';

const visit = visitors();

test('the proxy is saved, its password only in the store', async () => {
    const at = await visit();
    const { page, splunk } = at;
    await at.go('configuration', '?tab=proxy');
    await field(page, 'Proxy URL').fill('http://user:pw@proxy');
    await button(page, 'Save').click();
    await page.getByText('without user and password').waitFor();
    await field(page, 'Proxy URL').fill('http://proxy.example.com:8080');
    await field(page, 'Password').fill('pr0xy~secret');
    await button(page, 'Save').click();
    await page.getByText('A password needs a user name').waitFor();
    await field(page, 'User name').fill('splunk');
    await field(page, 'Direct connections').fill('.internal.example.com');

    // What was typed survives a look at another tab.
    await page.getByRole('tab', { name: 'Logging' }).click();
    await page.getByRole('tab', { name: 'Proxy' }).click();
    expect(await field(page, 'User name').inputValue()).toBe('splunk');

    await button(page, 'Save').click();
    await page.getByText('Saved. Inputs and searches use the new settings').waitFor();
    expect(splunk.splunkd.confs.stanza('defender_bridge_settings', 'proxy')).toEqual({ url: 'http://proxy.example.com:8080', username: 'splunk', no_proxy: '.internal.example.com' });
    expect(splunk.splunkd.passwords.get('defender_bridge:proxy:')).toBe('pr0xy~secret');
    expect(await field(page, 'Password').inputValue()).toBe('');
    expectSecretsKept(at, 'pr0xy~secret');

    await field(page, 'User name').fill('');
    await button(page, 'Save').click();
    await expect.poll(() => splunk.splunkd.passwords.size).toBe(0);
});

test('log level, limit and certificate check are saved; a failed save keeps what was typed', async () => {
    const at = await visit();
    const { page, splunk } = at;
    const conf = (stanza: string) => splunk.splunkd.confs.stanza('defender_bridge_settings', stanza);
    await at.go('configuration', '?tab=logging');
    await choose(page, 'Level', 'Every call, for finding a fault');
    await button(page, 'Save').click();
    await expect.poll(() => conf('logging')).toEqual({ level: 'debug' });

    await page.getByRole('tab', { name: 'Triage limits' }).click();
    const limit = field(page, 'Most alerts or incidents one run may change');
    await limit.fill('none');
    await page.getByText('Write a number from 1 to 999999').waitFor();
    await limit.fill('50');
    splunk.splunkd.fault = (method) => (method === 'POST' ? { status: 503, body: {} } : undefined);
    await button(page, 'Save').click();
    await page.getByText('Nothing was saved').waitFor();
    expect(await limit.inputValue()).toBe('50');
    splunk.splunkd.fault = undefined;
    await button(page, 'Save').click();
    await expect.poll(() => conf('triage')).toEqual({ max_targets: '50', index: '' });

    await page.getByRole('tab', { name: 'splunkd' }).click();
    await page.getByRole('switch', { name: 'Verify splunkd’s certificate' }).click();
    await button(page, 'Save').click();
    await expect.poll(() => conf('splunkd')).toEqual({ verify_tls: 'true' });
});

test('a proxy whose password alone could not be kept is not told as unsaved', async () => {
    const at = await visit();
    const { page, splunk } = at;
    await at.go('configuration', '?tab=proxy');
    await field(page, 'Proxy URL').fill('http://proxy.example.com:8080');
    await field(page, 'User name').fill('splunk');
    // Nothing is stored yet, and nothing looks as if it were.
    expect(await field(page, 'Password').getAttribute('placeholder')).not.toBe('******');
    await field(page, 'Password').fill('pr0xy~secret');
    splunk.splunkd.fault = (method, path) => (method === 'POST' && path === 'storage/passwords' ? { status: 500, body: { messages: [{ type: 'ERROR', text: 'busy' }] } } : undefined);
    await button(page, 'Save').click();
    await page.getByText('The proxy is saved, its password is not').waitFor();
    expect(await page.getByText('Nothing was saved').count()).toBe(0);
    expect(await field(page, 'Password').inputValue()).toBe('pr0xy~secret');
    splunk.splunkd.fault = undefined;
    await button(page, 'Save').click();
    await page.getByText('Saved. Inputs and searches use the new settings').waitFor();
    expect(splunk.splunkd.passwords.get('defender_bridge:proxy:')).toBe('pr0xy~secret');
    await expect.poll(() => field(page, 'Password').getAttribute('placeholder')).toBe('******');
});
