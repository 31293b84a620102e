import { describe, expect, test } from 'vitest';
import { expectPicture } from './picture';
import { barriers, button, choose, field, typeAccount, visitors, type Visit } from './visit';

const visit = visitors();
const AT = Date.parse('2026-11-22T12:00:00Z') / 1000;

/** A picture of it, and nobody is kept out. */
async function look({ page }: Visit, name: string): Promise<void> {
    await expectPicture(page, name);
    expect(await barriers(page), name).toEqual([]);
}

function health(name: string, ago: number, more: Record<string, unknown> = {}) {
    const [account = name] = name.split('_');
    const raw = { stanza: `defender_bridge://${name}`, account, feed: name.endsWith('incidents') ? 'incidents' : 'alerts', api: 'graph', outcome: 'ok', events: 214, throttles: 0, open_gaps: 0, duration_ms: 2_100, watermark: '2026-11-22T11:52:07.1234567Z', ...more };
    return { time: AT - ago, index: 'defender', sourcetype: 'defender_bridge:health', source: 'defender_bridge:alerts:x', host: 'sh1', raw: JSON.stringify(raw) };
}

describe.each(['light', 'dark'] as const)('in the %s theme', (theme) => {
    test('Configuration, from empty to full', async () => {
        const at = await visit({ theme, at: AT });
        const { page, splunk } = at;
        await at.go('configuration');
        await page.getByRole('heading', { name: 'No account yet' }).waitFor();
        await look(at, `configuration-empty-${theme}`);
        await button(page, 'Add the first account').click();
        await button(page, 'Save and test connection').click();
        await page.getByText('Something is missing or wrong').waitFor();
        await look(at, `configuration-account-wrong-${theme}`);

        const tenant_id = '7b795fb9-09d3-42f4-a494-38864f99ba3c';
        splunk.addAccount('contoso', { tenant_id, client_id: 'c', secret_expires: '2027-09-30', secret_stored: '2026-09-30T08:00:00Z' });
        splunk.addAccount('fabrikam', { tenant_id: 'fabrikam.example', client_id: 'c', auth: 'certificate', cloud: 'gcc_high', secret_expires: '2026-12-01', secret_stored: '2025-12-01T08:00:00Z' });
        splunk.addAccount('northwind', { tenant_id: 'northwind.example', auth: 'managed_identity', read_only: 'true' });
        await at.go('configuration');
        await page.getByRole('row', { name: /northwind/ }).waitFor();
        await look(at, `configuration-accounts-${theme}`);
        await button(page, 'Delete contoso').click();
        await page.getByRole('heading', { name: 'Delete account contoso?' }).waitFor();
        await look(at, `configuration-delete-${theme}`);
        await button(page, 'Cancel').click();
        await page.getByRole('tab', { name: 'Proxy' }).click();
        await field(page, 'Proxy URL').waitFor();
        await look(at, `configuration-proxy-${theme}`);
        expect(at.errors).toEqual([]);
    });

    test('an account, its test and its first inputs', async () => {
        const at = await visit({ theme, tenant: ['--alerts', '20'] });
        const { page } = at;
        await at.go('configuration');
        await button(page, 'Add the first account').click();
        await typeAccount(at, 'contoso');
        await page.getByRole('heading', { name: 'Identity' }).scrollIntoViewIfNeeded();
        await look(at, `configuration-account-${theme}`);
        await button(page, 'Save and test connection').click();
        await page.getByText('Permission to hunt').waitFor();
        await look(at, `configuration-test-${theme}`);
        await button(page, 'Next: create inputs').click();
        await page.getByText('What should contoso read?').waitFor();
        await look(at, `configuration-first-inputs-${theme}`);
    });

    test('Configuration for those who may only look', async () => {
        const at = await visit({ theme, at: AT, user: 'analyst' });
        at.splunk.addAccount('contoso', { tenant_id: 'contoso.example', client_id: 'c', secret_stored: '2026-09-30T08:00:00Z' });
        await at.go('configuration');
        await at.page.getByRole('row', { name: /contoso/ }).waitFor();
        await look(at, `configuration-look-only-${theme}`);
    });

    test('Inputs', async () => {
        const error = 'GET https://graph.microsoft.com/v1.0/security/alerts_v2 answered 403 Forbidden; grant the app the application permission SecurityAlert.Read.All of "Microsoft Graph" with admin consent';
        const events = [
            health('contoso_alerts', 22),
            health('contoso_incidents', 190, { events: 41, watermark: '2026-11-22T09:14:00Z' }),
            health('fabrikam_alerts', 45, { outcome: 'error', error, events: 0, watermark: undefined }),
            { ...health('emea_alerts', 70, { events: 1_822, throttles: 3, open_gaps: 1 }), host: 'hf-emea-1' },
        ];
        const at = await visit({ theme, at: AT, events });
        const { page, splunk } = at;
        await at.go('inputs');
        await page.getByRole('heading', { name: 'An account comes first' }).waitFor();
        await look(at, `inputs-empty-${theme}`);
        for (const account of ['contoso', 'fabrikam']) splunk.addAccount(account, { tenant_id: `${account}.example`, client_id: 'c' });
        splunk.addInput('contoso_alerts', { account: 'contoso', feed: 'alerts', index: 'defender' });
        splunk.addInput('contoso_incidents', { account: 'contoso', feed: 'incidents', index: 'defender', interval: '300' });
        splunk.addInput('fabrikam_alerts', { account: 'fabrikam', feed: 'alerts', index: 'defender' });
        splunk.addInput('fabrikam_incidents', { account: 'fabrikam', feed: 'incidents', index: 'defender', interval: '*/5 * * * *', disabled: '1' });
        await at.go('inputs');
        await page.getByText('fabrikam_alerts failed').waitFor();
        await look(at, `inputs-${theme}`);
        await button(page, 'Create input').click();
        await field(page, 'Name').fill('contoso_high');
        await choose(page, 'Account', 'contoso');
        await choose(page, 'Severity', 'High only');
        await page.getByRole('heading', { name: 'What to read' }).scrollIntoViewIfNeeded();
        await look(at, `inputs-form-${theme}`);
        expect(at.errors).toEqual([]);
    });
});
