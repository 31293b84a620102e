// The Defender tenant behind it: the executable's own sandbox.

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { Bytes, start } from './process';

export interface Reachable {
    url: string;
    ca_file: string;
    tenant_id: string;
    client_id: string;
    client_secret: string;
    /** An app that may read and not write. */
    reader_id: string;
    reader_secret: string;
}

export class Tenant {
    private constructor(
        private readonly child: ChildProcessWithoutNullStreams,
        readonly at: Reachable,
    ) {}

    static async start(home: string, words: string[] = []): Promise<Tenant> {
        const child = start(home, ['sandbox', '--json', '--listen', '127.0.0.1:0', '--ca-file', `${home}/sandbox.pem`, ...words]);
        child.stderr.resume();
        const at = JSON.parse(await new Bytes(child.stdout).line()) as Reachable;
        return new Tenant(child, at);
    }

    /** The settings of an account of this tenant. */
    account(): Record<string, string> {
        const { url, ca_file, tenant_id, client_id } = this.at;
        return { tenant_id, client_id, auth: 'secret', cloud: 'custom', login_url: url, graph_url: url, mde_url: url, xdr_url: url, ca_file };
    }

    async stop(): Promise<void> {
        if (this.child.exitCode !== null) return;
        const ended = new Promise((resolve) => this.child.on('close', resolve));
        this.child.kill('SIGTERM');
        await ended;
    }
}
