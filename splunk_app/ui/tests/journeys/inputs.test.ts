import { expect, test } from 'vitest';
import { button, choose, field, typeIndex, visitors } from './visit';

const visit = visitors();
const alerts = { account: 'contoso', feed: 'alerts', index: 'defender' };

test('the form shows what the feed needs, and the executable’s refusal where it belongs', async () => {
    const at = await visit({ tenant: ['--alerts', '10'], account: 'contoso' });
    const { page, splunk } = at;
    await at.go('inputs');
    await button(page, 'Create the first input').click();
    // The only account is chosen already.
    expect(await page.getByRole('combobox', { name: 'Account' }).innerText()).toBe('contoso');
    await page.getByText('Only alerts these products raised').waitFor();
    await choose(page, 'Feed', 'Incidents');
    expect(await page.getByText('Only alerts these products raised').count()).toBe(0);
    await choose(page, 'API', 'Defender XDR');
    await page.getByText('Microsoft ends this API in February 2027').waitFor();
    expect(await page.getByRole('combobox', { name: 'Severity' }).count()).toBe(0);
    await choose(page, 'Feed', 'Alerts');
    expect(await page.getByRole('combobox', { name: 'API' }).innerText()).toBe('Microsoft Graph');

    await field(page, 'Begin with').fill('last week');
    await button(page, 'Save').click();
    await page.getByText('Enter a name').waitFor();
    await field(page, 'Name').fill('contoso_alerts');
    await button(page, 'Save').click();
    await page.getByText('"last week" is neither an instant').waitFor();
    await expect.poll(() => field(page, 'Begin with').evaluate((input) => input === document.activeElement)).toBe(true);
    expect(await field(page, 'Name').inputValue()).toBe('contoso_alerts');
    await field(page, 'Begin with').fill('-3d');
    await typeIndex(page, 'defender');
    await button(page, 'Save').click();
    await page.getByRole('row', { name: /contoso_alerts/ }).waitFor();
    expect(splunk.splunkd.confs.stanza('inputs', 'defender_bridge://contoso_alerts')).toMatchObject({ start: '-3d', index: 'defender', api: 'graph' });
});

test('is switched, edited, cloned and deleted', async () => {
    const at = await visit({ tenant: ['--alerts', '10'], account: 'contoso' });
    const { page, splunk } = at;
    splunk.addInput('contoso_alerts', alerts);
    await at.go('inputs');
    await page.getByRole('switch', { name: 'Enable contoso_alerts' }).click();
    await expect.poll(() => splunk.splunkd.confs.stanza('inputs', 'defender_bridge://contoso_alerts')?.disabled).toBe('1');
    await expect.poll(() => page.getByRole('switch', { name: 'Enable contoso_alerts' }).getAttribute('aria-checked')).toBe('false');

    await button(page, 'Edit contoso_alerts').click();
    // What was read is remembered for this feed.
    expect(await page.getByRole('combobox', { name: 'Feed' }).isDisabled()).toBe(true);
    await field(page, 'Interval').fill('300');
    await button(page, 'Save').click();
    await expect.poll(() => splunk.splunkd.confs.stanza('inputs', 'defender_bridge://contoso_alerts')?.interval).toBe('300');

    await button(page, 'Clone contoso_alerts').click();
    await choose(page, 'Feed', 'Incidents');
    await field(page, 'Name').fill('contoso_incidents');
    await button(page, 'Save').click();
    await page.getByRole('row', { name: /contoso_incidents/ }).waitFor();
    expect(splunk.splunkd.confs.stanza('inputs', 'defender_bridge://contoso_incidents')).toMatchObject({ feed: 'incidents', interval: '300', service_sources: '' });

    await button(page, 'Delete contoso_alerts').click();
    await button(page, 'Delete input').click();
    await page.getByRole('row', { name: /contoso_alerts/ }).waitFor({ state: 'detached' });
    expect(splunk.splunkd.confs.names('inputs')).not.toContain('defender_bridge://contoso_alerts');
});

test('a failing input is told with its cause; another server’s are shown apart', async () => {
    const at = await visit({ tenant: ['--alerts', '10'], account: 'contoso' });
    const { page, splunk } = at;
    splunk.addInput('contoso_alerts', alerts);
    splunk.addInput('fabrikam_alerts', { ...alerts, account: 'fabrikam' });
    await splunk.splunkd.runInputs();
    const { time } = splunk.splunkd.events[0]!;
    expect(time).toBeGreaterThan(0);
    splunk.splunkd.events.push({
        time: Date.now() / 1000 - 90,
        index: 'defender',
        sourcetype: 'defender_bridge:health',
        source: 'defender_bridge:alerts:x',
        host: 'hf7',
        raw: JSON.stringify({ stanza: 'defender_bridge://emea_alerts', account: 'emea', feed: 'alerts', api: 'graph', outcome: 'ok', events: 12, open_gaps: 1, throttles: 3, duration_ms: 900 }),
    });
    await at.go('inputs');
    await page.getByText(/fabrikam_alerts failed .* ago/).waitFor();
    await page.getByText('account "fabrikam" is unknown').waitFor();
    expect(await page.getByRole('row', { name: /contoso_alerts/ }).innerText()).toContain('10 events in 24 h');
    const other = await page.getByRole('row', { name: /emea_alerts/ }).innerText();
    expect(other).toContain('hf7');
    expect(other).toContain('1 open gap');
    await button(page, 'Edit input fabrikam_alerts').click();
    await page.getByRole('heading', { name: 'Edit input fabrikam_alerts' }).waitFor();
});

test('an input that two servers run is told, and where its position lies decides how', async () => {
    const at = await visit({ tenant: ['--alerts', '10'], account: 'contoso' });
    const { page, splunk } = at;
    splunk.addInput('contoso_alerts', alerts);
    splunk.addInput('shared_alerts', { ...alerts, checkpoint: 'kvstore' });
    const ran = (name: string, server: string, ago: number) => {
        const checkpoint = name === 'shared_alerts' ? 'kvstore' : 'local';
        const raw = { checkpoint, stanza: `defender_bridge://${name}`, server, account: 'contoso', feed: 'alerts', api: 'graph', outcome: 'ok', events: 1, duration_ms: 900 };
        splunk.splunkd.events.push({ time: Date.now() / 1000 - ago, index: 'defender', sourcetype: 'defender_bridge:health', source: 'defender_bridge:alerts:x', host: 'same', raw: JSON.stringify(raw) });
    };
    ran('contoso_alerts', 'sh1', 60);
    ran('contoso_alerts', 'sh2', 90);
    ran('shared_alerts', 'sh1', 60);
    ran('shared_alerts', 'sh3', 120);
    // Long ago it ran elsewhere: it was moved.
    ran('moved_alerts', 'sh1', 60);
    ran('moved_alerts', 'sh2', 6 * 3600);
    await at.go('inputs');
    await page.getByText('contoso_alerts ran on 2 servers within 4 hours: sh1, sh2').waitFor();
    await page.getByText('so each sends everything').waitFor();
    await page.getByText('shared_alerts ran on 2 servers within 4 hours: sh1, sh3').waitFor();
    await page.getByText('The servers share the input’s position').waitFor();
    expect(await page.getByText(/moved_alerts ran on/).count()).toBe(0);
});

test('without an account it leads to one; on a search head it says where inputs belong', async () => {
    const at = await visit({ roles: ['search_head', 'kv_store'] });
    const { page } = at;
    await at.go('inputs');
    await page.getByRole('heading', { name: 'An account comes first' }).waitFor();
    await page.getByText('Inputs belong on a heavy forwarder').waitFor();
    await page.getByRole('link', { name: 'Go to Configuration' }).click();
    await page.getByRole('heading', { name: 'No account yet' }).waitFor();
});

test('a list that cannot be had is said, and asked for again', async () => {
    const at = await visit({ account: undefined });
    const { page, splunk } = at;
    splunk.addInput('contoso_alerts', alerts);
    splunk.splunkd.fault = (_, path) => (path.startsWith('data/inputs') ? { status: 404, body: { messages: [{ type: 'ERROR', text: 'Not Found' }] } } : undefined);
    await at.go('inputs');
    await page.getByText('Splunk does not know inputs of Defender Bridge').waitFor();
    splunk.splunkd.fault = undefined;
    await button(page, 'Try again').click();
    await page.getByRole('row', { name: /contoso_alerts/ }).waitFor();
});

test('how inputs go may be unknown without hiding them', async () => {
    const at = await visit();
    const { page, splunk } = at;
    splunk.addInput('contoso_alerts', alerts);
    splunk.splunkd.fault = (method, path) => (method === 'POST' && path === 'search/jobs' ? { status: 503, body: { messages: [{ type: 'WARN', text: 'The maximum number of concurrent searches has been reached.' }] } } : undefined);
    await at.go('inputs');
    await page.getByText('The state of the inputs cannot be shown').waitFor();
    await page.getByText('The maximum number of concurrent searches').waitFor();
    await page.getByRole('row', { name: /contoso_alerts/ }).waitFor();
});

test('a link from Health leads to its input', async () => {
    const at = await visit();
    const { page, splunk } = at;
    splunk.addInput('contoso_alerts', alerts);
    splunk.addInput('fabrikam_alerts', alerts);
    await at.go('inputs', '?form.input=fabrikam_alerts');
    const row = page.getByRole('row', { name: /fabrikam_alerts/ });
    await row.waitFor();
    await expect.poll(() => row.evaluate((element) => element === document.activeElement)).toBe(true);
    expect(await row.getAttribute('aria-current')).toBe('true');
    expect(await page.getByRole('dialog').count()).toBe(0);
});

test('many failing inputs leave the table in sight, and are all told on demand', async () => {
    const at = await visit({ account: 'contoso' });
    const { page, splunk } = at;
    for (let number = 1; number <= 12; number += 1) {
        splunk.addInput(`input_${number}`, alerts);
        const raw = { stanza: `defender_bridge://input_${number}`, account: 'contoso', feed: 'alerts', api: 'graph', outcome: 'error', error: `no secret for number ${number}`, events: 0, duration_ms: 900 };
        splunk.splunkd.events.push({ time: Date.now() / 1000 - 60, index: 'defender', sourcetype: 'defender_bridge:health', source: 'defender_bridge:alerts:x', host: 'sh1', raw: JSON.stringify(raw) });
    }
    await at.go('inputs');
    await page.getByText('no secret for number 1', { exact: true }).waitFor();
    expect(await page.getByText(/no secret for number/).count()).toBe(3);
    await button(page, 'Show 9 more failing inputs').click();
    await page.getByText('no secret for number 12', { exact: true }).waitFor();
    await button(page, 'Edit input input_12').click();
    await page.getByRole('heading', { name: 'Edit input input_12' }).waitFor();
});
