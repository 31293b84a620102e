// Splunk Web: the page around a view, static files, and the proxy to splunkd with what it demands.

import { createServer, type Server } from 'node:http';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { shipped } from './conf';
import { APP, REPOSITORY, bundle } from './place';
import type { Splunkd } from './splunkd';
import type { User } from './users';

/** Of Splunk's own web.conf, what the app's pages may come near: pattern and methods. */
const EXPOSED: [string, string][] = [
    ['configs/conf-*', 'GET,POST'],
    ['configs/conf-*/*', 'GET,POST,DELETE'],
    ['storage/passwords', 'GET,POST'],
    ['storage/passwords/*', 'GET,POST,DELETE'],
    ['search/jobs', 'GET,POST'],
    ['search/jobs/*', 'GET,POST,DELETE'],
    ['search/jobs/*/results', 'GET,POST'],
    ['search/jobs/*/control', 'POST'],
    ['apps/local', 'GET'],
    ['apps/local/*', 'GET,POST,DELETE'],
    ['data/indexes', 'GET'],
    ['data/inputs', 'GET'],
    ['data/modular-inputs', 'GET'],
    ['data/user-prefs/*', 'GET,POST'],
    ['authentication/current-context', 'GET'],
    ['server/info', 'GET'],
    ['messages', 'GET,POST'],
    ['messages/*', 'GET,POST,DELETE'],
    ['saved/searches', 'GET,POST'],
    ['saved/searches/**', 'GET,POST,DELETE'],
    ['alerts/alert_actions', 'GET'],
];

const BUILD = '6a6e1f1d6c1b';

/** One request the browser made of splunkd. */
export interface Traced {
    method: string;
    path: string;
    url: string;
    body: string;
    status: number;
}

export class Web {
    readonly trace: Traced[] = [];
    private readonly server: Server;
    private readonly session = randomUUID();
    private readonly formKey = randomUUID();
    private readonly exposed = [
        ...EXPOSED,
        ...[...(shipped().get('web') ?? [])].map(([, stanza]): [string, string] => [stanza.get('pattern') ?? '', stanza.get('methods') ?? 'GET']),
    ];

    constructor(
        private readonly splunkd: Splunkd,
        private readonly user: User,
        private readonly theme: 'light' | 'dark',
    ) {
        this.server = createServer((request, response) => {
            const chunks: Buffer[] = [];
            request.on('data', (chunk: Buffer) => chunks.push(chunk));
            request.on('end', () => {
                const url = new URL(request.url ?? '/', 'http://web');
                const body = Buffer.concat(chunks);
                const proxied = /^\/en-US\/splunkd\/__raw(\/.*)$/.exec(url.pathname);
                if (proxied !== null) {
                    void this.proxy(request.method ?? 'GET', proxied[1]!, url, body, request.headers).then(({ status, text }) => {
                        this.trace.push({ method: request.method ?? 'GET', path: decodeURIComponent(proxied[1]!), url: request.url ?? '', body: body.toString('utf8'), status });
                        response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
                        response.end(text);
                    });
                    return;
                }
                const { status, type, text, cookies } = this.file(url);
                response.writeHead(status, { 'Content-Type': type, ...(cookies === undefined ? {} : { 'Set-Cookie': cookies }) });
                response.end(text);
            });
        });
    }

    async listen(port = 0): Promise<void> {
        await new Promise<void>((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    }

    get port(): number {
        return (this.server.address() as AddressInfo).port;
    }

    page(view: string, query = ''): string {
        return `http://127.0.0.1:${this.port}/en-US/app/${APP}/${view}${query}`;
    }

    async close(): Promise<void> {
        this.server.closeAllConnections();
        await new Promise((resolve) => this.server.close(resolve));
    }

    private async proxy(method: string, path: string, url: URL, body: Buffer, headers: NodeJS.Dict<string | string[]>): Promise<{ status: number; text: string }> {
        const refuse = (status: number, text: string) => ({ status, text: JSON.stringify({ messages: [{ type: 'ERROR', text }] }) });
        if (!String(headers.cookie ?? '').includes(`splunkd_${this.port}=${this.session}`)) return refuse(401, 'See Other');
        if (method !== 'GET') {
            if (headers['x-splunk-form-key'] !== this.formKey || headers['x-requested-with'] !== 'XMLHttpRequest') return refuse(403, 'CSRF validation failed');
        }
        const below = path.replace(/^\/services\//, '').replace(/^\/servicesNS\/[^/]+\/[^/]+\//, '');
        const allowed = this.exposed.some(([pattern, methods]) => matches(pattern, below) && methods.split(/\s*,\s*/).includes(method));
        if (!allowed) return refuse(404, 'Splunk Web does not hand this on: no [expose:] stanza names it');
        const reply = await this.splunkd.answer(method, `${path}${url.search}`, body, this.user);
        return { status: reply.status, text: reply.status === 204 ? '' : JSON.stringify(reply.body) };
    }

    private file(url: URL): { status: number; type: string; text: string; cookies?: string[] } {
        const view = new RegExp(`^/en-US/app/${APP}/(\\w+)$`).exec(url.pathname)?.[1];
        if (view !== undefined) {
            const text = this.around(view);
            const cookies = [`splunkd_${this.port}=${this.session}; Path=/; HttpOnly`, `splunkweb_csrf_token_${this.port}=${this.formKey}; Path=/`];
            return { status: 200, type: 'text/html; charset=utf-8', text, cookies };
        }
        if (new RegExp(`^/en-US/static/@${BUILD}\\.\\d+/app/${APP}/dashboard\\.js$`).test(url.pathname)) {
            return { status: 200, type: 'application/javascript', text: readFileSync(join(REPOSITORY, 'splunk_app/appserver/static/dashboard.js'), 'utf8') };
        }
        if (new RegExp(`^/en-US/static/(@${BUILD}\\.\\d+/)?app/${APP}/defender_bridge\\.js$`).test(url.pathname)) {
            return { status: 200, type: 'application/javascript', text: readFileSync(bundle(), 'utf8') };
        }
        if (url.pathname === `/en-US/static/@${BUILD}.1/build/api/get_theme.js`) {
            return { status: 200, type: 'application/javascript', text: `window.__get_theme__={getTheme:function(){return Promise.resolve(${JSON.stringify(this.theme)})}};` };
        }
        return { status: 404, type: 'text/plain', text: 'Not Found' };
    }

    /** A classic dashboard's page: its HTML panels, RequireJS, and its scripts (the view's, the app's) fetched as text and evaluated. */
    private around(view: string): string {
        const file = join(REPOSITORY, 'default/data/ui/views', `${view}.xml`);
        if (!existsSync(file)) return `<!doctype html><title>${view}</title><h1>${view}</h1><p>Splunk's own page.</p>`;
        const xml = readFileSync(file, 'utf8');
        const inside = /<html>(.*?)<\/html>/s.exec(xml)?.[1] ?? '';
        const script = /script="([^"]+)"/.exec(xml)?.[1] ?? '';
        const label = /<label>(.*?)<\/label>/.exec(xml)?.[1] ?? view;
        const $C = {
            SPLUNKD_PATH: '/en-US/splunkd/__raw',
            MRSPARKLE_ROOT_PATH: '',
            MRSPARKLE_PORT_NUMBER: this.port,
            LOCALE: 'en-US',
            BUILD_NUMBER: BUILD,
            BUILD_PUSH_NUMBER: 1,
            USERNAME: this.user.name,
            SERVER_ZONEINFO: 'UTC',
        };
        const dark = this.theme === 'dark';
        return `<!doctype html>
<html lang="en-US"><head><meta charset="utf-8"><title>${label} | Splunk</title>
<style>
  body { margin: 0; font: 14px/20px "Splunk Platform Sans", "DejaVu Sans", sans-serif; background: ${dark ? '#171d21' : '#f2f4f5'}; }
  .bar { height: 46px; background: #000; } .nav { height: 40px; background: #1e4e79; }
  .dashboard-body { padding: 20px; } .dashboard-panel { background: ${dark ? '#212527' : '#fff'}; border: 1px solid #c3cbd4; } .panel-body.html { padding: 12px; }
  label { display: block; margin-bottom: 5px; } table { max-width: 100%; border-collapse: collapse; } input, textarea { width: 206px; margin-bottom: 10px; box-shadow: inset 0 1px 1px #ccc; }
</style></head>
<body class="${dark ? 'dark' : ''}"><header class="bar" role="banner"></header><nav class="nav" aria-label="App"></nav>
<div class="dashboard-body"><div class="dashboard-row"><div class="dashboard-cell"><div class="dashboard-panel"><div class="panel-body html"></div></div></div></div></div>
<script>
  window.$C = ${JSON.stringify($C)};
  (function () {
    var defined = 0;
    window.define = function () { defined += 1; window.__defined__ = defined; };
    window.define.amd = {};
    window.require = window.requirejs = function () { throw new Error('the page asks Splunk Web for a module'); };
    var html = ${JSON.stringify(inside).replace(/</g, '\\u003c')};
    function panel() { document.querySelector('.panel-body').innerHTML = html; }
    fetch('/en-US/static/@${BUILD}.1/app/${APP}/${script}').then(function (r) { return r.text(); }).then(function (text) {
      (0, eval)(text);
      setTimeout(panel, 10);
      setTimeout(function () { (0, eval)(text); }, 20);
    }).catch(panel);
    fetch('/en-US/static/@${BUILD}.1/app/${APP}/dashboard.js').then(function (r) { return r.text(); }).then(eval);
  })();
</script></body></html>`;
    }
}

/** web.conf's patterns: `*` is one part or the end of one, `**` any number of parts. */
export function matches(pattern: string, path: string): boolean {
    const wanted = pattern.split('/');
    const parts = path.split('/');
    for (const [at, one] of wanted.entries()) {
        if (one === '**') return true;
        const part = parts[at];
        if (part === undefined) return false;
        if (one.endsWith('*') ? !part.startsWith(one.slice(0, -1)) || part === '' : part !== one) return false;
    }
    return parts.length === wanted.length;
}
