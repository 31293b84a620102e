// Where this page stands in Splunk Web: what Splunk Web says of itself in `window.$C`, and the token that
// shows a request comes from its own pages.

export const APP = 'defender_bridge';

interface Config {
    SPLUNKD_PATH?: string;
    MRSPARKLE_ROOT_PATH?: string;
    LOCALE?: string;
    MRSPARKLE_PORT_NUMBER?: string | number;
    BUILD_NUMBER?: string;
    BUILD_PUSH_NUMBER?: string | number;
    USERNAME?: string;
    SPLUNK_UI_THEME?: string;
}

declare global {
    interface Window {
        $C?: Config;
    }
}

export function config(): Config {
    return window.$C ?? {};
}

/** `/en-US` or `/root/de-DE`: what every page's path begins with. */
export function root(): string {
    const { MRSPARKLE_ROOT_PATH: path = '', LOCALE: locale } = config();
    const first = window.location.pathname.split('/').find((part) => /^[a-z]{2}-[A-Z]{2}$/.test(part));
    return `${path.replace(/\/+$/, '')}/${locale ?? first ?? 'en-US'}`;
}

/** splunkd, as Splunk Web hands it on. */
export function splunkd(): string {
    return (config().SPLUNKD_PATH ?? `${root()}/splunkd/__raw`).replace(/\/+$/, '');
}

/** A page of this app, with what its URL says beside. */
export function page(view: string, query: Record<string, string> = {}, app = APP): string {
    const search = new URLSearchParams(query).toString();
    return `${root()}/app/${encodeURIComponent(app)}/${encodeURIComponent(view)}${search ? `?${search}` : ''}`;
}

/** Splunk's search page with a search in it. */
export function searchPage(search: string, earliest = '-24h@h', latest = 'now'): string {
    return page('search', { q: search, earliest, latest });
}

/** Splunk Web refuses what changes something without this: other sites cannot read its cookie. */
export function formKey(cookies: string = document.cookie): string | undefined {
    const port = config().MRSPARKLE_PORT_NUMBER ?? window.location.port;
    const wanted = `splunkweb_csrf_token_${port}=`;
    const found = cookies.split(/;\s*/).find((cookie) => cookie.startsWith(wanted));
    return found === undefined ? undefined : decodeURIComponent(found.slice(wanted.length));
}
