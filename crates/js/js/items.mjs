// Items in one sequence of bytes, each behind its length in four bytes, little-endian.

export function split(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const items = [];
    for (let at = 0; at < bytes.length; ) {
        const length = view.getUint32(at, true);
        items.push(bytes.subarray(at + 4, at + 4 + length));
        at += 4 + length;
    }
    return items;
}

export function join(items) {
    const out = new Uint8Array(items.reduce((sum, item) => sum + 4 + item.length, 0));
    const view = new DataView(out.buffer);
    let at = 0;
    for (const item of items) {
        view.setUint32(at, item.length, true);
        out.set(item, at + 4);
        at += 4 + item.length;
    }
    return out;
}
