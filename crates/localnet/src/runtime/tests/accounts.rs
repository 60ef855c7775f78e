//! Accounts, contracts, yields and queues over several blocks.

use super::chain::{Chain, call, id, public_key, transfer};
use super::scenario::contract;
use near_primitives::account::AccountContract;
use near_primitives::action::{
    Action, CreateAccountAction, DeleteAccountAction, DeployContractAction,
    DeployGlobalContractAction, FunctionCallAction, GlobalContractDeployMode,
    GlobalContractIdentifier, StakeAction, UseGlobalContractAction,
};
use near_primitives::errors::{ActionErrorKind, CompilationError, FunctionCallError};
use near_primitives::hash::hash;
use near_primitives::receipt::VersionedReceiptEnum;
use near_primitives::types::{Balance, Gas};

fn chain(version: u32) -> Chain {
    let mut chain = Chain::new(version);
    chain.create("alice.test.near", Balance::from_near(100), None);
    chain
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn only_the_registrar_makes_short_top_level_accounts() {
    let mut chain = chain(88);
    let create = || vec![Action::CreateAccount(CreateAccountAction {})];
    let tx = chain.run("alice.test.near", "short", create());
    assert_eq!(
        chain.failure(&tx),
        Some(ActionErrorKind::CreateAccountOnlyByRegistrar {
            account_id: id("short"),
            registrar_account_id: id("registrar"),
            predecessor_id: id("alice.test.near"),
        })
    );
    let account = chain.state.account(&id("alice.test.near")).unwrap();
    chain.state.set_account(&id("registrar"), &account);
    let key = near_primitives::account::AccessKey::full_access();
    chain.state.set_access_key(&id("registrar"), &public_key("registrar"), &key);
    let tx = chain.run("registrar", "short", create());
    assert_eq!(chain.failure(&tx), None);
    // An implicit account comes into being by a transfer only.
    let implicit = "ab".repeat(32);
    let tx = chain.run("registrar", &implicit, create());
    assert!(matches!(
        chain.failure(&tx),
        Some(ActionErrorKind::OnlyImplicitAccountCreationAllowed { .. })
    ));
}

#[test]
fn a_failed_batch_leaves_nothing_behind() {
    let mut chain = chain(88);
    let root = chain.state.account(&id("alice.test.near"));
    let code = contract("basic");
    let actions = vec![
        Action::DeployContract(DeployContractAction { code }),
        call("write", b"kept?"),
        call("trap", b""),
    ];
    let tx = chain.run("alice.test.near", "alice.test.near", actions);
    assert!(matches!(chain.failure(&tx), Some(ActionErrorKind::FunctionCallError(_))));
    let after = chain.state.account(&id("alice.test.near"));
    assert_eq!(after.as_ref().map(|a| a.storage_usage()), root.map(|a| a.storage_usage()));
    assert_eq!(chain.state.code(&id("alice.test.near")), None);
    assert_eq!(chain.state.contract_data_iter(&id("alice.test.near"), b"").count(), 0);
}

#[test]
fn an_account_with_much_state_cannot_be_deleted() {
    let mut chain = chain(88);
    let code = contract("basic");
    let deploy = Action::DeployContract(DeployContractAction { code });
    chain.run("alice.test.near", "alice.test.near", vec![deploy, call("write_big", b"")]);
    let delete = Action::DeleteAccount(DeleteAccountAction { beneficiary_id: id("near") });
    let tx = chain.run("alice.test.near", "alice.test.near", vec![delete]);
    let account_id = id("alice.test.near");
    assert_eq!(
        chain.failure(&tx),
        Some(ActionErrorKind::DeleteAccountWithLargeState { account_id })
    );
}

#[test]
fn a_deleted_account_leaves_no_key_and_no_data() {
    let mut chain = chain(88);
    let code = contract("basic");
    let deploy = Action::DeployContract(DeployContractAction { code });
    chain.run("alice.test.near", "alice.test.near", vec![deploy, call("write", b"x")]);
    let before = chain.amount("near");
    let balance = chain.amount("alice.test.near");
    let delete = Action::DeleteAccount(DeleteAccountAction { beneficiary_id: id("near") });
    chain.run("alice.test.near", "alice.test.near", vec![delete]);
    let alice = id("alice.test.near");
    assert_eq!(chain.state.account(&alice), None);
    assert!(chain.state.access_keys(&alice).is_empty());
    assert_eq!(chain.state.code(&alice), None);
    assert_eq!(chain.state.contract_data_iter(&alice, b"").count(), 0);
    let got = chain.amount("near").as_yoctonear() - before.as_yoctonear();
    assert!(got > 0 && got < balance.as_yoctonear());
}

#[test]
fn a_stake_that_is_large_enough_is_locked_and_proposed() {
    let mut chain = chain(88);
    let stake = |near| {
        vec![Action::Stake(Box::new(StakeAction {
            stake: Balance::from_near(near),
            public_key: public_key("validator"),
        }))]
    };
    let tx = chain.run("alice.test.near", "alice.test.near", stake(0));
    let account_id = id("alice.test.near");
    assert_eq!(chain.failure(&tx), Some(ActionErrorKind::TriesToUnstake { account_id }));
    let tx = chain.run("alice.test.near", "alice.test.near", stake(9));
    assert_eq!(
        chain.failure(&tx),
        Some(ActionErrorKind::InsufficientStake {
            account_id: id("alice.test.near"),
            stake: Balance::from_near(9),
            minimum_stake: Balance::from_near(10),
        })
    );
    chain.run("alice.test.near", "alice.test.near", stake(60));
    let account = chain.state.account(&id("alice.test.near")).unwrap();
    assert_eq!(account.locked(), Balance::from_near(60));
    let tx = chain.run("alice.test.near", "alice.test.near", stake(200));
    assert!(matches!(chain.failure(&tx), Some(ActionErrorKind::TriesToStake { .. })));
    let delete = Action::DeleteAccount(DeleteAccountAction { beneficiary_id: id("near") });
    let tx = chain.run("alice.test.near", "alice.test.near", vec![delete]);
    let account_id = id("alice.test.near");
    assert_eq!(chain.failure(&tx), Some(ActionErrorKind::DeleteAccountStaking { account_id }));
}

#[test]
fn a_global_contract_is_deployed_once_and_used_by_others() {
    for by_account in [false, true] {
        let mut chain = chain(88);
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
        // 10^20 yoctoNEAR a byte are burnt beside the gas.
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
fn an_eth_implicit_account_uses_a_wallet_that_nobody_has_deployed() {
    let mut chain = chain(88);
    let wallet = "0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
    chain.run("alice.test.near", wallet, vec![transfer(Balance::from_near(1))]);
    let account = chain.state.account(&id(wallet)).unwrap();
    assert!(account.global_contract_hash().is_some());
    assert_eq!(account.storage_usage(), 132);
    let tx = chain.run("alice.test.near", wallet, vec![call("rlp_execute", b"")]);
    let error = FunctionCallError::CompilationError(CompilationError::CodeDoesNotExist {
        account_id: id(wallet),
    });
    assert_eq!(chain.failure(&tx), Some(ActionErrorKind::FunctionCallError(error)));
}

/// `is_deterministic_account_multi_action_eligible` in `runtime/runtime/src/lib.rs`.
#[test]
fn a_transfer_makes_an_account_whose_id_commits_to_its_contract_even_before_other_actions() {
    let mut chain = chain(84);
    let name = "0s0123456789abcdef0123456789abcdef01234567";
    let actions = vec![transfer(Balance::from_near(1)), call("hello", b"")];
    let tx = chain.run("alice.test.near", name, actions);
    // The account was there for the call, which found no code.
    assert!(matches!(
        chain.failure(&tx),
        Some(ActionErrorKind::FunctionCallError(FunctionCallError::CompilationError(_)))
    ));
    let tx = chain.run("alice.test.near", name, vec![transfer(Balance::from_near(1))]);
    assert_eq!(chain.failure(&tx), None);
    assert_eq!(chain.amount(name), Balance::from_near(1));
}

#[test]
fn receipts_that_find_the_block_full_run_later_in_their_order() {
    let mut chain = chain(84);
    chain.create("c.test.near", Balance::from_near(10), Some(contract("basic")));
    chain.gas_limit = Gas::from_teragas(3);
    let alice = id("alice.test.near");
    let txs: Vec<_> = (1..=12)
        .map(|n| {
            let calls = vec![call("hello", b"")];
            chain.sign(&alice, "alice.test.near", &id("c.test.near"), calls, n)
        })
        .collect();
    let hashes: Vec<_> = txs.iter().map(|tx| tx.get_hash()).collect();
    chain.block(txs);
    for _ in 0..30 {
        chain.block(vec![]);
    }
    let heights: Vec<u64> =
        hashes.iter().map(|tx| chain.outcomes[&chain.outcome(tx).receipt_ids[0]].1).collect();
    assert!(heights.is_sorted(), "{heights:?}");
    assert!(heights[11] > heights[0] + 1, "{heights:?}");
    assert_eq!(chain.state.iter_prefix(&[7]).count(), 1, "only the indices stay");
}

const WITH_ID: &str = r#"(module
  (import "env" "promise_yield_create_with_id"
    (func $create (param i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "promise_yield_resume_with_yield_id"
    (func $resume (param i64 i64 i64 i64) (result i32)))
  (import "env" "value_return" (func $value (param i64 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "done")
  (data (i32.const 16) "an id of thirty-two bytes, 32...")
  (func (export "make")
    (i64.store (i32.const 128) (call $create
      (i64.const 4) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 64)
      (i64.const 5000000000000) (i64.const 0) (i64.const 32) (i64.const 16)))
    (call $value (i64.const 8) (i64.const 128)))
  (func (export "end")
    (i32.store (i32.const 128)
      (call $resume (i64.const 32) (i64.const 16) (i64.const 4) (i64.const 0)))
    (call $value (i64.const 4) (i64.const 128)))
  (func (export "done")))"#;

#[test]
fn a_yield_with_an_id_is_one_at_a_time_and_frees_its_id() {
    let mut chain = chain(88);
    chain.create("y.test.near", Balance::from_near(10), Some(wat(WITH_ID)));
    let run = |chain: &mut Chain, method| {
        let tx = chain.run("alice.test.near", "y.test.near", vec![call(method, b"")]);
        assert_eq!(chain.failure(&tx), None);
        chain.value(&tx)
    };
    assert_eq!(run(&mut chain, "end"), 0u32.to_le_bytes());
    assert_eq!(run(&mut chain, "make"), 0u64.to_le_bytes());
    // The id is taken.
    assert_eq!(run(&mut chain, "make"), u64::MAX.to_le_bytes());
    assert_eq!(run(&mut chain, "end"), 1u32.to_le_bytes());
    assert_eq!(run(&mut chain, "end"), 0u32.to_le_bytes());
    assert_eq!(run(&mut chain, "make"), 0u64.to_le_bytes());
    chain.block_after(210, vec![]);
    chain.settle();
    assert_eq!(run(&mut chain, "end"), 0u32.to_le_bytes());
    for column in [12, 20, 22, 23] {
        assert_eq!(chain.state.iter_prefix(&[column]).count(), 0, "column {column}");
    }
}

#[test]
fn a_timeout_falls_due_after_200_blocks() {
    for version in [84, 88] {
        let mut chain = chain(version);
        chain.create("y.test.near", Balance::from_near(10), Some(contract("yield")));
        let alice = id("alice.test.near");
        let calls = vec![call("y_ret", b"")];
        let tx = chain.sign(&alice, "alice.test.near", &id("y.test.near"), calls, 1);
        let hash = tx.get_hash();
        chain.block(vec![tx]);
        chain.block(vec![]);
        let made = chain.height;
        while chain.height < made + 200 {
            assert!(!chain.is_done(&hash), "{} blocks", chain.height - made);
            chain.block(vec![]);
        }
        // The resumption is made by the block 200 above, and runs in the next.
        let [resumption] = &*chain.outgoing else { panic!("{:?}", chain.outgoing) };
        let VersionedReceiptEnum::PromiseResume(data) = resumption.versioned_receipt() else {
            panic!("{resumption:?}")
        };
        assert_eq!(data.data, None);
        chain.block(vec![]);
        chain.settle();
        assert!(chain.is_done(&hash));
    }
}

/// A timeout is made at the end of the block 200 above and arrives in the next. A resume that executes before it there
/// still wins: `PromiseYieldStatus` in `runtime/runtime/src/{ext,lib}.rs`.
#[test]
fn a_resume_races_the_timeout_and_wins_until_it_has_arrived() {
    for (blocks, wins) in [(199, true), (200, true), (201, true), (202, false), (203, false)] {
        let mut chain = chain(84);
        chain.create("y.test.near", Balance::from_near(10), Some(contract("yield")));
        let alice = id("alice.test.near");
        let calls = vec![call("y_ret", b"")];
        let asked = chain.sign(&alice, "alice.test.near", &id("y.test.near"), calls, 1);
        let asked_hash = asked.get_hash();
        chain.block(vec![asked]);
        chain.block(vec![]);
        let made = chain.height;
        // The block below takes the transaction, whose receipt then executes in time.
        while chain.height + 2 < made + blocks {
            chain.block(vec![]);
        }
        let calls = vec![call("r", b"payload")];
        let resume = chain.sign(&alice, "alice.test.near", &id("y.test.near"), calls, 1);
        let resume_hash = resume.get_hash();
        chain.block(vec![resume]);
        chain.block(vec![]);
        assert_eq!(chain.height, made + blocks);
        chain.settle();
        assert_eq!(chain.value(&resume_hash), if wins { b"1" } else { b"0" }, "{blocks}");
        // The callback returns what came, or what it says of a timeout.
        let value = chain.value(&asked_hash);
        assert_eq!(value == b"payload", wins, "{blocks}: {value:?}");
        let yielded = chain.receipt_outcome(&asked_hash).receipt_ids[0];
        let ran = chain.outcomes[&yielded].1;
        assert_eq!(ran, made + blocks.min(200) + 1 + u64::from(blocks == 201), "{blocks}");
    }
}

#[test]
fn a_view_sees_and_changes_nothing() {
    let mut chain = chain(88);
    chain.create("c.test.near", Balance::from_near(10), Some(contract("basic")));
    let root = chain.state.root();
    let ctx = chain.context(chain.height);
    let view = |method: &str| {
        super::chain::ENGINE.view_call(&chain.state, &ctx, &id("c.test.near"), method, b"")
    };
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
        let mut chain = chain(version);
        // Small enough to live without a balance.
        chain.create("c.test.near", Balance::ZERO, Some(wat(ONE_YOCTO)));
        let config = super::chain::ENGINE.config(version).clone();
        let before = super::supply::total(&chain, &config);
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
        // The yocto that appears is taken from what is burnt.
        assert_eq!(before, super::supply::total(&chain, &config) + burnt, "{version}");
    }
}

/// Writes 64 values of 64 KiB, and reads as many as the argument has bytes.
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

/// `runtime/near-vm-runner/src/logic/recorded_storage_counter.rs`: 4,000,000 bytes of storage proof.
#[test]
fn a_call_that_reads_more_than_four_megabytes_fails() {
    for version in [84, 88] {
        let mut chain = chain(version);
        chain.create("l.test.near", Balance::from_near(100), Some(wat(LARGE)));
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
