import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conf, knowledge } from './app.mjs';
import { DASHBOARDS, answers, definition } from './definition.mjs';
import { Reader, Unreadable } from './spl.mjs';

const reader = new Reader(knowledge());

/** What each data source of a dashboard yields, bases before what they carry. */
function yields(dashboard) {
    const flows = {};
    const follow = (id) => {
        const { type, options } = dashboard.dataSources[id];
        // Tokens stand for values, never for fields.
        const query = options.query.replace(/\$[\w.]+(?:\|s)?\$/g, '"x"');
        flows[id] ??= type === 'ds.chain' ? reader.read(query, follow(options.extend)) : reader.read(query);
        return flows[id];
    };
    Object.keys(dashboard.dataSources).forEach((id) => {
        try {
            follow(id);
        } catch (error) {
            throw error instanceof Unreadable ? new Unreadable(`${id}: ${error.message}`) : error;
        }
    });
    return flows;
}

describe('searches', () => {
    for (const name of DASHBOARDS) {
        it(`of ${name} read only fields that are there, and yield what the pictures show`, () => {
            const flows = yields(definition(name));
            for (const [state, answered] of Object.entries(answers(name))) {
                for (const [id, { fields }] of Object.entries(answered)) {
                    const names = fields.map((field) => field.name).filter((field) => field !== '_span');
                    const flow = flows[id];
                    assert.ok(flow, `${state}: there is no search ${id}`);
                    if (flow.open) flow.need(['_time'].filter((field) => names.includes(field)), id);
                    else assert.deepEqual(names.toSorted(), [...flow.fields].toSorted(), `${state} ${id}`);
                }
            }
        });
    }

    for (const [name, { search }] of Object.entries(conf('savedsearches'))) {
        it(`"${name}" reads only fields that are there`, () => {
            reader.read(search);
        });
    }

    for (const [name, stanza] of Object.entries(conf('workflow_actions'))) {
        if (stanza['search.search_string']) {
            it(`the workflow action ${name} reads only fields that are there`, () => {
                reader.read(stanza['search.search_string'].replace(/\$\w+\$/g, 'x'));
            });
        }
    }

    const base = { alerts: '`defender_bridge_alerts`', incidents: '`defender_bridge_incidents`' };
    for (const [name, events, yielded] of [
        ['defender_bridge_processes', base.alerts, 'process_command'],
        ['defender_bridge_files', base.alerts, 'file_hash'],
        ['defender_bridge_users', base.alerts, 'user_principal_name'],
        ['defender_bridge_addresses', base.alerts, 'address'],
        ['defender_bridge_not_ours', base.alerts, 'alert_id'],
        ['defender_bridge_not_ours', base.incidents, 'incident_id'],
        ['defender_bridge_times', base.incidents, 'defender_created'],
        ['defender_bridge_newest_incidents', base.incidents, 'incident_id'],
    ]) {
        it(`the macro ${name} goes behind ${events}`, () => {
            assert.ok(reader.read(`${events} | \`${name}\``).fields.has(yielded));
        });
    }
});

describe('the reader of searches', () => {
    for (const [spl, why] of [
        ['sourcetype="defender_bridge:health" | where lagg>1', /lagg/],
        ['sourcetype="defender_bridge:health" | stats count BY stanza | table account', /account/],
        ['sourcetype="nowhere"', /nowhere/],
        ['sourcetype="defender_bridge:health" | eval x=lowr(stanza)', /lowr/],
        ['sourcetype="defender_bridge:health" | mystery', /mystery/],
        ['sourcetype="defender_bridge:health" | lookup defender_bridge_errors error OUTPUT remdy', /remdy/],
        ['`defender_bridge_nothing`', /defender_bridge_nothing/],
        ['| tstats count where sourcetype="x" stanza="y" by index', /stanza/],
        ['sourcetype="defender_bridge:health" | eval x="', /open/],
    ]) {
        it(`refuses ${spl}`, () => {
            assert.throws(() => reader.read(spl), why);
        });
    }
});
