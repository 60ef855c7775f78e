//! What a contract pays for the receipts that it sends on, and for the data between them.

use std::collections::BTreeMap;

use near_parameters::{ActionCosts, ExtCosts};
use near_primitives::{
    hash::CryptoHash, profile_data_v3::ProfileDataV3, transaction::ExecutionMetadata,
    types::Balance,
};

use super::{
    super::{
        chain::{Chain, call},
        universal,
    },
    fees::table,
};

/// What a receipt's gas was burnt for.
fn profile<'a>(chain: &'a Chain, id: &CryptoHash) -> &'a ProfileDataV3 {
    match &chain.outcome(id).metadata {
        ExecutionMetadata::V3(profile) => profile,
        ExecutionMetadata::V4(metadata) => &metadata.profile,
        other => panic!("{other:?}"),
    }
}

fn action_gas(chain: &Chain, id: &CryptoHash, cost: ActionCosts) -> u128 {
    profile(chain, id).actions_profile[cost].as_gas().into()
}

/// What a contract pays for a universal account: for its id, and for sending its state init.
#[test]
fn a_contract_pays_for_a_universal_account_what_a_second_computation_says() {
    let mut chain = Chain::with_alice(88, 1_000);
    let code = wat::parse_str(universal::CREATOR).unwrap();
    chain.create("c.test.near", Balance::from_near(10), Some(code));
    let data = BTreeMap::from([(b"key".to_vec(), vec![7; 100]), (b"2".to_vec(), vec![])]);
    let (_, init) = universal::state_init(false, data, &["one", "two", "three"]);
    let tx = chain.run("alice.test.near", "c.test.near", vec![call("create", &init.0)]);
    assert_eq!(chain.failure(&tx), None);
    let receipt = chain.outcome(&tx).receipt_ids[0];
    let bytes = init.0.len();
    for (cost, times) in [
        (ActionCosts::universal_state_init_base, 1),
        (ActionCosts::universal_state_init_byte, bytes),
        (ActionCosts::universal_state_init_entry, 2),
        (ActionCosts::add_full_access_key, 3),
    ] {
        let expected = table(88, cost).1 * times as u128;
        assert_eq!(action_gas(&chain, &receipt, cost), expected, "{cost}");
    }
    let called = &profile(&chain, &receipt).wasm_ext_profile;
    let base = called[ExtCosts::universal_state_init_to_account_id_base].as_gas();
    let byte = called[ExtCosts::universal_state_init_to_account_id_byte].as_gas();
    assert_eq!((base, byte), (8_900_000_000, 83_100_000 * bytes as u64));
}

/// `start` calls `give` of the contract in its argument and then its own `take`, which gets what
/// `give` returns: ten bytes.
const PROMISES: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "value_return" (func $return (param i64 i64)))
  (import "env" "current_account_id" (func $own (param i64)))
  (import "env" "promise_create"
    (func $create (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "promise_then"
    (func $then (param i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 16) "give") (data (i32.const 24) "take") (data (i32.const 32) "0123456789")
  (func (export "start")
    (call $input (i64.const 0))
    (call $own (i64.const 1))
    (drop (call $then
      (call $create (i64.const -1) (i64.const 0) (i64.const 4) (i64.const 16) (i64.const 3)
        (i64.const 32) (i64.const 0) (i64.const 10000000000000))
      (i64.const -1) (i64.const 1) (i64.const 4) (i64.const 24) (i64.const 0) (i64.const 0)
      (i64.const 0) (i64.const 10000000000000))))
  (func (export "give") (call $return (i64.const 10) (i64.const 32)))
  (func (export "take")))"#;

/// A call sends receipts on and pays for them from its gas: the receipts and the data between them,
/// the calls, and the bytes of what is returned to the receipt that waits.
#[test]
fn promises_and_their_data_cost_what_a_second_computation_says() {
    use ActionCosts as Cost;
    let code = wat::parse_str(PROMISES).unwrap();
    for version in 84..=88 {
        let mut chain = Chain::with_alice(version, 1_000);
        for name in ["c.test.near", "d.test.near"] {
            chain.create(name, Balance::from_near(10), Some(code.clone()));
        }
        for (other, to_self) in [("d.test.near", false), ("c.test.near", true)] {
            let start = call("start", other.as_bytes());
            let tx = chain.run("alice.test.near", "c.test.near", vec![start]);
            assert_eq!(chain.failure(&tx), None, "{version}");
            let sent = |cost, to_self| {
                let fee = table(version, cost);
                if to_self { fee.0 } else { fee.1 }
            };
            let started = chain.outcome(&tx).receipt_ids[0];
            // The second receipt always goes to the contract itself, and its data is paid for like
            // a receipt, to be sent and to be received.
            let data = table(version, Cost::new_data_receipt_base);
            let data = data.2 + if to_self { data.0 } else { data.1 };
            let receipts = sent(Cost::new_action_receipt, to_self)
                + sent(Cost::new_action_receipt, true)
                + data;
            assert_eq!(
                action_gas(&chain, &started, Cost::new_action_receipt),
                receipts,
                "{version}"
            );
            let calls =
                sent(Cost::function_call_base, to_self) + sent(Cost::function_call_base, true);
            assert_eq!(action_gas(&chain, &started, Cost::function_call_base), calls, "{version}");
            // `give` and three bytes for it, and `take`.
            let bytes = 7 * sent(Cost::function_call_byte, to_self)
                + 4 * sent(Cost::function_call_byte, true);
            assert_eq!(action_gas(&chain, &started, Cost::function_call_byte), bytes, "{version}");
            let given = chain.outcome(&started).receipt_ids[0];
            assert_eq!(chain.outcome(&given).executor_id.as_str(), other);
            let byte = table(version, Cost::new_data_receipt_byte);
            let byte = byte.2 + if to_self { byte.0 } else { byte.1 };
            let found = action_gas(&chain, &given, Cost::new_data_receipt_byte);
            assert_eq!(found, 10 * byte, "{version}");
        }
    }
}
