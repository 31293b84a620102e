// splunkd: its REST interface for the app, with its rights, its conf layers, its password store, its inputs and
// its searches. JSON shapes from Splunk's REST reference.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { APP, Confs, access, type Stanza } from './conf';
import { poll, validate, type Event } from './modular_input';
import { Endpoint } from './persistent';
import { Jobs } from './search/jobs';
import { Users, can, type User } from './users';

export interface Request {
    method: string;
    /** Below `/services` or `/servicesNS/<user>/<app>`, decoded part by part. */
    parts: string[];
    query: URLSearchParams;
    form: URLSearchParams;
    body: Buffer;
    user: User;
}

export interface Reply {
    status: number;
    body: unknown;
}

export interface Settings {
    /** `server_roles` of server/info. */
    roles?: string[];
    cloud?: boolean;
    /** Seconds since 1970; the clock's, where it is not given. */
    now?: () => number;
}

const said = (status: number, text: string, type = 'ERROR'): Reply => ({ status, body: { messages: [{ type, text }] } });
const entries = (list: { name: string; content: unknown; acl?: unknown }[], status = 200): Reply => ({
    status,
    body: { links: {}, origin: '', entry: list, paging: { total: list.length, perPage: 30, offset: 0 }, messages: [] },
});
const missing = (name: string) => said(404, `Could not find object id=${name}`);

export class Splunkd {
    readonly users = new Users();
    readonly confs = new Confs();
    readonly events: Event[] = [];
    readonly home = mkdtempSync(join(tmpdir(), 'splunk-'));
    readonly passwords = new Map<string, string>();
    readonly jobs: Jobs;
    configured = false;
    /** Answers with this instead, for requests whose method and path it is asked about. */
    fault?: (method: string, path: string) => Reply | undefined;
    private readonly endpoint = new Endpoint(this.home);
    private server?: Server;

    constructor(private readonly settings: Settings = {}) {
        for (const part of [`etc/apps/${APP}/local`, 'var/log/splunk', 'var/spool/splunk', 'var/run/splunk/dispatch', `var/lib/splunk/modinputs/${APP}`]) {
            mkdirSync(join(this.home, part), { recursive: true });
        }
        this.jobs = new Jobs({ home: this.home, events: this.events, uri: () => this.uri, now: () => this.now(), conf: (name) => this.layered(name) });
    }

    now(): number {
        return this.settings.now?.() ?? Date.now() / 1000;
    }

    get uri(): string {
        return `https://127.0.0.1:${(this.server?.address() as AddressInfo).port}`;
    }

    /** Its management port, which the executable calls back. */
    async listen(): Promise<void> {
        const pair = await generate([{ name: 'commonName', value: 'SplunkServerDefaultCert' }], { keySize: 2048 });
        this.server = createServer({ key: pair.private, cert: pair.cert }, (request, response) => {
            const chunks: Buffer[] = [];
            request.on('data', (chunk: Buffer) => chunks.push(chunk));
            request.on('end', () => {
                const user = this.users.of(request.headers.authorization?.replace(/^Splunk /, ''));
                void this.answer(request.method ?? 'GET', request.url ?? '/', Buffer.concat(chunks), user).then((reply) => {
                    response.writeHead(reply.status, { 'Content-Type': 'application/json' });
                    response.end(JSON.stringify(reply.body));
                });
            });
        });
        await new Promise<void>((resolve) => this.server!.listen(0, '127.0.0.1', resolve));
    }

    async close(): Promise<void> {
        for (const job of this.jobs.all.values()) job.stop.abort();
        await Promise.all([...this.jobs.all.values()].map((job) => job.ended));
        await this.endpoint.close();
        this.server?.closeAllConnections();
        await new Promise((resolve) => (this.server === undefined ? resolve(undefined) : this.server.close(resolve)));
        rmSync(this.home, { recursive: true, force: true });
    }

    private layered(name: string): Map<string, Stanza> {
        return new Map(this.confs.names(name).map((stanza) => [stanza, new Map(Object.entries(this.confs.stanza(name, stanza)!))]));
    }

    /** What splunkd says to anybody who may speak to it at all. */
    async answer(method: string, url: string, body: Buffer, user: User | undefined): Promise<Reply> {
        const { pathname, searchParams } = new URL(url, 'http://splunkd');
        if (user === undefined) return said(401, 'call not properly authenticated');
        const path = pathname.replace(/^\/services\//, '').replace(/^\/servicesNS\/[^/]+\/[^/]+\//, '');
        const fault = this.fault?.(method, decodeURIComponent(path));
        if (fault !== undefined) return fault;
        const parts = path.split('/').filter((part) => part !== '').map(decodeURIComponent);
        try {
            return await this.route({ method, parts, query: searchParams, form: new URLSearchParams(body.toString('utf8')), body, user });
        } catch (error) {
            return said(500, String(error));
        }
    }

    private async route(request: Request): Promise<Reply> {
        const [first, second = '', ...rest] = request.parts;
        const name = `${first}/${second}`;
        if (first === 'configs' && second.startsWith('conf-')) return this.conf(request, second.slice(5), rest[0]);
        if (name === 'storage/passwords') return this.password(request, rest[0]);
        if (name === 'data/inputs' && rest[0] === APP) return this.input(request, rest[1], rest[2]);
        if (name === 'data/indexes') return entries(['defender', 'main', 'security'].map((index) => ({ name: index, content: { isInternal: false, datatype: 'event' } })));
        if (name === 'search/jobs') return this.job(request, rest[0], rest[1]);
        if (name === 'authentication/current-context') {
            const { name: username, roles, capabilities } = request.user;
            const all = capabilities.includes('*') ? this.users.named('admin').capabilities : capabilities;
            return entries([{ name: 'context', content: { username, roles, capabilities: all } }]);
        }
        if (name === 'server/info') {
            const { roles = ['indexer', 'license_master', 'kv_store'], cloud = false } = this.settings;
            return entries([
                {
                    name: 'server-info',
                    content: { version: '10.6.0.5', serverName: 'sh1', guid: 'C7E0A1F2-0000-4000-8000-0123456789AB', server_roles: roles, isFree: false, ...(cloud ? { instance_type: 'cloud' } : {}) },
                },
            ]);
        }
        if (name === 'apps/local' && rest[0] === APP) {
            if (request.method === 'POST') {
                if (!can(request.user, 'edit_local_apps')) return said(403, 'insufficient permission to access this resource');
                this.configured = request.form.get('configured') === 'true' || this.configured;
            }
            return entries([{ name: APP, content: { configured: this.configured, label: 'Defender Bridge', version: '0.1.0' } }]);
        }
        if (name === 'receivers/simple' && request.method === 'POST') return this.receive(request);
        if (name === 'admin/alert_actions' && rest[0] !== undefined) {
            const action = this.confs.stanza('alert_actions', rest[0]);
            return action === undefined ? missing(rest[0]) : entries([{ name: rest[0], acl: { app: APP }, content: action }]);
        }
        if (name === 'data/modular-inputs' && rest[0] === APP) return entries([{ name: APP, content: { streaming_mode: 'xml' } }]);
        if (name === 'shcluster/config') return entries([{ name: 'config', content: { disabled: true } }]);
        if (name === 'messages/' || first === 'messages') return entries([], 201);
        if (first === APP) return this.rest(request, request.parts.slice(1).join('/'));
        return said(404, 'Not Found');
    }

    private conf(request: Request, conf: string, stanza: string | undefined): Reply {
        const { read, write } = access(conf);
        const may = (roles: string[]) => roles.includes('*') || request.user.roles.some((role) => roles.includes(role));
        const forbidden = () => said(403, 'You do not have permission to perform this operation.');
        const entry = (name: string) => ({
            name,
            acl: { app: APP, owner: 'nobody', can_write: may(write) },
            content: { disabled: false, 'eai:acl': null, 'eai:appName': APP, 'eai:userName': 'nobody', ...this.confs.stanza(conf, name) },
        });
        if (request.method === 'GET') {
            const readable = may(read) ? this.confs.names(conf) : [];
            if (stanza === undefined) return entries(readable.map(entry));
            return readable.includes(stanza) ? entries([entry(stanza)]) : missing(stanza);
        }
        if (!may(write)) return forbidden();
        const values = Object.fromEntries([...request.form].filter(([key]) => key !== 'name' && key !== 'output_mode'));
        if (stanza === undefined) {
            const name = request.form.get('name') ?? '';
            if (name === '') return said(400, 'The following required arguments are missing: name.');
            if (this.confs.stanza(conf, name) !== undefined) return said(409, `An object with name=${name} already exists`);
            this.confs.set(conf, name, values);
            return entries([entry(name)], 201);
        }
        if (this.confs.stanza(conf, stanza) === undefined) return missing(stanza);
        if (request.method === 'DELETE') return this.confs.remove(conf, stanza) ? entries([]) : said(403, `Cannot delete ${stanza}: it is shipped by the app.`);
        this.confs.set(conf, stanza, values);
        return entries([entry(stanza)]);
    }

    private password(request: Request, id: string | undefined): Reply {
        const needs = request.method === 'GET' ? 'list_storage_passwords' : 'edit_storage_passwords';
        if (!can(request.user, needs)) return said(403, `You (user=${request.user.name}) do not have permission to perform this operation (requires capability: ${needs}).`);
        const entry = (name: string) => {
            const [realm, username] = (name.match(/(?:\\.|[^\\:])+/g) ?? []).map((part) => part.replace(/\\(.)/g, '$1'));
            return { name, acl: { app: APP, owner: 'nobody' }, content: { realm, username, password: '********', clear_password: this.passwords.get(name), encr_password: '$8$…' } };
        };
        if (id === undefined) {
            if (request.method === 'GET') return entries([...this.passwords.keys()].map(entry));
            const [realm, name, password] = ['realm', 'name', 'password'].map((key) => request.form.get(key) ?? '');
            if (name === '' || password === '') return said(400, 'Username and password are required.');
            const key = [realm, name, ''].map((part) => part!.replace(/[\\:]/g, '\\$&')).join(':');
            if (this.passwords.has(key)) return said(409, `An object with name=${key} already exists`);
            this.passwords.set(key, password!);
            return entries([entry(key)], 201);
        }
        const key = id.endsWith(':') ? id : `${id}:`;
        if (!this.passwords.has(key)) return missing(id);
        if (request.method === 'POST') this.passwords.set(key, request.form.get('password') ?? '');
        const told = entries([entry(key)]);
        if (request.method === 'DELETE') this.passwords.delete(key);
        return told;
    }

    private async input(request: Request, name: string | undefined, verb: string | undefined): Promise<Reply> {
        const stanza = (one: string) => `${APP}://${one}`;
        const all = this.confs.names('inputs').filter((one) => one.startsWith(`${APP}://`)).map((one) => one.slice(APP.length + 3));
        const entry = (one: string) => ({ name: one, acl: { app: APP, owner: 'nobody', can_write: can(request.user, `edit_modinput_${APP}`) }, content: { ...this.whole(one), disabled: this.whole(one).disabled === '1' } });
        if (request.method === 'GET') {
            if (name === undefined) return entries(all.map(entry));
            return all.includes(name) ? entries([entry(name)]) : missing(name);
        }
        // The scheme's own capability, as authorize.conf declares it.
        if (!can(request.user, `edit_modinput_${APP}`)) {
            return said(403, `You (user=${request.user.name}) do not have permission to perform this operation (requires capability: edit_modinput_${APP}).`);
        }
        const values = Object.fromEntries([...request.form].filter(([key]) => key !== 'name' && key !== 'output_mode'));
        const refuse = async (one: string): Promise<Reply | undefined> => {
            const caller = { home: this.home, uri: this.uri, key: this.users.named('splunk-system-user').key };
            const against = await validate(caller, one, values);
            return against === undefined ? undefined : said(400, `In handler '${APP}': ${against}`);
        };
        if (name === undefined) {
            const wanted = request.form.get('name') ?? '';
            if (!/^[^\s:/][^:/]*$/.test(wanted)) return said(400, `Invalid name "${wanted}".`);
            if (all.includes(wanted)) return said(409, `An object with name=${wanted} already exists`);
            const refused = await refuse(wanted);
            if (refused !== undefined) return refused;
            this.confs.set('inputs', stanza(wanted), { disabled: '0', ...values });
            return entries([entry(wanted)], 201);
        }
        if (!all.includes(name)) return missing(name);
        if (request.method === 'DELETE') {
            this.confs.remove('inputs', stanza(name));
            return entries([]);
        }
        if (verb === 'enable' || verb === 'disable') values.disabled = verb === 'enable' ? '0' : '1';
        else {
            const refused = await refuse(name);
            if (refused !== undefined) return refused;
        }
        this.confs.set('inputs', stanza(name), values);
        return entries([entry(name)]);
    }

    /** An input's settings, with the defaults of its scheme. */
    private whole(name: string): Record<string, string> {
        return { host: '$decideOnStartup', index: 'default', ...this.confs.stanza('inputs', APP), ...this.confs.stanza('inputs', `${APP}://${name}`) };
    }

    /** Runs every enabled input once, as its interval would. */
    async runInputs(): Promise<void> {
        const caller = { home: this.home, uri: this.uri, key: this.users.named('splunk-system-user').key };
        for (const stanza of this.confs.names('inputs').filter((one) => one.startsWith(`${APP}://`))) {
            const name = stanza.slice(APP.length + 3);
            const values = this.whole(name);
            if (values.disabled === '1') continue;
            if (values.index === 'default') values.index = 'main';
            const { events, ended } = await poll(caller, name, values);
            this.events.push(...events);
            for (const line of ended.stderr.split('\n').filter((one) => one !== '')) {
                this.events.push({ time: this.now(), index: '_internal', sourcetype: 'splunkd', source: 'splunkd.log', host: 'sh1', raw: line });
            }
        }
    }

    private async job(request: Request, sid: string | undefined, part: string | undefined): Promise<Reply> {
        if (sid === undefined) {
            if (request.method !== 'POST') return entries([]);
            const search = request.form.get('search') ?? '';
            if (!/^\s*(\||search\b)/.test(search)) return said(400, "Unable to parse the search: it must begin with 'search' or '|'.", 'FATAL');
            const mode = request.form.get('exec_mode') ?? 'normal';
            if (mode !== 'normal' && mode !== 'oneshot') return said(400, `The stand-in runs no ${mode} searches.`);
            const job = this.jobs.begin(request.user, search, request.form.get('earliest_time') ?? '', request.form.get('latest_time') ?? 'now');
            if (mode === 'oneshot') {
                await job.ended;
                this.jobs.all.delete(job.sid);
                return { status: 200, body: { preview: false, messages: job.messages, fields: job.fields.map((name) => ({ name })), results: job.rows } };
            }
            return { status: 201, body: { sid: job.sid } };
        }
        const job = this.jobs.all.get(sid);
        if (job === undefined || job.owner !== request.user.name) return said(404, 'Unknown sid.', 'FATAL');
        if (part === 'control') {
            job.stop.abort();
            this.jobs.all.delete(sid);
            return said(200, 'Search job cancelled.', 'INFO');
        }
        const done = job.state === 'DONE' || job.state === 'FAILED';
        if (part === 'results') {
            if (!done) return { status: 204, body: {} };
            const count = Number(request.query.get('count') ?? 100);
            const offset = Number(request.query.get('offset') ?? 0);
            const results = job.rows.slice(offset, count === 0 ? undefined : offset + count);
            return { status: 200, body: { preview: false, init_offset: offset, messages: [], fields: job.fields.map((name) => ({ name })), results } };
        }
        return entries([
            {
                name: job.search,
                content: { sid, dispatchState: job.state, isDone: done, isFailed: job.state === 'FAILED', doneProgress: done ? 1 : 0, resultCount: job.rows.length, messages: job.messages },
            },
        ]);
    }

    private receive(request: Request): Reply {
        if (!can(request.user, 'edit_tcp') && !can(request.user, 'edit_log_alert_event')) return said(403, 'insufficient permission to access this resource');
        this.events.push({
            time: this.now(),
            index: request.query.get('index') ?? 'main',
            sourcetype: request.query.get('sourcetype') ?? '',
            source: request.query.get('source') ?? '',
            host: request.query.get('host') ?? 'sh1',
            raw: request.body.toString('utf8'),
        });
        const [index, source, sourcetype] = ['index', 'source', 'sourcetype'].map((key) => request.query.get(key) ?? 'default');
        return { status: 200, body: { index, bytes: String(request.body.length), host: '127.0.0.1', source, sourcetype } };
    }

    private async rest(request: Request, path: string): Promise<Reply> {
        // restmap.conf: capability.post
        const rule = this.confs.stanza('restmap', `script:${APP}`)?.[`capability.${request.method.toLowerCase()}`];
        if (rule !== undefined && !rule.split(/\s+or\s+/).some((capability) => can(request.user, capability))) {
            return said(403, `You (user=${request.user.name}) do not have permission to perform this operation (requires capability: ${rule}).`);
        }
        const answer = await this.endpoint.ask({
            method: request.method,
            path,
            body: request.body,
            user: request.user.name,
            key: request.user.key,
            systemKey: this.users.named('splunk-system-user').key,
            uri: this.uri,
        });
        return { status: answer.status, body: answer.payload };
    }
}
