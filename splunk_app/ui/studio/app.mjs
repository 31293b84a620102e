// What the app's other files say about searches: macros, lookups, the fields of each event.
import { readFileSync } from 'node:fs';

const ROOT = new URL('../../../', import.meta.url);
const text = (path) => readFileSync(new URL(path, ROOT), 'utf8');

/** Stanzas of a conf file with their settings. */
export function conf(name) {
    const stanzas = {};
    let stanza;
    for (const line of text(`default/${name}.conf`).split('\n')) {
        const head = line.match(/^\[(.+)\]$/);
        if (head) stanza = stanzas[head[1]] = {};
        else if (!line.startsWith('#') && line.includes('=')) {
            const at = line.indexOf('=');
            stanza[line.slice(0, at).trim()] = line.slice(at + 1).trim();
        }
    }
    return stanzas;
}

/** The members a Rust struct is written with. */
function struct(path, name) {
    const body = text(path).match(new RegExp(`struct ${name} \\{(.*?)\\n\\}`, 's'));
    if (!body) throw new Error(`${path} has no struct ${name}`);
    const members = [...body[1].matchAll(/^ {4}(?:pub )?(\w+): (Vec<)?/gm)];
    // Splunk names the members of a list with {} behind them.
    return members.map(([, member, list]) => (list ? `${member}{}` : member));
}

/** The top-level members of the objects a sandbox story prints. */
function story(name) {
    const snap = text(`src/sandbox/tests/snapshots/defender_bridge__sandbox__tests__stories__${name}.snap`);
    return JSON.parse(snap.slice(snap.indexOf('\n{')));
}

function calculated(sourcetype) {
    const [props, transforms] = [conf('props'), conf('transforms')];
    return Object.entries(props[sourcetype]).flatMap(([key, value]) => {
        if (key.startsWith('EVAL-')) return [key.slice(5)];
        if (key.startsWith('REPORT-')) return value.split(/,\s*/).map((name) => transforms[name].FORMAT.split('::')[0]);
        return [];
    });
}

function events() {
    const xdr = story('xdr_incident');
    const state = struct('src/triage/mod.rs', 'State');
    const nested = (prefix, names) => names.map((name) => `${prefix}.${name}`);
    const objects = {
        'ms365:defender:incident:alerts': [...Object.keys(story('graph_alert')), ...Object.keys(xdr.alerts[0])],
        'ms:defender:atp:alerts': Object.keys(story('mde_alert')),
        'ms365:defender:incident': [...Object.keys(story('graph_incident')), ...Object.keys(xdr)],
    };
    const found = {};
    for (const [name, members] of Object.entries(objects)) found[name] = [...members, ...calculated(name)];
    found['defender_bridge:health'] = [
        ...struct('src/bridge/input/health/mod.rs', 'Health'),
        ...struct('src/bridge/input/health/mod.rs', 'ListDetails'),
        ...struct('src/bridge/input/health/stream.rs', 'StreamDetails'),
        ...struct('src/bridge/input/stream/mod.rs', 'StorageProgress'),
        ...struct('src/ingest/poll/mod.rs', 'Tally'),
        ...struct('src/ingest/stream/follow.rs', 'Tally'),
        ...struct('src/ingest/tally.rs', 'Delivered'),
    ];
    found['defender_bridge:triage'] = [
        ...struct('src/triage/outcome.rs', 'Entry'),
        ...nested('before', state),
        ...nested('after', state),
        ...nested('requested', struct('src/triage/mod.rs', 'Change')),
    ];
    found['defender_bridge:log'] = ['time', 'level', 'stanza', 'message', 'raw'];
    return found;
}

/** The pieces of evidence the sandbox's stories and Microsoft's own samples hold. */
export function evidence() {
    const samples = JSON.parse(text('src/sandbox/fixtures/graph_alerts_v2.ndjson').split('\n')[0]);
    const xdr = story('xdr_incident').alerts.flatMap((alert) => alert.entities);
    return [...samples.evidence, ...story('graph_alert').evidence, ...story('mde_alert').evidence, ...xdr];
}

function specKeys(name) {
    return [...text(`README/${name}.conf.spec`).matchAll(/^(\w+) = /gm)].map((found) => found[1]);
}

/** Everything a reader of searches has to know. */
export function knowledge() {
    const macros = Object.fromEntries(Object.entries(conf('macros')).map(([name, stanza]) => [name, stanza.definition]));
    const lookups = {};
    for (const [name, { filename }] of Object.entries(conf('transforms'))) {
        if (filename) lookups[name] = text(`splunk_app/lookups/${filename}`).split('\n')[0].split(',');
    }
    const rest = {
        'conf-defender_bridge_account': ['title', 'disabled', ...specKeys('defender_bridge_account')],
    };
    return { macros, lookups, events: events(), rest, foreign: new Set(['notable']) };
}
