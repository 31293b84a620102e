// Light or dark, as Splunk Web has it for this user.

import { config, root } from './splunk/web';

interface Theme {
    family: 'enterprise' | 'prisma';
    colorScheme: 'light' | 'dark';
    density: 'compact' | 'comfortable';
}

declare global {
    interface Window {
        __get_theme__?: { getTheme(): Promise<string> };
        __splunk_ui_theme__?: string;
    }
}

function themeOf(name: string | undefined): Theme {
    return {
        family: name?.startsWith('prisma') ? 'prisma' : 'enterprise',
        colorScheme: /dark/i.test(name ?? '') ? 'dark' : 'light',
        density: 'compact',
    };
}

/** What the page says already; where it says nothing, its own background decides. */
export function themeOfPage(): Theme {
    const name = window.__splunk_ui_theme__ ?? config().SPLUNK_UI_THEME;
    if (name !== undefined) return themeOf(name);
    return themeOf(isDark(getComputedStyle(document.body).backgroundColor) ? 'dark' : 'light');
}

/** Splunk Web's own answer, by the script its pages ask too; undefined where there is none. */
export async function themeOfUser(): Promise<Theme | undefined> {
    try {
        if (window.__get_theme__ === undefined) await load(staticFile('build/api/get_theme.js'));
        const name = await window.__get_theme__?.getTheme();
        return name === undefined ? undefined : themeOf(name);
    } catch {
        return undefined;
    }
}

function staticFile(file: string): string {
    const { BUILD_NUMBER: build, BUILD_PUSH_NUMBER: push } = config();
    const version = build === undefined ? '' : `@${build}${push === undefined ? '' : `.${push}`}/`;
    return `${root()}/static/${version}${file}`;
}

function load(source: string): Promise<void> {
    return new Promise((resolve, reject) => {
        const script = document.createElement('script');
        script.src = source;
        script.onload = () => resolve();
        script.onerror = () => reject(new Error(`no ${source}`));
        document.head.append(script);
    });
}

/** By perceived brightness; a background that lets through what is below it says nothing. */
function isDark(colour: string): boolean {
    const parts = colour.match(/[\d.]+/g)?.map(Number);
    if (parts === undefined || parts.length < 3 || parts[3] === 0) return false;
    const [red = 255, green = 255, blue = 255] = parts;
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}
