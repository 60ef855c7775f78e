//! No input makes the node panic: neither malformed requests, nor arbitrary bytes in place of a
//! transaction.
//!
//! The server catches a panic in a method and responds with an internal error. So these tests look
//! for such a response, and for a node that no longer responds.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use near_primitives::hash::CryptoHash;
use outlayer_localnet::{Config, Handle, node::BlockProduction, rpc::METHODS, spawn};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::{manual, transfer};

/// The methods that are called, and one that there is not. A fast-forward takes as long as its
/// number says.
fn methods() -> Vec<&'static str> {
    let jumps = |method: &&str| *method == "sandbox_fast_forward";
    METHODS.into_iter().filter(|method| !jumps(method)).chain(["no_such_method"]).collect()
}

/// Names and values that parameters are generated from.
const WORDS: [&str; 24] = [
    "block_id",
    "finality",
    "final",
    "optimistic",
    "request_type",
    "call_function",
    "view_account",
    "view_state",
    "view_access_key",
    "account_id",
    "near",
    "prefix_base64",
    "args_base64",
    "method_name",
    "public_key",
    "changes_type",
    "account_ids",
    "key_prefix_base64",
    "sync_checkpoint",
    "latest",
    "records",
    "wait_until",
    "signed_tx_base64",
    "ed25519:11111111111111111111111111111111",
];

fn values() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(WORDS.as_slice()).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0_u64..5).prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Well-formed queries with arbitrary values, which get past the parsing of parameters.
fn queries() -> impl Strategy<Value = Value> {
    let kinds = [
        "view_account",
        "view_code",
        "view_state",
        "view_access_key",
        "view_access_key_list",
        "call_function",
    ];
    let account = prop::sample::select(vec!["near", "test.near", "nobody", "0x00", "a", ""]);
    let block = prop_oneof![
        Just(json!({"finality": "optimistic"})),
        any::<u64>().prop_map(|height| json!({"block_id": height})),
        (0_u64..4).prop_map(|height| json!({"block_id": height})),
        Just(json!({"sync_checkpoint": "genesis"})),
    ];
    let bytes = prop::collection::vec(any::<u8>(), 0..40)
        .prop_map(|bytes| near_primitives::serialize::to_base64(&bytes));
    (prop::sample::select(kinds.to_vec()), account, block, bytes).prop_map(
        |(kind, account, mut query, bytes)| {
            query["request_type"] = json!(kind);
            query["account_id"] = json!(account);
            query["prefix_base64"] = json!(bytes);
            query["args_base64"] = json!(bytes);
            query["method_name"] = json!(bytes);
            query["public_key"] = json!("ed25519:6E8sCci9badyRkXb3JoRpBj5p8C6Tw41ELDZoiihKEtp");
            query
        },
    )
}

/// Sends one request on its own connection. Returns the status and the body of the response.
fn post(handle: &Handle, body: &[u8]) -> (u16, String) {
    let address = handle.rpc_url().replace("http://", "");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(crate::PATIENCE)).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: l\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status.unwrap(), body.to_owned())
}

fn check(handle: &Handle, body: &[u8]) -> Result<(), TestCaseError> {
    let (status, answer) = post(handle, body);
    prop_assert!(!answer.contains("panicked"), "{}", answer);
    prop_assert!([200, 400, 408, 415, 422, 500].contains(&status), "{status}");
    Ok(())
}

fn node() -> Handle {
    let handle =
        spawn(Config { production: BlockProduction::Instant { heartbeat: None }, ..manual() })
            .unwrap();
    handle.produce_blocks(3).unwrap();
    handle
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
}

fn request(method: &str, params: Value) -> Vec<u8> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    body.to_string().into_bytes()
}

#[test]
fn no_parameters_make_a_method_panic() {
    let handle = node();
    let methods = prop::sample::select(methods());
    runner(1_500)
        .run(&(methods, values()), |(method, params)| check(&handle, &request(method, params)))
        .unwrap();
    assert_eq!(post(&handle, &request("status", Value::Null)).0, 200);
}

#[test]
fn no_query_makes_the_node_panic() {
    let handle = node();
    runner(1_000).run(&queries(), |query| check(&handle, &request("query", query))).unwrap();
}

#[test]
fn no_body_makes_the_server_panic() {
    let handle = node();
    let bodies = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        values().prop_map(|value| value.to_string().into_bytes()),
    ];
    runner(500).run(&bodies, |body| check(&handle, &body)).unwrap();
}

/// Random bytes, and valid transactions of which some bytes are changed, cut off or added.
#[test]
fn no_bytes_in_the_place_of_a_transaction_make_the_node_panic() {
    let handle = node();
    let head = *handle.node().chain().head().hash();
    let real = borsh::to_vec(&transfer(handle.home(), "near", 1, head)).unwrap();
    let length = real.len();
    let changes = prop::collection::vec((0..length, any::<u8>()), 0..4);
    let mangled = (changes, 0..=length, prop::collection::vec(any::<u8>(), 0..8)).prop_map(
        move |(changes, keep, more)| {
            let mut bytes = real.clone();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            // Half of the time, nothing is cut off.
            if keep % 2 == 0 {
                bytes.truncate(keep);
                bytes.extend(more);
            }
            bytes
        },
    );
    let bytes = prop_oneof![mangled, prop::collection::vec(any::<u8>(), 0..300)];
    runner(1_500)
        .run(&bytes, |bytes| {
            let encoded = near_primitives::serialize::to_base64(&bytes);
            check(&handle, &request("broadcast_tx_async", json!([encoded])))
        })
        .unwrap();
    assert!(handle.node().fault().is_none());
    assert_ne!(head, CryptoHash::default());
}
