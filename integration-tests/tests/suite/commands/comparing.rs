//! `outlayer compare`: a contract on the node, and the same bytes as a guest.

use anyhow::{Context, Result, ensure};
use outlayer_integration_tests::Testbed;
use serde_json::{Value, json};

use super::home::Home;

/// A contract that does something of each kind. `count` reads, removes and writes its state, and
/// logs. `seed` returns its random seed, `about` what it is told of the chain and its callers.
const CONTRACT: &str = r#"(module
    (import "env" "input" (func $input (param i64)))
    (import "env" "register_len" (func $register_len (param i64) (result i64)))
    (import "env" "read_register" (func $read_register (param i64 i64)))
    (import "env" "value_return" (func $value_return (param i64 i64)))
    (import "env" "log_utf8" (func $log_utf8 (param i64 i64)))
    (import "env" "panic_utf8" (func $panic_utf8 (param i64 i64)))
    (import "env" "storage_write" (func $write (param i64 i64 i64 i64 i64) (result i64)))
    (import "env" "storage_read" (func $read (param i64 i64 i64) (result i64)))
    (import "env" "storage_remove" (func $remove (param i64 i64 i64) (result i64)))
    (import "env" "random_seed" (func $random_seed (param i64)))
    (import "env" "block_index" (func $block_index (result i64)))
    (import "env" "block_timestamp" (func $block_timestamp (result i64)))
    (import "env" "prepaid_gas" (func $prepaid_gas (result i64)))
    (import "env" "predecessor_account_id" (func $predecessor (param i64)))
    (import "env" "current_account_id" (func $current (param i64)))
    (import "env" "promise_batch_create" (func $promise (param i64 i64) (result i64)))
    (memory 1)
    (data (i32.const 0) "countkept")
    (data (i32.const 16) "the count is one more")
    (data (i32.const 48) "a contract's own words")
    (data (i32.const 80) "you.near")
    (func $return (param $register i64)
        (call $read_register (local.get $register) (i64.const 1000))
        (call $value_return (call $register_len (local.get $register)) (i64.const 1000)))
    (func (export "echo") (call $input (i64.const 0)) (call $return (i64.const 0)))
    (func (export "count")
        (if (i64.ne (call $read (i64.const 5) (i64.const 0) (i64.const 1)) (i64.const 0))
            (then (call $read_register (i64.const 1) (i64.const 512))))
        (i64.store (i32.const 512) (i64.add (i64.load (i32.const 512)) (i64.const 1)))
        (drop (call $remove (i64.const 4) (i64.const 5) (i64.const 1)))
        (drop (call $write (i64.const 5) (i64.const 0) (i64.const 8) (i64.const 512) (i64.const 1)))
        (drop (call $write (i64.const 4) (i64.const 5) (i64.const 8) (i64.const 512) (i64.const 1)))
        (call $log_utf8 (i64.const 21) (i64.const 16))
        (call $value_return (i64.const 8) (i64.const 512)))
    (func (export "about")
        (i64.store (i32.const 1000) (call $block_index))
        (i64.store (i32.const 1008) (call $block_timestamp))
        (i64.store (i32.const 1016) (call $prepaid_gas))
        (call $predecessor (i64.const 1))
        (call $read_register (i64.const 1) (i64.const 1024))
        (call $current (i64.const 2))
        (call $read_register (i64.const 2) (i64.const 1100))
        (call $value_return (i64.const 170) (i64.const 1000)))
    (func (export "seed") (call $random_seed (i64.const 1)) (call $return (i64.const 1)))
    (func (export "fail") (call $panic_utf8 (i64.const 22) (i64.const 48)))
    (func (export "trap") unreachable)
    (func (export "spin") (loop $l (br $l)))
    (func (export "pay") (drop (call $promise (i64.const 8) (i64.const 80)))))"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_does_the_same_on_a_node_and_here_to_the_unit_of_gas() -> Result<()> {
    let testbed = Testbed::start().await?;
    let mut home = Home::new(&testbed)?;
    let you = testbed.node.dev_create_account().await?;
    home.import(&you)?;
    let id = you.id().as_str();
    home.call(id, "you.testnet");
    home.call(&testbed.node.status().await?.chain_id, "localnet");
    let mut code = wat::parse_str(CONTRACT)?;
    std::fs::write(home.path().join("c.wasm"), &code)?;
    code.extend(b"\0\x06\x05other");
    std::fs::write(home.path().join("other.wasm"), &code)?;
    let compare = async |arguments: &[&str]| {
        home.run(&[&["compare", "--account", id][..], arguments].concat()).await
    };

    let absent = compare(&["c.wasm", "echo"]).await?.with(2)?;
    ensure!(absent.stderr.contains("--deploy puts it on an account of your own"), "{absent:?}");
    let dry = compare(&["c.wasm", "echo", "--deploy", "--call", "--dry-run"]).await?.with(0)?;
    ensure!(dry.stdout.matches("near-cli").count() == 2, "{dry:?}");
    let viewed = compare(&["c.wasm", "echo", "--args", "hello", "--deploy"]).await?;
    home.snapshot("compare-view", &viewed)?;
    let again = compare(&["c.wasm", "echo", "--args", "hello", "--deploy"]).await?;
    ensure!(again.code == Some(0), "it is there already: {again:?}");
    let other = compare(&["other.wasm", "echo", "--deploy"]).await?.with(2)?;
    ensure!(other.stderr.contains("It is not replaced"), "{other:?}");
    let no_view = compare(&["c.wasm", "count"]).await?.with(2)?;
    ensure!(no_view.stderr.contains("--call calls it in a transaction"), "{no_view:?}");

    for (method, error) in [
        ("count", None),
        ("count", None),
        ("echo", None),
        ("about", None),
        ("seed", None),
        ("fail", Some("a contract's own words")),
        ("trap", Some("unreachable")),
        ("spin", Some("xceeded")),
        ("absent", Some("MethodNotFound")),
    ] {
        let said = compare(&["c.wasm", method, "--call", "--tgas", "30", "--json"]).await?;
        let seen = said.json()?;
        ensure!(said.code == Some(0) && seen["verdict"] == "same", "{method}: {said:?}");
        match error {
            None => ensure!(seen["there"]["output"] == seen["here"]["output"], "{seen}"),
            Some(error) => {
                let found = seen["there"]["error"].as_str().context("an error")?;
                ensure!(found.contains(error), "{method}: {found}");
            }
        }
        let gas = &seen["gas"];
        ensure!(gas["there"]["unexplained"] == 0, "{method}: {gas}");
        // Under the fees of another protocol version the gas may differ, and the verdict says so.
        if gas["same_fees"] == true {
            ensure!(gas["there"]["compared"] == gas["here"]["compared"], "{method}: {gas}");
            ensure!(gas["there"]["loading"] == gas["here"]["loading"], "{method}: {gas}");
        }
        let sum = ["fees", "loading", "instructions", "host_functions", "trie", "receipts_made"]
            .iter()
            .filter_map(|part| gas["there"][part].as_u64())
            .sum::<u64>();
        ensure!(json!(sum) == gas["there"]["receipt"], "{method}: {gas}");
    }
    let counted = compare(&["c.wasm", "count", "--call", "--json"]).await?.json()?;
    let logs: Value = json!(["the count is one more"]);
    ensure!(counted["there"]["logs"] == logs, "{counted}");

    let refused = compare(&["c.wasm", "pay", "--call"]).await?;
    ensure!(refused.stdout.contains("a guest cannot do what the method does"), "{refused:?}");
    refused.with(9)?;
    Ok(())
}
