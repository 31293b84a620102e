// Text to the clipboard. Browsers offer their own interface only over https; the older way needs a click just before.

export async function copy(text: string): Promise<boolean> {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        return byHand(text);
    }
}

function byHand(text: string): boolean {
    const area = document.createElement('textarea');
    const focused = document.activeElement;
    area.value = text;
    area.setAttribute('readonly', '');
    area.style.position = 'fixed';
    area.style.opacity = '0';
    document.body.append(area);
    area.select();
    let done = false;
    try {
        done = document.execCommand('copy');
    } catch {
        // The browser refused.
    }
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return done;
}
