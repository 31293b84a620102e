// Puts the page into its root. A dashboard may run this script before its HTML is there, after it, or twice
// (`script=` and `dashboard.js`): the root is waited for, and taken once.

import { createRoot } from 'react-dom/client';
import { Frame, ROOT } from './parts/Frame';
import { pages } from './pages/registry';

const TAKEN = 'data-mounted';
/** By whom this script was loaded, for the report: by the view's own `script=`, or by `dashboard.js`. */
const LOADER = document.currentScript?.dataset.loader ?? 'script';

function mount(): boolean {
    const root = document.getElementById(ROOT);
    const Page = pages[root?.dataset.page ?? ''];
    if (root === null || Page === undefined) return false;
    if (root.hasAttribute(TAKEN)) return true;
    root.setAttribute(TAKEN, LOADER);
    createRoot(root).render(
        <Frame>
            <Page />
        </Frame>,
    );
    return true;
}

if (!mount()) {
    const observer = new MutationObserver(() => {
        if (mount()) observer.disconnect();
    });
    observer.observe(document.documentElement, { childList: true, subtree: true });
}
