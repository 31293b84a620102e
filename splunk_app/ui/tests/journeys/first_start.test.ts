import { expect, test } from 'vitest';
import { button, changes, choose, expectSecretsKept, field, typeAccount, typeIndex, visitors } from './visit';

const visit = visitors();

test('from an installed package to alerts in the index, through pages alone', async () => {
    const at = await visit({ tenant: ['--alerts', '30'] });
    const { page, splunk } = at;

    // Configuration says what is needed, and asks for the first account.
    await at.go('configuration');
    await page.getByRole('heading', { name: 'No account yet' }).waitFor();
    await button(page, 'Add the first account').click();
    await typeAccount(at, 'contoso');
    await button(page, 'Save and test connection').click();

    // Permission by permission.
    await page.getByText('Permission to read alerts').waitFor();
    const results = await page.locator('[data-state]').all();
    expect(results.length).toBeGreaterThan(7);
    expect(await page.locator('[data-state=failed]').count()).toBe(0);
    expect(splunk.splunkd.configured).toBe(true);
    expect(changes(at)).toEqual([
        'POST configs/conf-defender_bridge_account',
        'POST storage/passwords',
        'DELETE storage/passwords/defender_bridge:contoso#1:',
        'POST configs/conf-defender_bridge_account/contoso',
        'POST apps/local/defender_bridge',
    ]);

    // And on to inputs, each tried by the executable.
    await button(page, 'Next: create inputs').click();
    await typeIndex(page, 'defender');
    await choose(page, 'Begin with', 'the last 7 days');
    await button(page, 'Create 2 inputs').click();
    await page.getByText('contoso_incidents is created and runs').waitFor();
    expect(splunk.splunkd.confs.stanza('inputs', 'defender_bridge://contoso_alerts')).toMatchObject({ account: 'contoso', feed: 'alerts', index: 'defender', interval: '60', start: '-7d', disabled: '0' });

    // splunkd runs them; the page shows how they go.
    await splunk.splunkd.runInputs();
    expect(splunk.splunkd.events.filter(({ sourcetype }) => sourcetype === 'ms365:defender:incident:alerts')).toHaveLength(30);
    await page.getByRole('link', { name: 'Go to Inputs' }).click();
    const row = page.getByRole('row', { name: /contoso_alerts/ });
    await row.getByText('30 events in 24 h').waitFor();
    expect(await row.innerText()).toMatch(/OK/);
    expect(await row.innerText()).toMatch(/in \d+ s|due now/);

    expectSecretsKept(at, splunk.tenant!.at.client_secret);
    expect(await page.evaluate('window.__defined__')).toBeUndefined();
    expect(at.errors).toEqual([]);
});

test('an input that exists already is not made twice, and the other one is', async () => {
    const at = await visit({ tenant: ['--alerts', '10'] });
    const { page, splunk } = at;
    splunk.addInput('contoso_alerts', { account: 'other', feed: 'alerts' });
    await at.go('configuration');
    await button(page, 'Add the first account').click();
    await typeAccount(at, 'contoso');
    await button(page, 'Save').click();
    await button(page, 'Create 2 inputs').click();
    await page.getByText('There is an input of this name already').waitFor();
    await page.getByText('contoso_incidents is created and runs').waitFor();
    await field(page, 'Input: Alerts').fill('contoso_alerts2');
    await button(page, 'Create 1 input').click();
    await page.getByText('contoso_alerts2 is created and runs').waitFor();
});
