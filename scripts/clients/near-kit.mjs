// What users of near-kit do: create an account, deploy a contract, call it, view it, and manage
// access keys.
import assert from "node:assert/strict";
import { generateKey, Near } from "near-kit";
import { contract } from "./contract.mjs";
import { withNode } from "./node.mjs";

await withNode(async ({ url, networkId, accountId, secretKey }) => {
  const network = { rpcUrl: url, networkId };
  const [key, second] = [generateKey(), generateKey()];
  const id = `kit.${accountId}`;
  const keyStore = { [accountId]: secretKey, [id]: key.secretKey };
  const near = new Near({ network, keyStore, defaultSignerId: accountId });

  await near
    .transaction(accountId)
    .createAccount(id)
    .transfer(id, "10 NEAR")
    .addKey(key.publicKey.toString(), { type: "fullAccess" })
    .send({ waitUntil: "FINAL" });
  assert.ok(await near.accountExists(id));

  await near.transaction(id).deployContract(id, contract).send({ waitUntil: "FINAL" });
  const args = { message: "hello" };
  await near.call(id, "set", args, { gas: "10 Tgas", waitUntil: "FINAL" });
  assert.deepEqual(await near.view(id, "get"), args);
  await assert.rejects(near.view(id, "nothing"));

  const publicKey = second.publicKey.toString();
  await near
    .transaction(id)
    .addKey(publicKey, { type: "functionCall", receiverId: id, methodNames: ["set"] })
    .send({ waitUntil: "FINAL" });
  assert.equal((await near.getAccessKeys(id)).keys.length, 2);
  await near.transaction(id).deleteKey(id, publicKey).send({ waitUntil: "FINAL" });
  assert.equal((await near.getAccessKeys(id)).keys.length, 1);

  await near.send(id, "1 NEAR");
  await near.transaction(id).deleteAccount({ beneficiary: accountId }).send({ waitUntil: "FINAL" });
  assert.ok(!(await near.accountExists(id)));
});
console.log("near-kit: ok");
