// Starts the localnet binary for the script of a client.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// How long the node may take to start, on a busy machine.
const PATIENCE_MILLIS = 120_000;

// The URL that the node has noted in its home directory, once it listens at a port that is free.
function notedUrl(home) {
  try {
    return readFileSync(join(home, "rpc_url"), "utf8");
  } catch {
    return "";
  }
}

// Calls `use` with the node's URL and network id, and with the id and secret key of an account that
// has tokens. The node ends when `use` is done.
export async function withNode(use) {
  const binary = process.env.LOCALNET ?? "localnet";
  const home = mkdtempSync(join(tmpdir(), "localnet-"));
  const made = spawnSync(binary, ["--home", home, "init", "--fast"], { stdio: "inherit" });
  if (made.status !== 0) throw new Error(`${binary} init failed; LOCALNET names the binary`);
  const run = ["--home", home, "run", "--rpc-addr", "127.0.0.1:0"];
  const node = spawn(binary, run, { stdio: "inherit" });
  try {
    const deadline = Date.now() + PATIENCE_MILLIS;
    let url, status;
    while (!status) {
      url = notedUrl(home);
      status = await fetch(`${url}/status`).then((answer) => answer.json(), () => undefined);
      if (status) break;
      if (Date.now() > deadline) throw new Error("the node does not answer");
      await new Promise((waited) => setTimeout(waited, 20));
    }
    const key = JSON.parse(readFileSync(join(home, "validator_key.json"), "utf8"));
    await use({
      url,
      networkId: status.chain_id,
      accountId: key.account_id,
      secretKey: key.secret_key ?? key.private_key,
    });
  } finally {
    node.kill();
    rmSync(home, { recursive: true, force: true });
  }
}
