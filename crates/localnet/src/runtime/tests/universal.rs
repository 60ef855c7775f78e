//! Universal accounts, whose ids commit to their first keys, code and data
//! (`runtime/runtime/src/universal_account_id.rs` and `verifier.rs` in nearcore).

use std::collections::{BTreeMap, BTreeSet};

use near_crypto::PublicKeyHandle;
use near_primitives::{
    account::{AccessKey, AccountContract},
    action::{
        Action, AddKeyAction, CreateAccountAction, DeployGlobalContractAction,
        GlobalContractDeployMode, GlobalContractIdentifier, UniversalStateInitAction,
    },
    errors::{ActionErrorKind, ActionsValidationError, InvalidAccessKeyError, InvalidTxError},
    receipt::Receipt,
    transaction::SignedTransaction,
    types::{AccountId, Balance},
    universal_state_init::{RawStateInit, UniversalStateInit, UniversalStateInitV1},
    utils::derive_universal_account_id,
};

use super::{
    chain::{Chain, call, id, public_key, transfer},
    scenario::contract,
};

const ALICE: &str = "alice.test.near";
const ONE: Balance = Balance::from_near(1);

type Data = BTreeMap<Vec<u8>, Vec<u8>>;

/// A state init with the code of alice's global contract, and a key for each label.
pub(super) fn state_init(has_code: bool, data: Data, labels: &[&str]) -> (AccountId, RawStateInit) {
    let code = has_code.then(|| GlobalContractIdentifier::AccountId(id(ALICE)));
    let access_keys: BTreeSet<_> =
        labels.iter().map(|label| PublicKeyHandle::from(&public_key(label))).collect();
    let raw = UniversalStateInit::V1(UniversalStateInitV1 { code, data, access_keys }).to_raw();
    (derive_universal_account_id(&raw), raw)
}

pub(super) fn action(state_init: &RawStateInit, deposit: Balance) -> Action {
    let state_init = state_init.clone();
    Action::UniversalStateInit(Box::new(UniversalStateInitAction { state_init, deposit }))
}

fn deploy(chain: &mut Chain) {
    let deploy = Action::DeployGlobalContract(DeployGlobalContractAction {
        code: contract("basic").into(),
        deploy_mode: GlobalContractDeployMode::AccountId,
    });
    let tx = chain.run(ALICE, ALICE, vec![deploy]);
    assert_eq!(chain.failure(&tx), None);
}

fn add_key(label: &str) -> Action {
    let (public_key, access_key) = (public_key(label), AccessKey::full_access());
    Action::AddKey(Box::new(AddKeyAction { public_key, access_key }))
}

/// The account's own transaction, with a nonce of the account.
fn bootstrap(
    chain: &Chain,
    account: &AccountId,
    label: &str,
    nonce: u64,
    actions: Vec<Action>,
) -> SignedTransaction {
    let nonce = i64::try_from(nonce).unwrap();
    chain.sign(account, label, account, actions, nonce)
}

fn bootstrap_nonce(chain: &Chain, account: &AccountId) -> u64 {
    chain.state.account(account).unwrap().bootstrap_nonce().unwrap()
}

fn validation(error: InvalidTxError) -> ActionsValidationError {
    match error {
        InvalidTxError::ActionsValidation(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_account_gets_the_keys_the_code_and_the_data_that_its_id_commits_to() {
    let mut chain = Chain::with_alice(88, 50);
    deploy(&mut chain);
    let data = Data::from([(b"k".to_vec(), vec![7; 2_000])]);
    let (account, init) = state_init(true, data, &["one", "two"]);
    let tx = chain.run(ALICE, account.as_str(), vec![action(&init, ONE)]);
    assert_eq!(chain.failure(&tx), None);
    let found = chain.state.account(&account).unwrap();
    assert_eq!(found.contract().into_owned(), AccountContract::GlobalByAccount(id(ALICE)));
    // Its own bytes, those of the contract's name, of the entry, and of two keys with nine bytes
    // each.
    let usage = 100 + ALICE.len() as u64 + (40 + 1 + 2_000) + 2 * (40 + 33 + 9);
    assert_eq!(found.storage_usage(), usage);
    let kept = u128::from(usage) * 10_u128.pow(19);
    assert_eq!(found.amount().as_yoctonear(), kept, "the rest went back");
    assert_eq!(chain.state.contract_data(&account, b"k").unwrap().as_ref(), [7; 2_000]);
    for label in ["one", "two"] {
        let key = chain.state.access_key(&account, &public_key(label)).unwrap();
        assert_eq!(
            key.nonce,
            (chain.outcomes[&chain.outcome(&tx).receipt_ids[0]].1 - 1) * 1_000_000
        );
    }
    let tx = chain.run(ALICE, account.as_str(), vec![call("hello", b"")]);
    assert_eq!(chain.failure(&tx), None);
    let own = chain.sign(&account, "two", &account, vec![add_key("three")], 1);
    chain.check(&own).unwrap_err();
    let tx = chain.run(ALICE, account.as_str(), vec![transfer(ONE)]);
    assert_eq!(chain.failure(&tx), None);
    let own = chain.sign(&account, "two", &account, vec![add_key("three")], 1);
    chain.check(&own).unwrap();

    // A second time nothing changes, and the whole deposit goes back.
    let before = chain.state.account(&account).unwrap();
    let spent = chain.amount(ALICE);
    let tx = chain.run(ALICE, account.as_str(), vec![action(&init, ONE)]);
    assert_eq!(chain.failure(&tx), None);
    assert_eq!(chain.state.account(&account).unwrap(), before);
    let spent = spent.checked_sub(chain.amount(ALICE)).unwrap();
    assert!(spent < Balance::from_millinear(10), "{spent}");
}

/// The deposit of a repeated state init is never kept, not even for storage that lacks a balance.
#[test]
fn a_repeated_state_init_gives_nothing_to_an_account_that_lacks_balance() {
    let mut chain = Chain::with_alice(88, 50);
    let data = Data::from([(b"k".to_vec(), vec![7; 2_000])]);
    let (account, init) = state_init(false, data, &["one"]);
    let tx = chain.run(ALICE, account.as_str(), vec![action(&init, ONE)]);
    assert_eq!(chain.failure(&tx), None);
    let mut poor = chain.state.account(&account).unwrap();
    poor.set_amount(Balance::ZERO);
    chain.state.set_account(&account, &poor);
    let tx = chain.run(ALICE, account.as_str(), vec![action(&init, ONE)]);
    let Some(ActionErrorKind::LackBalanceForState { account_id, .. }) = chain.failure(&tx) else {
        panic!("{:?}", chain.failure(&tx));
    };
    assert_eq!(account_id, account);
}

#[test]
fn a_transfer_creates_an_account_that_can_do_nothing_before_its_state_init() {
    let mut chain = Chain::with_alice(88, 50);
    let (account, init) = state_init(false, Data::new(), &["one"]);
    let name = account.as_str();
    let tx = chain.run(ALICE, name, vec![transfer(ONE)]);
    assert_eq!(chain.failure(&tx), None);
    let height = chain.outcomes[&chain.outcome(&tx).receipt_ids[0]].1;
    let waiting = chain.state.account(&account).unwrap();
    assert!(!waiting.is_initialized());
    assert_eq!(waiting.bootstrap_nonce(), Some((height - 1) * 1_000_000));
    assert_eq!((waiting.amount(), waiting.storage_usage()), (ONE, 100));
    for refused in [call("hello", b""), add_key("mine")] {
        let tx = chain.run(ALICE, name, vec![refused]);
        let account_id = account.clone();
        let expected = ActionErrorKind::AccountNotInitialized { account_id };
        assert_eq!(chain.failure(&tx), Some(expected));
    }
    let tx = chain.run(ALICE, name, vec![Action::CreateAccount(CreateAccountAction {})]);
    let expected = ActionErrorKind::AccountAlreadyExists { account_id: account.clone() };
    assert_eq!(chain.failure(&tx), Some(expected));
    let tx = chain.run(ALICE, name, vec![transfer(ONE)]);
    assert_eq!(chain.failure(&tx), None);
    let waiting = chain.state.account(&account).unwrap();
    assert_eq!(waiting.amount(), Balance::from_near(2));

    let tx = chain.run(ALICE, name, vec![action(&init, Balance::ZERO)]);
    assert_eq!(chain.failure(&tx), None);
    let ready = chain.state.account(&account).unwrap();
    assert!(ready.is_initialized());
    assert_eq!((ready.amount(), ready.storage_usage()), (Balance::from_near(2), 100 + 82));
}

#[test]
fn whoever_creates_an_account_cannot_add_a_key_to_it() {
    let mut chain = Chain::with_alice(88, 50);
    let (account, init) = state_init(false, Data::new(), &["one"]);
    let name = account.as_str();
    let actions = vec![transfer(ONE), action(&init, Balance::ZERO), add_key("mine")];
    let tx = chain.run(ALICE, name, actions);
    let expected =
        ActionErrorKind::ActorNoPermission { account_id: account.clone(), actor_id: id(ALICE) };
    assert_eq!(chain.failure(&tx), Some(expected));
    assert!(chain.state.account(&account).is_none(), "nothing is left of it");
    let tx = chain.run(ALICE, name, vec![transfer(ONE), action(&init, Balance::ZERO)]);
    assert_eq!(chain.failure(&tx), None);
    assert_eq!(chain.amount(name), ONE);

    let (unknown, _) = state_init(false, Data::new(), &["other"]);
    let created = Action::CreateAccount(CreateAccountAction {});
    let tx = chain.run(ALICE, unknown.as_str(), vec![created]);
    let expected =
        ActionErrorKind::OnlyImplicitAccountCreationAllowed { account_id: unknown.clone() };
    assert_eq!(chain.failure(&tx), Some(expected));
    // A refund creates no account.
    chain.outgoing.push(Receipt::new_balance_refund(&unknown, ONE));
    chain.block(vec![]);
    assert!(chain.state.account(&unknown).is_none());
}

#[test]
fn an_account_gives_itself_its_keys_with_a_transaction_of_its_own() {
    let mut chain = Chain::with_alice(88, 50);
    let (account, init) = state_init(true, Data::new(), &["one", "two"]);
    let name = account.as_str();
    let actions = || vec![action(&init, Balance::ZERO)];
    let missing = chain.check(&bootstrap(&chain, &account, "one", 1, actions())).unwrap_err();
    assert_eq!(missing, InvalidTxError::SignerDoesNotExist { signer_id: account.clone() });
    chain.run(ALICE, name, vec![transfer(ONE)]);
    let nonce = bootstrap_nonce(&chain, &account);

    // Only with one of its keys, only with the state init, and only with the next nonce.
    for (label, actions) in [("mine", actions()), ("one", vec![transfer(ONE)])] {
        let tx = bootstrap(&chain, &account, label, nonce + 1, actions);
        let InvalidTxError::InvalidAccessKeyError(error) = chain.check(&tx).unwrap_err() else {
            panic!("another error");
        };
        let (account_id, public_key) = (account.clone(), Box::new(public_key(label)));
        assert_eq!(error, InvalidAccessKeyError::AccessKeyNotFound { account_id, public_key });
    }
    for wrong in [nonce, nonce + 2] {
        let error = chain.check(&bootstrap(&chain, &account, "one", wrong, actions())).unwrap_err();
        assert_eq!(error, InvalidTxError::InvalidNonce { tx_nonce: wrong, ak_nonce: nonce });
    }

    // Nobody has deployed the contract yet. The nonce is used up.
    let early = bootstrap(&chain, &account, "one", nonce + 1, actions());
    let hash = early.get_hash();
    chain.block(vec![early.clone()]);
    chain.settle();
    let identifier = GlobalContractIdentifier::AccountId(id(ALICE));
    let expected = ActionErrorKind::GlobalContractDoesNotExist { identifier };
    assert_eq!(chain.failure(&hash), Some(expected));
    assert_eq!(bootstrap_nonce(&chain, &account), nonce + 1);
    let again = InvalidTxError::InvalidNonce { tx_nonce: nonce + 1, ak_nonce: nonce + 1 };
    assert_eq!(chain.check(&early).unwrap_err(), again);

    deploy(&mut chain);
    let mut both = actions();
    both.push(add_key("three"));
    let tx = bootstrap(&chain, &account, "two", nonce + 2, both);
    let hash = tx.get_hash();
    chain.block(vec![tx.clone()]);
    chain.settle();
    assert_eq!(chain.failure(&hash), None);
    assert!(chain.state.account(&account).unwrap().is_initialized());
    for label in ["one", "two", "three"] {
        let key = chain.state.access_key(&account, &public_key(label)).unwrap();
        assert!(key.nonce > nonce + 2, "{label}");
    }
    assert!(matches!(chain.check(&tx), Err(InvalidTxError::InvalidNonce { .. })));
    let own = chain.sign(&account, "one", &id("near"), vec![transfer(Balance::ZERO)], 1);
    chain.check(&own).unwrap();
}

/// The new keys never begin below a nonce that a transaction of the account has used.
#[test]
fn keys_begin_above_the_nonce_of_the_transaction_that_adds_them() {
    let mut chain = Chain::with_alice(88, 50);
    let (account, init) = state_init(false, Data::new(), &["one"]);
    chain.run(ALICE, account.as_str(), vec![transfer(ONE)]);
    let mut waiting = chain.state.account(&account).unwrap();
    // As high as the next block allows.
    let nonce = (chain.height + 1) * 1_000_000 - 1;
    waiting.set_bootstrap_nonce(nonce - 1).unwrap();
    chain.state.set_account(&account, &waiting);
    let too_large = bootstrap(&chain, &account, "one", nonce, vec![action(&init, Balance::ZERO)]);
    let hash = too_large.get_hash();
    chain.block(vec![too_large]);
    assert_eq!(chain.failure(&hash), None);
    let key = chain.state.access_key(&account, &public_key("one")).unwrap();
    assert_eq!(key.nonce, nonce);
}

#[test]
fn a_state_init_that_cannot_be_is_refused() {
    let chain = Chain::with_alice(88, 50);
    let error = |receiver: &str, init: &RawStateInit| {
        validation(chain.invalid(ALICE, receiver, vec![action(init, Balance::ZERO)]))
    };
    let (account, init) = state_init(false, Data::new(), &["one", "two"]);
    assert_eq!(
        error("near", &init),
        ActionsValidationError::InvalidUniversalStateInitReceiver {
            receiver_id: id("near"),
            derived_id: account,
        }
    );
    let malformed = RawStateInit(vec![1, 2, 3]);
    let address = derive_universal_account_id(&malformed);
    assert_eq!(
        error(address.as_str(), &malformed),
        ActionsValidationError::MalformedUniversalStateInit
    );
    // The same keys in another order are another encoding, with another id.
    let keys = init.0.len() - 2 * 33;
    let mut unsorted = init.0[..keys].to_vec();
    unsorted.extend_from_slice(&init.0[keys + 33..]);
    unsorted.extend_from_slice(&init.0[keys..keys + 33]);
    let unsorted = RawStateInit(unsorted);
    UniversalStateInit::from_raw_lenient(&unsorted).unwrap();
    let address = derive_universal_account_id(&unsorted);
    assert_eq!(
        error(address.as_str(), &unsorted),
        ActionsValidationError::MalformedUniversalStateInit
    );
    let (long, init) = state_init(false, Data::from([(vec![1; 2_049], vec![])]), &[]);
    assert_eq!(
        error(long.as_str(), &init),
        ActionsValidationError::UniversalStateInitKeyLengthExceeded { length: 2_049, limit: 2_048 }
    );
    let entries = (0..1_501_u16).map(|n| (n.to_le_bytes().to_vec(), vec![])).collect();
    let (many, init) = state_init(false, entries, &[]);
    assert_eq!(
        error(many.as_str(), &init),
        ActionsValidationError::TotalNumberOfStateInitEntriesExceeded {
            number_of_entries: 1_501,
            limit: 1_500,
        }
    );
    let labels: Vec<String> = (0..1_025).map(|n| n.to_string()).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let (many, init) = state_init(false, Data::new(), &labels);
    assert_eq!(
        error(many.as_str(), &init),
        ActionsValidationError::TotalNumberOfStateInitKeysExceeded {
            number_of_keys: 1_025,
            limit: 1_024,
        }
    );
}

#[test]
fn before_88_there_are_no_universal_accounts() {
    let (account, init) = state_init(false, Data::new(), &["one"]);
    let name = account.as_str();
    for version in 84..88 {
        let mut chain = Chain::with_alice(version, 50);
        let error = validation(chain.invalid(ALICE, name, vec![action(&init, ONE)]));
        let unsupported = ActionsValidationError::UnsupportedProtocolFeature {
            protocol_feature: "UniversalAccounts".to_owned(),
            version,
        };
        assert_eq!(error, unsupported);
        if version == 87 {
            let error = validation(chain.invalid(ALICE, name, vec![transfer(ONE)]));
            let account_id = account.clone();
            let banned =
                ActionsValidationError::TransferToUniversalAccountNotAllowed { account_id };
            assert_eq!(error, banned);
            continue;
        }
        let tx = chain.run(ALICE, name, vec![transfer(ONE)]);
        let expected = ActionErrorKind::AccountDoesNotExist { account_id: account.clone() };
        assert_eq!(chain.failure(&tx), Some(expected), "{version}");
    }
}

/// Its input is a state init. `address` gives the id that it has, or a status; `create` sends it to
/// that id.
pub(super) const CREATOR: &str = r#"(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $len (param i64) (result i64)))
  (import "env" "read_register" (func $read (param i64 i64)))
  (import "env" "value_return" (func $return (param i64 i64)))
  (import "env" "promise_return" (func $promise_return (param i64)))
  (import "env" "promise_batch_create" (func $batch (param i64 i64) (result i64)))
  (import "env" "universal_state_init_to_account_id"
    (func $address (param i64 i64 i64) (result i64)))
  (import "env" "promise_batch_action_universal_state_init"
    (func $init (param i64 i64 i64 i64)))
  (memory (export "memory") 4)
  (func $id (result i64)
    (call $input (i64.const 0))
    (call $read (i64.const 0) (i64.const 1024))
    (call $address (call $len (i64.const 0)) (i64.const 1024) (i64.const 1)))
  (func (export "address") (local $status i64)
    (local.set $status (call $id))
    (if (i64.eqz (local.get $status))
      (then (call $return (i64.const -1) (i64.const 1)))
      (else
        (i64.store (i32.const 0) (local.get $status))
        (call $return (i64.const 1) (i64.const 0)))))
  (func (export "create") (local $promise i64)
    (drop (call $id))
    (local.set $promise (call $batch (i64.const -1) (i64.const 1)))
    (call $init (local.get $promise) (call $len (i64.const 0)) (i64.const 1024) (i64.const 0))
    (call $promise_return (local.get $promise))))"#;

#[test]
fn a_contract_creates_an_account_as_a_transaction_does() {
    let mut chain = Chain::with_alice(88, 50);
    let code = wat::parse_str(CREATOR).unwrap();
    chain.create("c.test.near", Balance::from_near(10), Some(code));
    let data = Data::from([(b"k".to_vec(), b"v".to_vec())]);
    let (account, init) = state_init(false, data, &["one", "two"]);
    let tx = chain.run(ALICE, "c.test.near", vec![call("address", &init.0)]);
    assert_eq!(chain.value(&tx), account.as_bytes());
    let tx = chain.run(ALICE, "c.test.near", vec![call("address", &[9])]);
    assert_eq!(chain.value(&tx), [1], "it does not decode");
    let tx = chain.run(ALICE, "c.test.near", vec![call("create", &init.0)]);
    assert_eq!(chain.failure(&tx), None);
    assert_eq!(chain.state.contract_data(&account, b"k").unwrap().as_ref(), b"v");
    assert!(chain.state.access_key(&account, &public_key("two")).is_some());
    let receipt = chain.receipt_outcome(&tx);
    let created = chain.outcome(&receipt.receipt_ids[0]);
    assert_eq!(created.executor_id, account);
    // The receipt, the action, its bytes, one entry and two keys.
    let gas = 108_059_500_000
        + 7_430_000_000_000
        + 74_000_000 * init.0.len() as u64
        + 200_000_000_000
        + 2 * 101_765_125_000;
    assert_eq!(created.gas_burnt.as_gas(), gas);
}
