// Why splunkd did not carry out a request, told so that a person knows what to do next.

import { strings } from '../strings';

type Kind =
    /** Nobody answered. */
    | 'network'
    /** The session is over. */
    | 'session'
    /** The page is of another session than the one that runs now. */
    | 'stale'
    /** This user may not. */
    | 'forbidden'
    /** There is no such object. */
    | 'missing'
    /** An object of this name exists already. */
    | 'exists'
    /** splunkd says what is wrong with the request. */
    | 'refused'
    /** splunkd has a fault of its own. */
    | 'broken';

export interface Said {
    type: string;
    text: string;
}

export class SplunkFailure extends Error {
    override readonly name = 'SplunkFailure';

    constructor(
        readonly kind: Kind,
        /** What splunkd said itself, without its prefixes; may be empty. */
        readonly said: string,
        readonly status: number,
    ) {
        super(sentence(kind, said, status));
    }
}

function sentence(kind: Kind, said: string, status: number): string {
    const told = strings.failure[kind];
    if (kind === 'refused') {
        return said || `${told} (HTTP ${status})`;
    }
    // What Splunk says then is its own redirect or its own name for it.
    if (kind === 'session' || kind === 'stale') return told;
    return said ? `${told} ${strings.failure.splunkSays(said)}` : told;
}

export function kindOf(status: number, said = ''): Kind {
    if (status < 500 && /\bCSRF\b/.test(said)) return 'stale';
    switch (status) {
        case 401:
            return 'session';
        case 403:
            return 'forbidden';
        case 404:
            return 'missing';
        case 409:
            return 'exists';
        default:
            return status >= 500 ? 'broken' : 'refused';
    }
}

/** The words of `{"messages":[{"type":"ERROR","text":"…"}]}`, also where splunkd wraps them once more. */
export function said(body: string): string {
    let messages: Said[] = [];
    try {
        const parsed: unknown = JSON.parse(body);
        if (typeof parsed === 'object' && parsed !== null && 'messages' in parsed && Array.isArray(parsed.messages)) {
            messages = parsed.messages.filter((message): message is Said => typeof message?.text === 'string');
        }
    } catch {
        // An HTML page of a proxy in between: nothing to quote.
    }
    const texts = messages.map((message) => plain(message.text)).filter((text) => text !== '');
    return [...new Set(texts)].join(' ');
}

/** Without the parts splunkd puts in front of an executable's own words. */
function plain(text: string): string {
    return text
        .trim()
        .replace(/^(In handler '[^']*':\s*)+/, '')
        .replace(/^The following error[^:]*:\s*/, '')
        .replace(/^Argument validation for scheme=\S+:\s*/, '')
        .trim();
}

/** Anything that was thrown, as a sentence. */
export function errorMessage(error: unknown): string {
    return error instanceof Error ? error.message : String(error);
}
