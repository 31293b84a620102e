// Two pictures of the same page, compared as somebody would across a room: in blocks, so that another font's edges do
// not count, and a panel that is missing, moved or of another colour does.
import { PNG } from 'pngjs';

const BLOCK = 20;
/** From 0 to 255: how far a block's mean may be off. */
const SHADE = 24;

function blocks(png) {
    const [wide, high] = [Math.ceil(png.width / BLOCK), Math.ceil(png.height / BLOCK)];
    const sums = Array.from({ length: wide * high }, () => [0, 0, 0, 0]);
    for (let y = 0; y < png.height; y += 1) {
        for (let x = 0; x < png.width; x += 1) {
            const at = (y * png.width + x) * 4;
            const sum = sums[Math.floor(y / BLOCK) * wide + Math.floor(x / BLOCK)];
            for (let channel = 0; channel < 3; channel += 1) sum[channel] += png.data[at + channel];
            sum[3] += 1;
        }
    }
    return sums.map(([r, g, b, n]) => [r / n, g / n, b / n]);
}

/** The share of blocks that differ, from 0 to 1. */
export function difference(one, other) {
    const [a, b] = [PNG.sync.read(one), PNG.sync.read(other)];
    if (a.width !== b.width || Math.abs(a.height - b.height) > BLOCK) return 1;
    const [left, right] = [blocks(a), blocks(b)];
    const count = Math.min(left.length, right.length);
    let off = 0;
    for (let i = 0; i < count; i += 1) {
        if (left[i].some((value, channel) => Math.abs(value - right[i][channel]) > SHADE)) off += 1;
    }
    return off / count;
}
