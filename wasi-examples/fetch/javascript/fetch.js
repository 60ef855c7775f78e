// Fetches the URL in its input, and then sends what it got back to the same URL. Writes the status
// and the body of both answers. See docs/languages.md.

import { getStdin } from "wasi:cli/stdin@0.2.12";
import { getStdout } from "wasi:cli/stdout@0.2.12";

async function said(response) {
  return `${response.status} ${await response.text()}\n`;
}

export const run = {
  async run() {
    const url = new TextDecoder().decode(getStdin().blockingRead(4_096n)).trim();
    const first = await said(await fetch(url));
    const second = await said(await fetch(url, { method: "POST", body: first }));
    getStdout().blockingWriteAndFlush(new TextEncoder().encode(first + second));
  },
};
