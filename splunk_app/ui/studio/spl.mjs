// What a search reads and yields, field by field: enough of SPL to follow this app's own searches from the events to
// their last command. A command or function it does not know is refused, so that nothing passes unread.

const KEYWORDS = new Set(['and', 'or', 'not', 'in', 'like', 'as', 'by', 'true', 'false', 'null', 'where']);
const FUNCTIONS = new Set(
    `coalesce case if match lower upper replace substr strptime strftime nullif null true false len round floor abs now tostring
     mvmap mvfilter json_object tonumber isnull isnotnull isnum mvindex mvjoin mvcount mvappend mvdedup split spath in max min searchmatch`.split(/\s+/)
);
const AGGREGATES = new Set('count sum avg min max median latest earliest values dc first last'.split(' '));

export class Unreadable extends Error {}

/** Fields on their way through a search; `open` where more may be there than is known. */
class Flow {
    constructor(fields, open = false) {
        this.fields = new Set(fields);
        this.open = open;
    }

    need(names, command) {
        for (const name of names) {
            if (name.includes('*') || this.open || this.fields.has(name)) continue;
            throw new Unreadable(`${command}: nothing has the field ${name}`);
        }
    }
}

export class Reader {
    /**
     * @param macros definitions by name
     * @param lookups columns by lookup name
     * @param events fields by sourcetype
     * @param rest fields by the end of a REST path
     */
    constructor({ macros, lookups, events, rest, foreign }) {
        Object.assign(this, { macros, lookups, events, rest, foreign });
        this.anywhere = new Set(Object.values(events).flat());
    }

    expand(spl, depth = 0) {
        if (depth > 5) throw new Unreadable('macros without end');
        return spl.replace(/`(\w+)`/g, (_, name) => {
            if (this.foreign.has(name)) return 'foreign=*';
            if (!(name in this.macros)) throw new Unreadable(`there is no macro ${name}`);
            return this.expand(this.macros[name], depth + 1);
        });
    }

    /** The fields a search yields. */
    read(spl, from) {
        let flow = from ? new Flow(from.fields, from.open) : undefined;
        const commands = pipeline(this.expand(spl));
        commands.forEach((text, place) => {
            if (text === '' && place === 0) return;
            const [name] = text.match(/^\w+/) ?? [''];
            const command = place === 0 && !from && !(name in READERS) ? 'search' : name;
            if (!(command in READERS)) throw new Unreadable(`the command ${command} is not known: ${text}`);
            const rest = command === name ? text.slice(name.length).trim() : text;
            flow = READERS[command].call(this, rest, flow, command) ?? flow;
        });
        return flow;
    }

    subsearch(text) {
        const inner = text.match(/\[(.*)\]/s);
        if (!inner) throw new Unreadable(`no subsearch in ${text}`);
        return this.read(inner[1].trim().replace(/^search\b/, ''));
    }
}

/** Commands of a pipeline: parted at bars outside of quotes and brackets. */
function pipeline(spl) {
    const parts = [''];
    let depth = 0;
    let quote = '';
    for (let i = 0; i < spl.length; i += 1) {
        const c = spl[i];
        if (quote) {
            if (c === '\\') {
                parts[parts.length - 1] += c;
                i += 1;
            } else if (c === quote) quote = '';
        } else if (c === '"') quote = c;
        else if (c === '[') depth += 1;
        else if (c === ']') depth -= 1;
        if (!quote && !depth && c === '|') parts.push('');
        else parts[parts.length - 1] += spl[i];
    }
    if (quote || depth) throw new Unreadable(`a quote or bracket stays open: ${spl}`);
    return parts.map((part) => part.trim());
}

/** Names an expression reads. Strings are left out, 'quoted names' kept whole, functions checked. */
function read(expression, functions = FUNCTIONS) {
    const bare = expression.replace(/"(?:[^"\\]|\\.)*"/g, '""');
    const names = [...bare.matchAll(/'([^']+)'/g)].map((found) => found[1]);
    for (const [, name, call] of bare.replace(/'[^']+'/g, '0').matchAll(/(?<![\w.$])([A-Za-z_]\w*)(\s*\()?/g)) {
        if (call) {
            if (!functions.has(name) && !KEYWORDS.has(name.toLowerCase())) throw new Unreadable(`the function ${name} is not known`);
        } else if (!KEYWORDS.has(name.toLowerCase())) names.push(name);
    }
    return names;
}

/** Parts at a sign outside of quotes and parentheses. */
function parted(text, sign) {
    const parts = [''];
    let depth = 0;
    let quote = false;
    for (const c of text) {
        if (c === '"') quote = !quote;
        if (!quote && '(['.includes(c)) depth += 1;
        if (!quote && ')]'.includes(c)) depth -= 1;
        if (!quote && !depth && sign.test(c)) parts.push('');
        else parts[parts.length - 1] += c;
    }
    return parts.map((part) => part.trim()).filter((part) => part !== '');
}

const words = (text) => parted(text.replace(/,/g, ' '), /\s/).map((word) => word.replace(/^"(.*)"$/, '$1'));
const option = (word) => /^\w+=\S+$/.test(word);

function terms(text) {
    const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, '""');
    return [...bare.matchAll(/([\w.{}]+)\s*(?:=|!=|>|<|\bIN\b)/g)].map((found) => found[1]).filter((name) => !['earliest', 'latest'].includes(name));
}

function aggregate(text, flow, command) {
    const [measures, by = ''] = text.split(/\s+BY\s+/i);
    const groups = words(by);
    flow.need(groups, command);
    const fields = [];
    const parts = parted(measures.replace(/,/g, ' '), /\s/).filter((word) => !option(word));
    for (let at = 0; at < parts.length; at += 1) {
        const [, name, argument] = parts[at].match(/^(\w+)(?:\((.*)\))?$/s) ?? [];
        if (!AGGREGATES.has(name)) throw new Unreadable(`${command}: ${parts[at]} is no aggregate`);
        if (argument?.startsWith('eval(')) flow.need(read(argument.slice(5, -1)), command);
        else if (argument) flow.need([argument], command);
        let field = parts[at];
        if (parts[at + 1]?.toUpperCase() === 'AS') {
            field = parts[at + 2].replace(/"/g, '');
            at += 2;
        }
        fields.push(field);
    }
    return { groups, fields };
}

/** Rows or columns of a subsearch beside those that are there. */
function joined(text, flow) {
    for (const name of this.subsearch(text).fields) flow.fields.add(name);
}

const keep = (_, flow) => flow;

const READERS = {
    search(text, flow) {
        const bare = text.replace(/\[.*\]/s, '');
        if (flow) {
            flow.need(terms(bare), 'search');
            return flow;
        }
        if (/foreign=\*/.test(text)) return new Flow(['_time', '_raw', 'source'], true);
        const sourcetypes = [...text.matchAll(/sourcetype="([^"]+)"/g)].map((found) => found[1]);
        const known = sourcetypes.flatMap((name) => {
            if (!(name in this.events)) throw new Unreadable(`no event has the sourcetype ${name}`);
            return this.events[name];
        });
        if (sourcetypes.length === 0) throw new Unreadable(`a search that names no sourcetype: ${text}`);
        const begun = new Flow(['_time', '_raw', 'index', 'source', 'sourcetype', 'host', 'eventtype', 'tag', ...known]);
        begun.need(terms(bare), 'search');
        return begun;
    },
    where(text, flow) {
        flow.need(read(text), 'where');
    },
    eval(text, flow) {
        for (const assignment of parted(text, /,/)) {
            const [, name, expression] = assignment.match(/^("[^"]+"|'[^']+'|[\w.]+)\s*=(.*)$/s) ?? [];
            if (!name) throw new Unreadable(`eval: ${assignment}`);
            // An alternative of coalesce() may be the word of another API, as long as some event has it.
            const alternatives = [...expression.matchAll(/coalesce\(([\w\s,]*)/g)].flatMap((found) => read(found[1]));
            const known = read(expression).filter((field) => !alternatives.includes(field) || !this.anywhere.has(field));
            flow.need(known, `eval ${name}`);
            flow.fields.add(name.replace(/["']/g, ''));
        }
    },
    stats(text, flow) {
        const { groups, fields } = aggregate(text, flow, 'stats');
        return new Flow([...groups, ...fields]);
    },
    timechart(text, flow) {
        flow.need(['_time'], 'timechart');
        const { groups, fields } = aggregate(text, flow, 'timechart');
        return new Flow(['_time', ...fields], groups.length > 0);
    },
    bin(text, flow) {
        flow.need(words(text).filter((word) => !option(word)), 'bin');
    },
    table(text, flow) {
        const names = words(text);
        flow.need(names, 'table');
        return new Flow(names);
    },
    fields(text, flow) {
        if (text.startsWith('-')) {
            for (const name of words(text.slice(1))) flow.fields.delete(name);
            return flow;
        }
        return READERS.table.call(this, text.replace(/^\+/, ''), flow);
    },
    rename(text, flow) {
        for (const [, from, to] of text.matchAll(/("[^"]+"|[\w.]+)\s+AS\s+("[^"]+"|[\w.]+)/gi)) {
            const [old, name] = [from, to].map((word) => word.replace(/"/g, ''));
            flow.need([old], 'rename');
            flow.fields.delete(old);
            flow.fields.add(name);
        }
    },
    dedup(text, flow) {
        flow.need(words(text).filter((word) => !option(word) && !/^\d+$/.test(word)), 'dedup');
    },
    sort(text, flow) {
        flow.need(words(text.replace(/(^|\s)[-+]\s*/g, ' ')).filter((word) => !/^\d+$/.test(word)), 'sort');
    },
    head: keep,
    fillnull(text, flow) {
        const names = words(text).filter((word) => !option(word));
        for (const name of names) flow.fields.add(name);
    },
    mvexpand(text, flow) {
        flow.need(words(text), 'mvexpand');
    },
    addinfo(text, flow) {
        for (const name of ['info_min_time', 'info_max_time', 'info_search_time', 'info_sid']) flow.fields.add(name);
    },
    makeresults: () => new Flow(['_time']),
    rex(text, flow) {
        flow.need([text.match(/field=(\w+)/)?.[1] ?? '_raw'], 'rex');
        for (const [, name] of text.matchAll(/\(\?<(\w+)>/g)) flow.fields.add(name);
    },
    lookup(text, flow) {
        const [, name, inputs, outputs = ''] = text.match(/^(\w+)\s+(.*?)(?:\s+OUTPUT(?:NEW)?\s+(.*))?$/i) ?? [];
        const columns = this.lookups[name];
        if (!columns) throw new Unreadable(`there is no lookup ${name}`);
        for (const [list, reads] of [[inputs, true], [outputs, false]]) {
            for (const [, column, field = column] of list.matchAll(/(\w+)(?:\s+AS\s+(\w+))?/gi)) {
                if (!columns.includes(column)) throw new Unreadable(`lookup ${name} has no column ${column}`);
                if (reads) flow.need([field], `lookup ${name}`);
                else flow.fields.add(field);
            }
        }
    },
    join(text, flow) {
        const names = words(text.replace(/\[.*\]/s, '')).filter((word) => !option(word));
        const other = this.subsearch(text);
        flow.need(names, 'join');
        other.need(names, 'join, subsearch');
        for (const name of other.fields) flow.fields.add(name);
    },
    append: joined,
    appendcols: joined,
    appendpipe(text, flow) {
        const [, inner] = text.match(/^\[(.*)\]$/s) ?? [];
        for (const name of this.read(`| ${inner}`, flow).fields) flow.fields.add(name);
    },
    rest(text) {
        const [, path] = text.match(/^(\S+)/);
        const end = Object.keys(this.rest).find((known) => path.endsWith(known));
        if (!end) throw new Unreadable(`rest ${path} is not known`);
        return new Flow(this.rest[end]);
    },
    tstats(text) {
        const [, as, filter, by = ''] = text.match(/^count(?:\s+AS\s+(\w+))?\s+where\s+(.*?)(?:\s+by\s+(.*))?$/i) ?? [];
        if (filter === undefined) throw new Unreadable(`tstats ${text}`);
        // Only what is indexed can be asked for.
        new Flow(['index', 'source', 'sourcetype', 'host', '_time']).need([...terms(filter), ...words(by)], 'tstats');
        return new Flow([as ?? 'count', ...words(by)]);
    },
    defenderupdate: keep,
    defenderledger(text, flow) {
        flow.need(['_raw'], 'defenderledger');
        flow.fields.add('authentic');
    },
};
