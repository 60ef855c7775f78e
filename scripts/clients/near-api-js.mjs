// What users of near-api-js do: create an account, deploy a contract, call it, view it, and manage
// access keys.
import assert from "node:assert/strict";
import { Account, JsonRpcProvider, KeyPair, nearToYocto, teraToGas } from "near-api-js";
import { contract } from "./contract.mjs";
import { withNode } from "./node.mjs";

await withNode(async ({ url, accountId, secretKey }) => {
  const provider = new JsonRpcProvider({ url });
  const root = new Account(accountId, provider, secretKey);

  const key = KeyPair.fromRandom("ed25519");
  const id = `api.${accountId}`;
  await root.createSubAccount({
    accountOrPrefix: id,
    publicKey: key.getPublicKey(),
    nearToTransfer: nearToYocto("10"),
  });
  const account = new Account(id, provider, key.toString());
  const { balance } = await account.getState();
  assert.equal(balance.total, nearToYocto("10"));

  await account.deployContract(contract);
  const args = { message: "hello" };
  await account.callFunction({ contractId: id, methodName: "set", args, gas: teraToGas("10") });
  assert.deepEqual(await provider.callFunction({ contractId: id, method: "get", args: {} }), args);
  await assert.rejects(
    account.callFunction({ contractId: id, methodName: "nothing", args: {}, gas: teraToGas("10") }),
    /MethodNotFound|MethodResolveError|method/i,
  );

  const second = KeyPair.fromRandom("ed25519").getPublicKey();
  await account.addFunctionCallAccessKey({
    publicKey: second,
    contractId: id,
    methodNames: ["set"],
    allowance: nearToYocto("1"),
  });
  const added = await account.getAccessKey(second);
  assert.deepEqual(added.permission.FunctionCall.method_names, ["set"]);
  assert.equal((await account.getAccessKeyList()).keys.length, 2);
  await account.deleteKey(second);
  assert.equal((await account.getAccessKeyList()).keys.length, 1);

  await root.transfer({ receiverId: id, amount: nearToYocto("1") });
  await account.deleteAccount(accountId);
  await assert.rejects(account.getState());
});
console.log("near-api-js: ok");
