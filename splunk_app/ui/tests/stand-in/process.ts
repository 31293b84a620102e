// Starts the product's executable as splunkd does: its environment, a document on stdin, everything it says.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { executable } from './place';

export interface Ended {
    code: number | null;
    stdout: string;
    stderr: string;
}

export function start(home: string, words: string[], environment: Record<string, string> = {}): ChildProcessWithoutNullStreams {
    const { PATH = '' } = process.env;
    return spawn(executable(), words, { env: { PATH, SPLUNK_HOME: home, ...environment }, cwd: home });
}

/** To its end. splunkd keeps stdin open; a document is complete in itself. */
export async function run(home: string, words: string[], document: string): Promise<Ended> {
    const child = start(home, words);
    child.stdin.on('error', () => {});
    child.stdin.write(document);
    const [stdout, stderr, code] = await Promise.all([
        all(child.stdout),
        all(child.stderr),
        new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject)),
    ]);
    child.stdin.destroy();
    return { code, stdout, stderr };
}

async function all(stream: NodeJS.ReadableStream): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(Buffer.from(chunk as Buffer));
    return Buffer.concat(chunks).toString('utf8');
}

/** Exact numbers of bytes, and lines, off a stream: what framed protocols need. */
export class Bytes {
    private held = Buffer.alloc(0);
    private ended = false;
    private wake: () => void = () => {};

    constructor(stream: NodeJS.ReadableStream) {
        stream.on('data', (chunk: Buffer) => {
            this.held = Buffer.concat([this.held, chunk]);
            this.wake();
        });
        stream.on('close', () => {
            this.ended = true;
            this.wake();
        });
    }

    async take(count: number): Promise<Buffer> {
        while (this.held.length < count) await this.more();
        const taken = this.held.subarray(0, count);
        this.held = this.held.subarray(count);
        return taken;
    }

    async line(): Promise<string> {
        let at: number;
        while ((at = this.held.indexOf(10)) < 0) await this.more();
        const line = await this.take(at + 1);
        return line.toString('utf8', 0, at);
    }

    private async more(): Promise<void> {
        if (this.ended) throw new Error('the executable ended in the middle of an answer');
        await new Promise<void>((resolve) => {
            this.wake = resolve;
        });
    }
}
