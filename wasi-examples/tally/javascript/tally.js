// Adds up amounts by name. See docs/languages.md.

import { getStdin } from "wasi:cli/stdin@0.2.12";
import { getStdout } from "wasi:cli/stdout@0.2.12";

function readAll(stream) {
  const text = new TextDecoder();
  let read = "";
  for (;;) {
    try {
      read += text.decode(stream.blockingRead(65_536n), { stream: true });
    } catch (error) {
      if (error.payload?.tag !== "closed") throw error;
      return read + text.decode();
    }
  }
}

export const run = {
  run() {
    const sums = new Map();
    for (const { name, amount } of JSON.parse(readAll(getStdin()))) {
      sums.set(name, (sums.get(name) ?? 0) + amount);
    }
    const sorted = [...sums].sort(([one], [other]) => (one < other ? -1 : 1));
    const output = `${JSON.stringify(Object.fromEntries(sorted))}\n`;
    getStdout().blockingWriteAndFlush(new TextEncoder().encode(output));
  },
};
