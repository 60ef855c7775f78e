//! A light client: it knows one block, follows the chain by the approvals of block producers, and
//! verifies outcomes against the head that it has reached. It is written after the specification of
//! light clients, from the JSON of the RPC alone; hashes, signatures and encodings are computed
//! here.

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use near_primitives::{
    action::{Action, DeployContractAction, FunctionCallAction, StakeAction},
    hash::CryptoHash,
    transaction::SignedTransaction,
    types::{Balance, Gas},
};
use outlayer_localnet::{Config, Handle, spawn};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{call, manual, root, send};

type Hash = [u8; 32];

fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

fn combine(left: &Hash, right: &Hash) -> Hash {
    sha256(&[left.as_slice(), right.as_slice()].concat())
}

fn base58(text: &str) -> Vec<u8> {
    bs58::decode(text).into_vec().unwrap()
}

fn hash_of(value: &Value) -> Hash {
    base58(value.as_str().unwrap()).try_into().unwrap()
}

fn decimal(value: &Value) -> u128 {
    value.as_str().map_or_else(|| value.as_u64().unwrap().into(), |text| text.parse().unwrap())
}

/// The key type and the bytes of something like `ed25519:6E8s...`.
fn ed25519(value: &Value) -> Vec<u8> {
    base58(value.as_str().unwrap().strip_prefix("ed25519:").unwrap())
}

fn text(bytes: &mut Vec<u8>, value: &str) {
    bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    bytes.extend(value.as_bytes());
}

/// The root of the tree in which a leaf has this path.
fn root_of(leaf: Hash, path: &Value) -> Hash {
    path.as_array().unwrap().iter().fold(leaf, |hash, item| {
        let sibling = hash_of(&item["hash"]);
        match item["direction"].as_str().unwrap() {
            "Left" => combine(&sibling, &hash),
            "Right" => combine(&hash, &sibling),
            other => panic!("{other}"),
        }
    })
}

/// The hash of a block, from its form for light clients.
fn block_hash(block: &Value) -> Hash {
    let lite = &block["inner_lite"];
    let mut bytes = lite["height"].as_u64().unwrap().to_le_bytes().to_vec();
    for field in ["epoch_id", "next_epoch_id", "prev_state_root", "outcome_root"] {
        bytes.extend(hash_of(&lite[field]));
    }
    let timestamp = u64::try_from(decimal(&lite["timestamp_nanosec"])).unwrap();
    bytes.extend(timestamp.to_le_bytes());
    bytes.extend(hash_of(&lite["next_bp_hash"]));
    bytes.extend(hash_of(&lite["block_merkle_root"]));
    let inner = combine(&sha256(&bytes), &hash_of(&block["inner_rest_hash"]));
    combine(&inner, &hash_of(&block["prev_block_hash"]))
}

/// The hash of a list of block producers.
fn producers_hash(producers: &[Value]) -> Hash {
    let mut bytes = u32::try_from(producers.len()).unwrap().to_le_bytes().to_vec();
    for producer in producers {
        assert_eq!(producer["validator_stake_struct_version"], "V1");
        bytes.push(0);
        text(&mut bytes, producer["account_id"].as_str().unwrap());
        bytes.push(0);
        bytes.extend(ed25519(&producer["public_key"]));
        bytes.extend(decimal(&producer["stake"]).to_le_bytes());
    }
    sha256(&bytes)
}

/// The hash of an outcome, which is a leaf of the tree of outcomes.
fn outcome_hash(proof: &Value) -> Hash {
    let outcome = &proof["outcome"];
    let ids = outcome["receipt_ids"].as_array().unwrap();
    let mut bytes = u32::try_from(ids.len()).unwrap().to_le_bytes().to_vec();
    for id in ids {
        bytes.extend(hash_of(id));
    }
    bytes.extend(outcome["gas_burnt"].as_u64().unwrap().to_le_bytes());
    bytes.extend(decimal(&outcome["tokens_burnt"]).to_le_bytes());
    text(&mut bytes, outcome["executor_id"].as_str().unwrap());
    let status = outcome["status"].as_object().unwrap();
    let (kind, value) = status.iter().next().unwrap();
    match kind.as_str() {
        "Failure" => bytes.push(1),
        "SuccessValue" => {
            assert_eq!(value, "", "no contract here returns a value");
            bytes.push(2);
            bytes.extend(0_u32.to_le_bytes());
        }
        "SuccessReceiptId" => {
            bytes.push(3);
            bytes.extend(hash_of(value));
        }
        other => panic!("{other}"),
    }
    let logs = outcome["logs"].as_array().unwrap();
    let mut parts = vec![hash_of(&proof["id"]), sha256(&bytes)];
    parts.extend(logs.iter().map(|log| sha256(log.as_str().unwrap().as_bytes())));
    let mut list = u32::try_from(parts.len()).unwrap().to_le_bytes().to_vec();
    list.extend(parts.concat());
    sha256(&list)
}

/// What a light client keeps: the newest block that it has verified, and the producers of that
/// block's epoch and of the next one.
struct LightClient {
    head: Value,
    producers: Vec<Value>,
    next_producers: Vec<Value>,
}

impl LightClient {
    /// Verifies a block and moves to it, or says what is wrong with it.
    fn accept(&mut self, block: &Value) -> Result<(), &'static str> {
        let (new, old) = (&block["inner_lite"], &self.head["inner_lite"]);
        if new["height"].as_u64() <= old["height"].as_u64() {
            return Err("height");
        }
        let producers = if new["epoch_id"] == old["epoch_id"] {
            &self.producers
        } else if new["epoch_id"] == old["next_epoch_id"] {
            &self.next_producers
        } else {
            return Err("epoch");
        };
        let next_hash = combine(&hash_of(&block["next_block_inner_hash"]), &block_hash(block));
        // An endorsement of the next block, for the block two heights above this one.
        let mut message = vec![0];
        message.extend(next_hash);
        message.extend((new["height"].as_u64().unwrap() + 2).to_le_bytes());
        let approvals = block["approvals_after_next"].as_array().unwrap();
        let (mut total, mut approved) = (0, 0);
        for (index, producer) in producers.iter().enumerate() {
            let stake = decimal(&producer["stake"]);
            total += stake;
            let approval = approvals.get(index).ok_or("too few approvals")?;
            if approval.is_null() {
                continue;
            }
            let key = ed25519(&producer["public_key"]).try_into().unwrap();
            let signature = ed25519(approval).try_into().unwrap();
            VerifyingKey::from_bytes(&key)
                .unwrap()
                .verify(&message, &Signature::from_bytes(&signature))
                .map_err(|_| "signature")?;
            approved += stake;
        }
        if approved <= total / 3 * 2 {
            return Err("stake");
        }
        let next = block["next_bps"].as_array().ok_or("no producers")?;
        if producers_hash(next) != hash_of(&new["next_bp_hash"]) {
            return Err("producers");
        }
        self.producers = producers.clone();
        self.next_producers = next.clone();
        self.head = block.clone();
        Ok(())
    }

    fn head_hash(&self) -> String {
        bs58::encode(block_hash(&self.head)).into_string()
    }

    /// Verifies that an outcome is in the chain below the head.
    fn verify(&self, proof: &Value) -> Result<(), &'static str> {
        let shard_root =
            root_of(outcome_hash(&proof["outcome_proof"]), &proof["outcome_proof"]["proof"]);
        let outcome_root = root_of(sha256(&shard_root), &proof["outcome_root_proof"]);
        let block = &proof["block_header_lite"];
        if outcome_root != hash_of(&block["inner_lite"]["outcome_root"]) {
            return Err("outcome root");
        }
        if block_hash(block) != hash_of(&proof["outcome_proof"]["block_hash"]) {
            return Err("block hash");
        }
        self.verify_block(proof)
    }

    fn verify_block(&self, proof: &Value) -> Result<(), &'static str> {
        let block = block_hash(&proof["block_header_lite"]);
        let is_head = block == block_hash(&self.head);
        let blocks_root = hash_of(&self.head["inner_lite"]["block_merkle_root"]);
        let below = root_of(block, &proof["block_proof"]) == blocks_root;
        if is_head || below { Ok(()) } else { Err("blocks root") }
    }
}

fn next_block(handle: &Handle, last: &str) -> Value {
    let reply = call(handle, "next_light_client_block", json!({"last_block_hash": last}));
    assert!(reply["error"].is_null(), "{reply}");
    reply["result"].clone()
}

fn hash_at(handle: &Handle, height: u64) -> String {
    let chain = handle.node().chain();
    let block = chain.history().at(height).unwrap();
    block.hash().to_string()
}

/// A light client that trusts the first block above the genesis, of which it has the producers from
/// the genesis file.
fn light_client(handle: &Handle) -> LightClient {
    let view = call(handle, "EXPERIMENTAL_validators_ordered", json!([null]));
    let producers = view["result"].as_array().unwrap().clone();
    let params = json!({
        "block_hash": hash_at(handle, 1),
        "light_client_head": hash_at(handle, 1),
    });
    let reply = call(handle, "EXPERIMENTAL_light_client_block_proof", params);
    let head = reply["result"]["block_header_lite"].clone();
    LightClient { head, next_producers: producers.clone(), producers }
}

/// Follows the chain as far as it goes. Returns the heights on the way.
fn follow(handle: &Handle, client: &mut LightClient) -> Vec<u64> {
    let mut heights = Vec::new();
    loop {
        let block = next_block(handle, &client.head_hash());
        if block == json!({}) {
            return heights;
        }
        client.accept(&block).unwrap();
        heights.push(block["inner_lite"]["height"].as_u64().unwrap());
    }
}

fn started() -> Handle {
    let handle = spawn(manual()).unwrap();
    handle.produce_blocks(5).unwrap();
    handle
}

fn execution_proof(handle: &Handle, id: &Value, head: &str) -> Value {
    let mut params = id.clone();
    params["light_client_head"] = json!(head);
    let proof = call(handle, "EXPERIMENTAL_light_client_proof", params.clone());
    assert_eq!(proof, call(handle, "light_client_proof", params));
    proof
}

/// Sends actions of the root account to itself.
fn act(handle: &Handle, nonce: u64, actions: Vec<Action>) -> CryptoHash {
    let signer = root(handle.home());
    let id = signer.get_account_id();
    let head = *handle.node().chain().head().hash();
    let tx = SignedTransaction::from_actions(nonce, id.clone(), id, &signer, actions, head);
    handle.node().submit(tx).unwrap()
}

#[test]
fn a_light_client_follows_the_chain_and_verifies_every_outcome() {
    let handle = started();
    let mut client = light_client(&handle);
    assert_eq!(follow(&handle, &mut client), [3]);
    let wasm = wat::parse_str(
        r#"(module (import "env" "log_utf8" (func $log (param i64 i64)))
            (memory 1) (data (i32.const 0) "one and two")
            (func (export "say") (call $log (i64.const 3) (i64.const 0))
                (call $log (i64.const 11) (i64.const 0)))
            (func (export "fail") unreachable))"#,
    )
    .unwrap();
    let call_of = |method: &str| {
        Action::FunctionCall(Box::new(FunctionCallAction {
            method_name: method.to_owned(),
            args: vec![],
            gas: Gas::from_teragas(10),
            deposit: Balance::ZERO,
        }))
    };
    let deploy = Action::DeployContract(DeployContractAction { code: wasm });
    let mut sent = vec![send(&handle, 1), act(&handle, 2, vec![deploy])];
    handle.settle().unwrap();
    sent.push(act(&handle, 3, vec![call_of("say")]));
    sent.push(act(&handle, 4, vec![call_of("fail")]));
    sent.push(send(&handle, 5));
    handle.settle().unwrap();
    // The last outcomes are committed to by the block above them, which must be final as well.
    handle.produce_block().unwrap();
    assert!(!follow(&handle, &mut client).is_empty());
    let head = client.head_hash();
    let (mut outcomes, mut logs, mut failures, mut beside) = (0, 0, 0, 0);
    let mut forgeries = 0;
    for hash in sent {
        let status = handle.node().transaction_status(&hash).unwrap().outcome;
        let transaction = json!({
            "type": "transaction",
            "transaction_hash": hash.to_string(),
            "sender_id": "test.near",
        });
        let receipts = status.receipts_outcome.iter().map(|outcome| {
            json!({
                "type": "receipt",
                "receipt_id": outcome.id.to_string(),
                "receiver_id": outcome.outcome.executor_id,
            })
        });
        for id in [transaction].into_iter().chain(receipts) {
            let proof = execution_proof(&handle, &id, &head)["result"].clone();
            client.verify(&proof).unwrap();
            outcomes += 1;
            logs += proof["outcome_proof"]["outcome"]["logs"].as_array().unwrap().len();
            failures +=
                usize::from(proof["outcome_proof"]["outcome"]["status"]["Failure"].is_object());
            let siblings = proof["outcome_proof"]["proof"].as_array().unwrap().len();
            beside += siblings;
            // Nothing else verifies in its place.
            for (path, wrong) in [
                ("/outcome_proof/outcome/gas_burnt", json!(1)),
                ("/outcome_proof/id", json!(head)),
                ("/block_header_lite/inner_lite/height", json!(4)),
                ("/block_proof/0/direction", json!("Left")),
                ("/block_proof/0/hash", json!(head)),
            ] {
                let mut forged = proof.clone();
                // The head itself has an empty path.
                let Some(field) = forged.pointer_mut(path) else { continue };
                *field = wrong;
                if forged != proof {
                    assert!(client.verify(&forged).is_err(), "{path}");
                    forgeries += 1;
                }
            }
        }
    }
    // Outcomes of every kind were verified, alone and beside others.
    assert!(outcomes > 10 && beside > 5, "{outcomes} {beside}");
    assert_eq!((logs, failures), (2, 1));
    assert!(forgeries > 4 * outcomes, "{forgeries}");
}

#[test]
fn a_light_client_that_is_far_behind_gets_the_last_block_of_each_epoch() {
    let handle = started();
    let mut client = light_client(&handle);
    handle.fast_forward(400).unwrap();
    handle.produce_blocks(5).unwrap();
    let heights = follow(&handle, &mut client);
    assert!(heights.len() >= 5, "{heights:?}");
    let epochs: Vec<u64> = heights.iter().map(|height| (height.saturating_sub(1)) / 60).collect();
    assert!(epochs.windows(2).all(|pair| pair[1] - pair[0] <= 1), "{heights:?}");
    let newest = client.head["inner_lite"]["height"].as_u64().unwrap();
    assert_eq!(newest, handle.node().chain().final_height());
    // Every final block below the head has a proof.
    let head = client.head_hash();
    let (mut blocks, mut above) = (0, 0);
    for height in 0..=handle.height() {
        let hash = handle.node().chain().history().at(height).map(|block| block.hash());
        let Some(hash) = hash else { continue };
        let params = json!({"block_hash": hash.to_string(), "light_client_head": head});
        let reply = call(&handle, "EXPERIMENTAL_light_client_block_proof", params);
        if height <= newest {
            assert_eq!(block_hash(&reply["result"]["block_header_lite"]), hash.0, "{height}");
            client.verify_block(&reply["result"]).unwrap();
            blocks += 1;
        } else {
            assert_eq!(reply["error"]["cause"]["name"], "INTERNAL_ERROR", "{reply}");
            let text = format!("{hash} not on current chain");
            assert_eq!(reply["error"]["cause"]["info"]["error_message"], text);
            above += 1;
        }
    }
    assert!(blocks > 20 && above == 2, "{blocks} {above}");
}

#[test]
fn a_light_client_learns_of_new_block_producers_and_misses_their_approvals() {
    let handle = started();
    let mut client = light_client(&handle);
    let key = near_crypto::PublicKey::from_seed(near_crypto::KeyType::ED25519, "another");
    let stake = Balance::from_near(1_000_000);
    // Another account stakes a fiftieth of what the node has, so two thirds can still approve.
    let near = "near".parse().unwrap();
    let state = handle.node().chain().state();
    assert!(state.account(&near).unwrap().amount() > stake);
    let record = json!({"Account": {"account_id": "near", "account": {
        "amount": "1000000000000000000000000000000000",
        "locked": "0",
        "code_hash": "11111111111111111111111111111111",
        "storage_usage": 182,
        "version": "V1",
    }}});
    let own_key = root(handle.home()).public_key();
    let access = json!({"AccessKey": {
        "account_id": "near",
        "public_key": own_key,
        "access_key": {"nonce": 0, "permission": "FullAccess"},
    }});
    handle
        .node()
        .patch_state(vec![
            serde_json::from_value(record).unwrap(),
            serde_json::from_value(access).unwrap(),
        ])
        .unwrap();
    let signer = match root(handle.home()) {
        near_crypto::Signer::InMemory(own) => {
            near_crypto::InMemorySigner::from_secret_key(near.clone(), own.secret_key)
        }
        _ => panic!("the key is in a file"),
    };
    let head = *handle.node().chain().head().hash();
    let action = Action::Stake(Box::new(StakeAction { stake, public_key: key }));
    let tx = SignedTransaction::from_actions(1, near.clone(), near, &signer, vec![action], head);
    handle.node().submit(tx).unwrap();
    for _ in 0..190 {
        handle.produce_block().unwrap();
        follow(&handle, &mut client);
    }
    assert_eq!(client.producers.len(), 2);
    let newest = client.head["inner_lite"]["height"].as_u64().unwrap();
    assert_eq!(newest, handle.node().chain().final_height());
    let approvals = client.head["approvals_after_next"].as_array().unwrap();
    assert_eq!(approvals.iter().map(Value::is_null).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_a_light_client_cannot_have_is_an_error_with_its_reason() {
    let handle = started();
    let unknown = CryptoHash::hash_bytes(b"unknown").to_string();
    let head = hash_at(&handle, 3);
    let reply = call(&handle, "next_light_client_block", json!([unknown]));
    assert_eq!(reply["error"]["cause"]["name"], "UNKNOWN_BLOCK");
    // The newest one is known already.
    assert_eq!(next_block(&handle, &hash_at(&handle, 5)), json!({}));
    let listed = call(&handle, "next_light_client_block", json!([hash_at(&handle, 1)]));
    assert_eq!(listed["result"], next_block(&handle, &hash_at(&handle, 1)));
    let proof = |block: &str, head: &str| {
        let params = json!({"block_hash": block, "light_client_head": head});
        call(&handle, "EXPERIMENTAL_light_client_block_proof", params)["error"].clone()
    };
    let missing = format!("DB Not Found Error: BLOCK HEADER: {unknown}");
    for error in [proof(&unknown, &head), proof(&head, &unknown)] {
        assert_eq!(error["cause"]["name"], "UNKNOWN_BLOCK");
        assert_eq!(error["data"], missing);
    }
    let ahead = proof(&head, &hash_at(&handle, 2));
    let text = format!("block {head} is ahead of head block {}", hash_at(&handle, 2));
    assert_eq!(ahead["cause"]["info"]["error_message"], text);
    let id = json!({"type": "transaction", "transaction_hash": unknown, "sender_id": "near"});
    let error = execution_proof(&handle, &id, &head)["error"].clone();
    assert_eq!(error["cause"]["name"], "UNKNOWN_TRANSACTION_OR_RECEIPT");
    assert_eq!(error["cause"]["info"], json!({"transaction_or_receipt_id": unknown}));
    // An outcome is committed to by the block above the one that executed the transaction.
    let hash = send(&handle, 1);
    while handle.node().transaction_status(&hash).is_none() {
        handle.produce_block().unwrap();
    }
    let id = json!({
        "type": "transaction",
        "transaction_hash": hash.to_string(),
        "sender_id": "test.near",
    });
    let error = execution_proof(&handle, &id, &head)["error"].clone();
    assert_eq!(error["cause"]["name"], "NOT_CONFIRMED");
    assert_eq!(error["cause"]["info"], json!({"transaction_or_receipt_id": hash.to_string()}));
    let malformed = call(&handle, "light_client_proof", json!([hash.to_string()]));
    assert_eq!(malformed["error"]["name"], "REQUEST_VALIDATION_ERROR");
}

#[test]
fn proofs_and_producers_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let config = || Config { state: Some(directory.path().to_owned()), ..manual() };
    let handle = spawn(config()).unwrap();
    handle.produce_blocks(70).unwrap();
    let before = handle.node().chain().final_height();
    let known = hash_at(&handle, before);
    drop(handle);
    let handle = spawn(config()).unwrap();
    handle.produce_blocks(70).unwrap();
    let params = json!({
        "block_hash": known,
        "light_client_head": hash_at(&handle, handle.node().chain().final_height()),
    });
    let reply = call(&handle, "EXPERIMENTAL_light_client_block_proof", params);
    let head = handle.node().chain().final_height();
    let root = *handle.node().chain().history().at(head).unwrap().header.block_merkle_root();
    let leaf = block_hash(&reply["result"]["block_header_lite"]);
    assert_eq!(root_of(leaf, &reply["result"]["block_proof"]), root.0, "{reply}");
    let next = next_block(&handle, &known);
    let producers = next["next_bps"].as_array().unwrap();
    assert_eq!(producers_hash(producers), hash_of(&next["inner_lite"]["next_bp_hash"]));
}
