// Which process started which. A process is known by device, number and start,
// because numbers are used again; a parent that is no evidence itself is shown
// with the little its child says about it.
import type { Evidence, Image, Process } from './evidence';

export interface TreeNode {
    key: string;
    image: Image;
    pid: string | null;
    started: string | null;
    command: string | null;
    user: string | null;
    /** `null` for a parent that is only named. */
    evidence: Evidence | null;
    children: TreeNode[];
}

export function processTree(evidence: readonly Evidence[]): TreeNode[] {
    const nodes = new Map<string, TreeNode>();
    const parentOf = new Map<string, string>();
    const listed = evidence.flatMap((item) => (item.process ? [{ item, is: item.process }] : []));
    for (const { item, is } of listed) {
        const key = keyOf(is.device, is.pid, is.started) ?? `nameless ${nodes.size}`;
        const known = nodes.get(key);
        if (known?.evidence) continue;
        nodes.set(key, { ...nodeOf(key, is), evidence: item, children: [] });
    }
    for (const { is } of listed) {
        const key = keyOf(is.device, is.pid, is.started);
        const parent = keyOf(is.device, is.parentPid, is.parentStarted);
        if (key === null || parent === null || key === parent || parentOf.has(key)) continue;
        if (leadsTo(parent, key, parentOf)) continue;
        parentOf.set(key, parent);
        if (!nodes.has(parent)) nodes.set(parent, namedParent(parent, is));
    }
    const roots: TreeNode[] = [];
    for (const node of nodes.values()) {
        const parent = nodes.get(parentOf.get(node.key) ?? '');
        (parent?.children ?? roots).push(node);
    }
    for (const node of nodes.values()) node.children.sort(byStart);
    return roots.sort(byStart);
}

function nodeOf(key: string, is: Process): Omit<TreeNode, 'evidence' | 'children'> {
    return {
        key,
        image: is.image,
        pid: is.pid,
        started: is.started,
        command: is.command,
        user: is.user,
    };
}

function namedParent(key: string, child: Process): TreeNode {
    return {
        key,
        image: child.parentImage,
        pid: child.parentPid,
        started: child.parentStarted,
        command: null,
        user: null,
        evidence: null,
        children: [],
    };
}

function keyOf(device: string | null, pid: string | null, started: string | null): string | null {
    return pid === null ? null : JSON.stringify([device, pid, started]);
}

/** Whether going up from one process arrives at the other: then it is no child of it. */
function leadsTo(from: string, to: string, parentOf: Map<string, string>): boolean {
    for (let at: string | undefined = from; at !== undefined; at = parentOf.get(at)) {
        if (at === to) return true;
    }
    return false;
}

function byStart(one: TreeNode, other: TreeNode): number {
    return (one.started ?? '').localeCompare(other.started ?? '');
}
