// Starts the localnet binary for the script of a client.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

// Calls `use` with the node's URL and network id, and with the id and secret key of an account that
// has tokens. The node ends when `use` is done.
export async function withNode(use) {
  const binary = process.env.LOCALNET ?? "localnet";
  const home = mkdtempSync(join(tmpdir(), "localnet-"));
  const made = spawnSync(binary, ["--home", home, "init", "--fast"], { stdio: "inherit" });
  if (made.status !== 0) throw new Error(`${binary} init failed; LOCALNET names the binary`);
  const address = `127.0.0.1:${await freePort()}`;
  const node = spawn(binary, ["--home", home, "run", "--rpc-addr", address], { stdio: "inherit" });
  try {
    const url = `http://${address}`;
    const deadline = Date.now() + 30_000;
    let status;
    while (!status) {
      status = await fetch(`${url}/status`).then((answer) => answer.json(), () => undefined);
      if (!status && Date.now() > deadline) throw new Error("the node does not answer");
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
