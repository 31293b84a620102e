// Ways out of the page. An event is written by others, so a link in it is only
// followed to a Microsoft security portal, over https; else it is built from the id.
import type { Subject } from './vocabulary';

/** The portals by cloud; https://learn.microsoft.com lists them per government cloud. */
const PORTALS: Record<string, string> = {
    commercial: 'security.microsoft.com',
    gcc: 'security.microsoft.com',
    gcc_high: 'security.microsoft.us',
    dod: 'security.apps.mil',
};
const TRUSTED = new Set([...Object.values(PORTALS), 'securitycenter.windows.com']);

export function portalLink(
    said: string | null,
    subject: Subject,
    id: string,
    tenant: string | null,
    cloud = 'commercial',
): string {
    const trusted = said === null ? null : trustedLink(said);
    if (trusted !== null) return trusted;
    const host = PORTALS[cloud] ?? 'security.microsoft.com';
    const folder = subject === 'alert' ? 'alerts' : 'incidents';
    const query = tenant === null ? '' : `?tid=${encodeURIComponent(tenant)}`;
    return `https://${host}/${folder}/${encodeURIComponent(id)}${query}`;
}

function trustedLink(said: string): string | null {
    let url: URL;
    try {
        url = new URL(said);
    } catch {
        return null;
    }
    const plain = url.username === '' && url.password === '' && url.port === '';
    return url.protocol === 'https:' && plain && TRUSTED.has(url.hostname) ? url.href : null;
}

/** `T1059.001` is `/techniques/T1059/001/`; what is no technique has no link. */
export function techniqueLink(technique: string): string | null {
    const parts = /^(T\d{4})(?:\.(\d{3}))?$/u.exec(technique);
    if (parts === null) return null;
    const sub = parts[2] === undefined ? '' : `${parts[2]}/`;
    return `https://attack.mitre.org/techniques/${parts[1]}/${sub}`;
}
