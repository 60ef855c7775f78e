//! Global contracts, view calls, and what a contract may attach and read.

use near_primitives::{
    account::AccountContract,
    action::{
        Action, DeployGlobalContractAction, FunctionCallAction, GlobalContractDeployMode,
        GlobalContractIdentifier, UseGlobalContractAction,
    },
    errors::{ActionErrorKind, CompilationError, FunctionCallError},
    hash::hash,
    types::{Balance, Gas},
};

use super::{
    chain::{Chain, RUNTIME, call, id},
    scenario::contract,
    supply::total_supply,
};

#[test]
fn a_global_contract_is_deployed_once_and_used_by_others() {
    for by_account in [false, true] {
        let mut chain = Chain::with_alice(88, 100);
        chain.create("user.test.near", Balance::from_near(1), None);
        let code = contract("basic");
        let (mode, identifier, usage) = if by_account {
            let owner = id("alice.test.near");
            (GlobalContractDeployMode::AccountId, GlobalContractIdentifier::AccountId(owner), 15)
        } else {
            let code_hash = hash(&code);
            (GlobalContractDeployMode::CodeHash, GlobalContractIdentifier::CodeHash(code_hash), 32)
        };
        let use_it = || {
            vec![Action::UseGlobalContract(Box::new(UseGlobalContractAction {
                contract_identifier: identifier.clone(),
            }))]
        };
        let tx = chain.run("user.test.near", "user.test.near", use_it());
        let identifier = identifier.clone();
        assert_eq!(
            chain.failure(&tx),
            Some(ActionErrorKind::GlobalContractDoesNotExist { identifier })
        );
        let deploy = DeployGlobalContractAction { code: code.clone().into(), deploy_mode: mode };
        let tx = chain.run(
            "alice.test.near",
            "alice.test.near",
            vec![Action::DeployGlobalContract(deploy)],
        );
        // Besides the gas, 10^20 yoctoNEAR are burnt for each byte.
        let price = u128::try_from(code.len()).unwrap() * 100_000_000_000_000_000_000;
        assert!(chain.receipt_outcome(&tx).tokens_burnt.as_yoctonear() > price);
        chain.run("user.test.near", "user.test.near", use_it());
        let account = chain.state.account(&id("user.test.near")).unwrap();
        assert!(!matches!(*account.contract(), AccountContract::None | AccountContract::Local(_)));
        assert_eq!(account.storage_usage(), 182 + usage);
        let tx = chain.run("alice.test.near", "user.test.near", vec![call("hello", b"")]);
        assert_eq!(chain.value(&tx), b"world");
    }
}

#[test]
fn a_view_sees_and_changes_nothing() {
    let mut chain = Chain::with_alice(88, 100);
    chain.create("c.test.near", Balance::from_near(10), Some(contract("basic")));
    let root = chain.state.root();
    let ctx = chain.context(chain.height);
    let view =
        |method: &str| RUNTIME.view_call(&chain.state, &ctx, &id("c.test.near"), method, b"", None);
    assert_eq!(view("hello").unwrap().result, b"world");
    let error = view("write").unwrap_err().to_string();
    assert_eq!(
        error,
        "wasm execution failed with error: HostError(ProhibitedInView { method_name: \
         \"storage_write\" })"
    );
    assert_eq!(chain.state.root(), root);
}

/// Calls itself with one yoctoNEAR attached.
const ONE_YOCTO: &str = r#"(module
  (import "env" "current_account_id" (func $me (param i64)))
  (import "env" "register_len" (func $len (param i64) (result i64)))
  (import "env" "promise_create"
    (func $promise (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "end")
  (data (i32.const 16) "\01")
  (func (export "go")
    (call $me (i64.const 0))
    (drop (call $promise (i64.const -1) (i64.const 0) (i64.const 3) (i64.const 0)
      (i64.const 0) (i64.const 0) (i64.const 16) (i64.const 5000000000000))))
  (func (export "end")))"#;

#[test]
fn a_contract_with_nothing_may_attach_one_yocto_from_85_on() {
    for (version, works) in [(84, false), (85, true)] {
        let mut chain = Chain::with_alice(version, 100);
        // The account is small enough to need no balance.
        chain.create("c.test.near", Balance::ZERO, Some(wat::parse_str(ONE_YOCTO).unwrap()));
        let config = RUNTIME.config(version).clone();
        let before = total_supply(&chain, &config);
        let alice = id("alice.test.near");
        let calls = vec![call("go", b"")];
        let tx = chain.sign(&alice, "alice.test.near", &id("c.test.near"), calls, 1);
        let hash = tx.get_hash();
        chain.block(vec![tx]);
        let mut burnt = chain.burnt.as_yoctonear();
        for _ in 0..4 {
            chain.block(vec![]);
            burnt += chain.burnt.as_yoctonear();
        }
        assert_eq!(chain.failure(&hash).is_none(), works, "{version}");
        // The block counts the yoctoNEAR that the protocol issues against what it burns.
        assert_eq!(before, total_supply(&chain, &config) + burnt, "{version}");
    }
}

/// `fill` writes 64 values of 64 KiB. `scan` reads as many of them as its argument has bytes.
const LARGE: &str = r#"(module
  (import "env" "storage_write" (func $write (param i64 i64 i64 i64 i64) (result i64)))
  (import "env" "storage_read" (func $read (param i64 i64 i64) (result i64)))
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $len (param i64) (result i64)))
  (memory (export "memory") 2)
  (func (export "fill") (local $n i32)
    (loop $again
      (i32.store8 (i32.const 0) (local.get $n))
      (i32.store8 (i32.const 65536) (local.get $n))
      (drop (call $write (i64.const 1) (i64.const 0) (i64.const 65536) (i64.const 65536)
        (i64.const 0)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 64)))))
  (func (export "scan") (local $n i64)
    (call $input (i64.const 0))
    (local.set $n (call $len (i64.const 0)))
    (loop $again
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (i64.store8 (i32.const 0) (local.get $n))
      (drop (call $read (i64.const 1) (i64.const 0) (i64.const 1)))
      (br_if $again (i64.gt_u (local.get $n) (i64.const 0))))))"#;

/// The limit is 4,000,000 bytes of storage proof
/// (`runtime/near-vm-runner/src/logic/recorded_storage_counter.rs`).
#[test]
fn a_call_that_reads_more_than_four_megabytes_fails() {
    for version in [84, 88] {
        let mut chain = Chain::with_alice(version, 100);
        chain.create("l.test.near", Balance::from_near(100), Some(wat::parse_str(LARGE).unwrap()));
        let calls = |method: &str, reads: usize| {
            vec![Action::FunctionCall(Box::new(FunctionCallAction {
                method_name: method.to_owned(),
                args: vec![0; reads],
                gas: Gas::from_teragas(900),
                deposit: Balance::ZERO,
            }))]
        };
        let tx = chain.run("alice.test.near", "l.test.near", calls("fill", 0));
        assert_eq!(chain.failure(&tx), None, "{version}");
        let tx = chain.run("alice.test.near", "l.test.near", calls("scan", 60));
        assert_eq!(chain.failure(&tx), None, "{version}");
        let tx = chain.run("alice.test.near", "l.test.near", calls("scan", 64));
        let Some(ActionErrorKind::FunctionCallError(FunctionCallError::ExecutionError(text))) =
            chain.failure(&tx)
        else {
            panic!("{:?}", chain.failure(&tx));
        };
        assert!(text.contains("storage proof"), "{text}");
    }
}

/// Compiled contracts are kept by their hashes, for all chains on a machine.
#[test]
fn a_contract_that_only_another_chain_has_is_missing() {
    let code = contract("basic");
    let mut other = Chain::with_alice(88, 50);
    other.create("bob.test.near", Balance::from_near(10), Some(code.clone()));
    let tx = other.run("alice.test.near", "bob.test.near", vec![call("hello", b"")]);
    assert_eq!(other.failure(&tx), None);

    let mut chain = Chain::with_alice(88, 50);
    chain.create("bob.test.near", Balance::from_near(10), None);
    let bob = id("bob.test.near");
    let hash = hash(&code);
    let by_account = AccountContract::GlobalByAccount(bob.clone());
    for contract in [AccountContract::Global(hash), AccountContract::Local(hash), by_account] {
        let mut account = chain.state.account(&bob).unwrap();
        account.set_contract(contract).unwrap();
        chain.state.set_account(&bob, &account);
        let tx = chain.run("alice.test.near", bob.as_str(), vec![call("hello", b"")]);
        let missing = CompilationError::CodeDoesNotExist { account_id: bob.clone() };
        let error = FunctionCallError::CompilationError(missing);
        assert_eq!(chain.failure(&tx), Some(ActionErrorKind::FunctionCallError(error)));
        let ctx = chain.context(chain.height);
        let viewed = RUNTIME.view_call(&chain.state, &ctx, &bob, "hello", b"", None);
        let error = viewed.err().unwrap().to_string();
        assert!(error.contains("CodeDoesNotExist"), "{error}");
    }
}
