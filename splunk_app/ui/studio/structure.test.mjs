import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DASHBOARDS, definition } from './definition.mjs';
import { danglingProblems, schemaProblems } from './structure.mjs';

describe('definitions', () => {
    for (const name of DASHBOARDS) {
        it(`${name} is one that Splunk's validator takes`, () => {
            assert.deepEqual(schemaProblems(definition(name)), []);
        });

        it(`${name} names nothing that is not there and shows all it asks for`, () => {
            assert.deepEqual(danglingProblems(definition(name)), []);
        });
    }
});

describe('the check of definitions', () => {
    const [name] = DASHBOARDS;
    const first = (part) => Object.keys(definition(name)[part])[0];

    for (const [what, change] of [
        ['a visualization that does not exist', (d) => { d.visualizations[first('visualizations')].type = 'splunk.nothing'; }],
        ['an option of the wrong kind', (d) => { d.visualizations.viz_queue.options.count = 'many'; }],
    ]) {
        it(`finds ${what} by Splunk's schema`, () => {
            const dashboard = definition(name);
            change(dashboard);
            assert.notDeepEqual(schemaProblems(dashboard), []);
        });
    }

    for (const [what, change] of [
        ['a data source that is not there', (d) => { d.visualizations.viz_queue.dataSources.primary = 'nowhere'; }],
        ['a search nobody shows', (d) => { d.dataSources.more = { type: 'ds.search', options: { query: '' } }; }],
        ['a panel that is not placed', (d) => { d.layout.structure.pop(); }],
        ['a token nobody sets', (d) => { d.dataSources.alerts.options.query += ' $other|s$'; }],
        ['a token that is not quoted', (d) => { d.dataSources.alerts.options.query += ' $index$'; }],
        ['panels over one another', (d) => { d.layout.structure[1].position = d.layout.structure[0].position; }],
        ['a panel that covers the dashboard should it not hide', (d) => { d.layout.structure.find(({ item }) => item === 'viz_first_steps').position.h = 900; }],
        ['a link over plain http', (d) => { d.visualizations.viz_techniques.eventHandlers[0].options.url = 'http://x'; }],
        ['a member Splunk does not know', (d) => { d.vizualizations = {}; }],
    ]) {
        it(`finds ${what}`, () => {
            const dashboard = definition(name);
            change(dashboard);
            assert.notDeepEqual(danglingProblems(dashboard), []);
        });
    }
});
