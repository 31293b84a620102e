// Whether a dashboard is one that Splunk takes: its own validator, and what that leaves out.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { createSchemaBasedOnDicts } = require('@splunk/dashboard-definition');
const { DashboardValidator } = require('@splunk/dashboard-validation');
const schemas = require('@splunk/visualization-schemas');

const VISUALIZATIONS = {
    'splunk.bar': schemas.barOptionsSchema,
    'splunk.column': schemas.columnOptionsSchema,
    'splunk.singlevalue': schemas.singleValueOptionsSchema,
    'splunk.table': schemas.tableOptionsSchema,
};

const MEMBERS = ['title', 'description', 'dataSources', 'visualizations', 'inputs', 'layout'];

function validator() {
    const schema = createSchemaBasedOnDicts({
        layoutDict: { absolute: {} },
        dataSourceDict: { 'ds.search': {}, 'ds.chain': {} },
        visualizationDict: VISUALIZATIONS,
        inputDict: { 'input.dropdown': {}, 'input.timerange': {} },
    });
    const made = new DashboardValidator();
    const error = made.setSchema(schema);
    if (error) throw error;
    return made;
}

/** The schema knows layouts under tabs only; Splunk before 9.4 knows only the form without. */
function underTabs({ layout: { globalInputs, ...layout }, ...rest }) {
    return { ...rest, layout: { globalInputs, layoutDefinitions: { one: layout }, tabs: { items: [{ layoutId: 'one', label: 'one' }] } } };
}

export function schemaProblems(dashboard) {
    const problems = validator().validate(underTabs(dashboard)) ?? [];
    return problems.map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params ?? {})}`);
}

/** Names that lead nowhere, and what nothing leads to. */
export function danglingProblems(dashboard) {
    const { dataSources, visualizations, inputs, layout } = dashboard;
    const problems = Object.keys(dashboard).filter((key) => !MEMBERS.includes(key)).map((key) => `${key} is no member`);
    const used = new Set();
    const use = (owner, id) => {
        used.add(id);
        if (!(id in dataSources)) problems.push(`${owner}: there is no data source ${id}`);
    };
    for (const [id, item] of Object.entries({ ...visualizations, ...inputs })) {
        for (const source of Object.values(item.dataSources ?? {})) use(id, source);
    }
    for (const [id, { type, options }] of Object.entries(dataSources)) {
        if (type === 'ds.chain') use(id, options.extend);
    }
    for (const id of Object.keys(dataSources)) {
        if (!used.has(id)) problems.push(`nothing shows ${id}`);
    }

    const placed = layout.structure.map(({ item }) => item);
    for (const id of new Set([...placed, ...Object.keys(visualizations)])) {
        if (!(id in visualizations)) problems.push(`the layout places ${id}, which is not there`);
        if (placed.filter((item) => item === id).length !== 1) problems.push(`${id} is not placed once`);
    }
    for (const id of new Set([...layout.globalInputs, ...Object.keys(inputs)])) {
        if (!(id in inputs) || !layout.globalInputs.includes(id)) problems.push(`input ${id} is not both there and placed`);
    }
    return [...problems, ...tokenProblems(dashboard), ...placeProblems(dashboard)];
}

function tokenProblems({ dataSources, visualizations, inputs }) {
    const known = new Set(Object.values(inputs).flatMap(({ type, options: { token } }) =>
        type === 'input.timerange' ? [`${token}.earliest`, `${token}.latest`] : [token]));
    const problems = [];
    const used = new Set();
    for (const [id, { options }] of Object.entries(dataSources)) {
        for (const [whole, token, filter] of JSON.stringify(options).matchAll(/\$([\w.]+)(\|\w+)?\$/g)) {
            used.add(token);
            if (!known.has(token)) problems.push(`${id}: no input sets ${whole}`);
            // What comes with the address bar must not end the string it stands in.
            if (options.query.includes(whole) && filter !== '|s') problems.push(`${id}: ${whole} must be quoted with |s`);
        }
    }
    for (const token of known) if (!used.has(token)) problems.push(`nothing uses the token ${token}`);
    for (const [id, { eventHandlers = [] }] of Object.entries(visualizations)) {
        for (const { type, options } of eventHandlers) {
            if (type === 'drilldown.customUrl' && !/^(https:\/\/|\/app\/defender_bridge\/)/.test(options.url)) {
                problems.push(`${id}: ${options.url} is neither https nor a page of this app`);
            }
            if (type === 'drilldown.linkToDashboard' && options.app !== 'defender_bridge') problems.push(`${id}: links to another app`);
        }
    }
    return problems;
}

function placeProblems({ visualizations, layout }) {
    const problems = [];
    const { width, height } = layout.options;
    const seen = [];
    for (const { item, position } of layout.structure) {
        const { x, y, w, h } = position;
        if (![x, y, w, h].every(Number.isInteger)) problems.push(`${item} has no whole position`);
        if (x < 0 || y < 0 || x + w > width || y + h > height) problems.push(`${item} lies outside`);
        // What hides itself may lie over what is then empty; but where it does not hide, over one row of panels at most.
        if (visualizations[item]?.hideWhenNoData && h > 300) problems.push(`${item} hides itself, and is too large to trust in it`);
        if (!visualizations[item]?.hideWhenNoData) {
            for (const other of seen) {
                const apart = x >= other.x + other.w || other.x >= x + w || y >= other.y + other.h || other.y >= y + h;
                if (!apart) problems.push(`${item} lies over ${other.item}`);
            }
            seen.push({ item, ...position });
        }
    }
    return problems;
}
