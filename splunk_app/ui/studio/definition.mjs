// A dashboard as Splunk reads it: the XML around it and the JSON within.
import { readFileSync } from 'node:fs';

const VIEWS = new URL('../../../default/data/ui/views/', import.meta.url);

export const DASHBOARDS = ['overview', 'health'];

export function definition(name) {
    const xml = readFileSync(new URL(`${name}.xml`, VIEWS), 'utf8');
    const found = xml.match(/<definition><!\[CDATA\[(.*?)\]\]><\/definition>/s);
    if (!found) throw new Error(`${name}.xml holds no definition`);
    return JSON.parse(found[1]);
}

/** The same dashboard with answers in place of its searches. */
export function answered(name, answers) {
    const dashboard = definition(name);
    for (const id of Object.keys(dashboard.dataSources)) {
        const data = answers[id];
        dashboard.dataSources[id] = data
            ? { type: 'ds.test', options: { data, meta: { totalCount: data.columns[0]?.length ?? 0 } } }
            : { type: 'ds.test', options: { data: { fields: [], columns: [] } } };
    }
    return dashboard;
}

/** Answers to every search of a dashboard: `filled`, and `empty` as before the first account. */
export function answers(name) {
    return JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8'));
}
