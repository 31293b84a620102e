// The app's REST endpoint: its process is started once and asked again and again, one request after the other.

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { Bytes, start } from './process';

export interface Asked {
    method: string;
    path: string;
    body: Buffer;
    user: string;
    key: string;
    systemKey: string;
    uri: string;
}

export class Endpoint {
    private child?: ChildProcessWithoutNullStreams;
    private bytes?: Bytes;
    private last: Promise<unknown> = Promise.resolve();

    constructor(private readonly home: string) {}

    ask(asked: Asked): Promise<{ status: number; payload: unknown }> {
        const answer = this.last.then(() => this.askNow(asked));
        this.last = answer.catch(() => undefined);
        return answer;
    }

    private async askNow(asked: Asked): Promise<{ status: number; payload: unknown }> {
        if (this.child === undefined || this.child.exitCode !== null) {
            this.child = start(this.home, ['rest'], { DEFENDER_BRIDGE_ROLE: 'rest' });
            this.child.stdin.on('error', () => {});
            this.child.stderr.resume();
            this.bytes = new Bytes(this.child.stdout);
        }
        const request = JSON.stringify({
            method: asked.method,
            rest_path: `/defender_bridge/${asked.path}`,
            path_info: asked.path,
            output_mode: 'json',
            query: [],
            ns: { app: 'defender_bridge', user: 'nobody' },
            session: { user: asked.user, authtoken: asked.key },
            system_authtoken: asked.systemKey,
            server: { rest_uri: asked.uri, hostname: 'sh1', servername: 'sh1' },
            connection: { src_ip: '127.0.0.1', ssl: true },
            payload_base64: asked.body.toString('base64'),
        });
        const string = (text: string) => `${Buffer.byteLength(text)}\n${text}`;
        this.child.stdin.write(`\x071\n${string('defender_bridge')}0\n${string(request)}`);
        const begun = await this.bytes!.line();
        if (begun !== '0') throw new Error(`the endpoint does not begin: ${begun}`);
        const length = Number(await this.bytes!.line());
        const answer = JSON.parse((await this.bytes!.take(length)).toString('utf8'));
        // One that was asked to end does so behind its answer.
        const { child } = this;
        if (answer.payload?.ends === true && child.exitCode === null) await new Promise((resolve) => child.once('close', resolve));
        return answer;
    }

    async close(): Promise<void> {
        const child = this.child;
        if (child === undefined || child.exitCode !== null) return;
        const ended = new Promise((resolve) => child.on('close', resolve));
        child.stdin.end();
        await ended;
    }
}
