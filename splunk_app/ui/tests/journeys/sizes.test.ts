// Names of any length, on screens of any width: 640 pixels are a window of 1280 at 200 %.

import { expect, test } from 'vitest';
import { button, visitors } from './visit';

const visit = visitors();
const LONG = 'an_account_with_the_longest_name_somebody_chose_for_a_business_unit_in_emea_production';

test.each([640, 1280, 1920])('at %d pixels nothing leads out of the window, and no column is squashed', async (width) => {
    const at = await visit();
    const { page, splunk } = at;
    await page.setViewportSize({ width, height: 800 });
    splunk.addAccount(LONG, { tenant_id: `${'many-words-'.repeat(6)}.onmicrosoft.example`, client_id: 'c', secret_expires: '2020-01-01' });
    splunk.addAccount('contoso', { tenant_id: '11111111-2222-4333-8444-555555555555', client_id: 'c' });
    splunk.addInput(`${LONG}_alerts`, { account: LONG, feed: 'alerts', index: `index_${'x'.repeat(60)}`, interval: '*/15 6-22 * * 1-5' });
    splunk.addInput('contoso_alerts', { account: 'contoso', feed: 'alerts', index: 'defender' });
    const beyond = () => page.evaluate('document.documentElement.scrollWidth - window.innerWidth');
    const heights = async () => Promise.all((await page.locator('tbody tr').all()).map(async (row) => (await row.boundingBox())?.height ?? Infinity));

    await at.go('configuration');
    await page.getByText('ends within 30 days or has ended').waitFor();
    await page.getByRole('row', { name: /contoso/ }).first().waitFor();
    expect(await beyond()).toBe(0);
    expect(Math.max(...(await heights()))).toBeLessThan(140);
    await button(page, `Delete ${LONG}`).click();
    const warning = page.getByText('1 input reads with it and will fail');
    await warning.waitFor();
    const fits = await warning.evaluate((text) => text.scrollWidth <= text.clientWidth);
    expect(fits).toBe(true);
    await button(page, 'Cancel').click();

    await at.go('inputs');
    await page.getByRole('row', { name: /contoso_alerts/ }).waitFor();
    expect(await beyond()).toBe(0);
    expect(Math.max(...(await heights()))).toBeLessThan(140);
    const heads = await page.getByRole('columnheader').evaluateAll((all) => all.filter((one) => [...one.querySelectorAll('*')].some((part) => part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).textOverflow === 'ellipsis')).map((one) => one.textContent));
    expect(heads).toEqual([]);
});
