// The triage page in pictures that were looked at.

import { describe, expect, test } from 'vitest';
import { expectPicture } from './picture';
import { filled, oneBrowser, Triage } from './triage.page';
import { barriers } from './visit';

const browser = oneBrowser();

describe.each(['light', 'dark'] as const)('in the %s theme', (theme) => {
    test('everything is as it was looked at, and nobody is kept out', async () => {
        const splunk = await filled({ user: 'analyst', theme }, 300);
        const triage = await Triage.open(browser(), splunk);
        await triage.settled();
        const { page } = triage;
        const { keyboard } = page;
        const look = async (name: string): Promise<void> => {
            await expectPicture(page, `triage-${name}-${theme}`);
            expect(await barriers(page), name).toEqual([]);
        };
        await look('queue');
        await keyboard.press('j');
        await keyboard.press('x');
        await keyboard.press('j');
        await keyboard.press('x');
        await look('selected');
        await triage.rows.filter({ hasText: 'Suspicious PowerShell' }).first().click();
        await triage.details.waitFor();
        await look('details');
        await triage.details
            .getByRole('heading', { name: 'MITRE ATT&CK' })
            .evaluate((heading) => heading.scrollIntoView());
        await look('evidence');
        await keyboard.press('Escape');
        await triage.details.waitFor({ state: 'detached' });
        await keyboard.press('r');
        await triage.phase('form').waitFor();
        await triage.dialog.getByRole('radio', { name: 'False positive' }).click();
        await triage.dialog
            .getByRole('textbox', { name: 'Comment' })
            .fill('Approved test of the red team, ticket 4711.');
        await look('form');
        await triage.press('Preview changes');
        await triage.phase('plan').waitFor();
        await look('preview');
        await triage.press(/^Write to/);
        await triage.phase('done').waitFor();
        await look('outcomes');
        await triage.press('Done');
        await triage.dialog.waitFor({ state: 'detached' });
        await keyboard.press('u');
        await page.locator('[data-test=batch-row]').first().waitFor();
        await look('history');
        await keyboard.press('Escape');
        await triage.dialog.waitFor({ state: 'detached' });
        await page.getByRole('tab', { name: /Incidents/ }).click();
        await page.getByRole('region', { name: 'Queue of Incidents' }).waitFor();
        await triage.rows.first().click();
        await triage.details.waitFor();
        await look('incident');
        await keyboard.press('Escape');
        await triage.details.waitFor({ state: 'detached' });
        await keyboard.press('?');
        await page.getByText('Recent verdicts and undo').waitFor();
        await look('help');
        await triage.close();
        await splunk.close();
    }, 400_000);
});
