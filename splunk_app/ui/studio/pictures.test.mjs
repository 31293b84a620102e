import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { PNG } from 'pngjs';
import { Browser } from './browser.mjs';
import { DASHBOARDS, answered, answers, definition } from './definition.mjs';
import { difference } from './pictures.mjs';

const KEPT = new URL('../screenshots/', import.meta.url);
const MADE = new URL('built/', import.meta.url);
/** The share of a picture that may differ from the reviewed one. */
const TOLERANCE = 0.02;

const PICTURES = [
    { state: 'filled', theme: 'light', ending: 'light' },
    { state: 'filled', theme: 'dark', ending: 'dark' },
    { state: 'empty', theme: 'light', ending: 'empty-light' },
    { state: 'empty', theme: 'dark', ending: 'empty-dark' },
];

for (const name of DASHBOARDS) {
    describe(`pictures of ${name}`, () => {
        let browser;
        before(async () => {
            browser = await Browser.open();
        });
        after(() => browser?.close());

        for (const { state, theme, ending } of PICTURES) {
            const file = `${name}-${ending}.png`;
            it(`${file} is as reviewed`, async () => {
                const drawn = await browser.draw(answered(name, answers(name)[state]), theme);
                assert.deepEqual(drawn.faults, []);
                for (const { title, hideWhenNoData } of Object.values(definition(name).visualizations)) {
                    if (!hideWhenNoData) assert.ok(drawn.text.includes(title), `"${title}" is not shown`);
                    else assert.equal(drawn.text.includes(title), state === 'empty', `"${title}"`);
                }
                mkdirSync(KEPT, { recursive: true });
                writeFileSync(new URL(file, MADE), drawn.picture);
                const kept = new URL(file, KEPT);
                if (process.env.UPDATE_SCREENSHOTS) writeFileSync(kept, drawn.picture);
                assert.ok(existsSync(kept), `no reviewed ${file}: look at built/${file}, then UPDATE_SCREENSHOTS=1`);
                const off = difference(readFileSync(kept), drawn.picture);
                assert.ok(off <= TOLERANCE, `${(100 * off).toFixed(1)} % differ: compare with built/${file}`);
            });
        }
    });
}

describe('the comparison of pictures', () => {
    const picture = (paint = () => 255) => {
        const png = new PNG({ width: 200, height: 200 });
        for (let i = 0; i < png.data.length; i += 1) png.data[i] = i % 4 === 3 ? 255 : paint(i / 4 % 200, i / 800);
        return PNG.sync.write(png);
    };

    it('finds a panel that is missing', () => {
        const panel = picture((x, y) => (x < 60 && y < 60 ? 0 : 255));
        assert.ok(difference(picture(), panel) > TOLERANCE);
    });

    it('takes no offence at the edge of a letter', () => {
        assert.equal(difference(picture(), picture((x, y) => (x < 2 && y < 10 ? 0 : 255))), 0);
    });

    it('finds another size', () => {
        const small = PNG.sync.write(new PNG({ width: 100, height: 200 }));
        assert.equal(difference(picture(), small), 1);
    });
});
