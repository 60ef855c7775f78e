//! Invalid transactions, which no block takes. The errors and their values are nearcore's.

use near_crypto::{InMemorySigner, KeyType, SecretKey};
use near_primitives::{
    account::{AccessKey, AccessKeyPermission, FunctionCallPermission, GasKeyInfo},
    action::{
        Action, AddKeyAction, DeployContractAction, FunctionCallAction, StakeAction,
        TransferToGasKeyAction,
    },
    errors::{
        ActionErrorKind, ActionsValidationError, FunctionCallError, InvalidAccessKeyError,
        InvalidTxError, MethodResolveError,
    },
    hash::CryptoHash,
    transaction::{SignedTransaction, Transaction, TransactionV0},
    types::{Balance, Gas},
};

use super::{
    chain::{Chain, call, id, public_key, transfer},
    scenario::contract,
};

fn chain(version: u32) -> Chain {
    let mut chain = Chain::with_alice(version, 50);
    chain.create("bob.test.near", Balance::from_near(50), Some(contract("basic")));
    chain
}

fn actions_error(error: InvalidTxError) -> ActionsValidationError {
    match error {
        InvalidTxError::ActionsValidation(error) => error,
        other => panic!("{other:?}"),
    }
}

fn key_error(error: InvalidTxError) -> InvalidAccessKeyError {
    match error {
        InvalidTxError::InvalidAccessKeyError(error) => error,
        other => panic!("{other:?}"),
    }
}

fn add_key(key: near_crypto::PublicKey, access_key: AccessKey) -> Action {
    Action::AddKey(Box::new(AddKeyAction { public_key: key, access_key }))
}

fn limited(allowance: Option<Balance>, methods: &[&str]) -> AccessKey {
    AccessKey {
        nonce: 0,
        permission: AccessKeyPermission::FunctionCall(FunctionCallPermission {
            allowance,
            receiver_id: "bob.test.near".to_owned(),
            method_names: methods.iter().map(|&name| name.to_owned()).collect(),
        }),
    }
}

/// The rules are `require_protocol_feature` in `runtime/runtime/src/verifier.rs` and
/// `ValidatedTransaction` in `core/primitives/src/transaction.rs`.
#[test]
fn what_nearcore_lacks_at_84_is_invalid_in_the_same_way() {
    let chain = chain(84);
    let transfer = Action::TransferToGasKey(Box::new(TransferToGasKeyAction {
        public_key: public_key("gas"),
        deposit: Balance::from_near(1),
    }));
    let permission =
        AccessKeyPermission::GasKeyFullAccess(GasKeyInfo { balance: Balance::ZERO, num_nonces: 1 });
    let key = add_key(public_key("gas"), AccessKey { nonce: 0, permission });
    for action in [transfer, key] {
        let error =
            actions_error(chain.invalid("alice.test.near", "alice.test.near", vec![action]));
        let unsupported = ActionsValidationError::UnsupportedProtocolFeature {
            protocol_feature: "GasKeys".to_owned(),
            version: 84,
        };
        assert_eq!(error, unsupported);
    }
}

/// A transaction is priced before its signer is looked up (`can_verify_and_charge_tx` in
/// `chain/chain/src/runtime/mod.rs`).
#[test]
fn a_cost_beyond_all_numbers_comes_before_a_signer_that_is_not_there() {
    let chain = chain(84);
    let much = || transfer(Balance::from_yoctonear(u128::MAX));
    let error = chain.invalid("nobody.test.near", "bob.test.near", vec![much(), much()]);
    assert_eq!(error, InvalidTxError::CostOverflow);
}

#[test]
fn a_limited_key_calls_only_what_it_may() {
    let mut chain = chain(84);
    let access_key = limited(Some(Balance::from_near(1)), &["hello"]);
    let add = add_key(public_key("limited"), access_key);
    chain.run("alice.test.near", "alice.test.near", vec![add]);
    let error = |receiver: &str, actions: Vec<Action>| {
        let tx = chain.sign(&id("alice.test.near"), "limited", &id(receiver), actions, 1);
        key_error(chain.check(&tx).unwrap_err())
    };
    let one = Balance::from_yoctonear(1);
    assert_eq!(
        error("bob.test.near", vec![transfer(one)]),
        InvalidAccessKeyError::RequiresFullAccess
    );
    assert_eq!(
        error("bob.test.near", vec![call("hello", b""), call("hello", b"")]),
        InvalidAccessKeyError::RequiresFullAccess
    );
    assert_eq!(
        error("near", vec![call("hello", b"")]),
        InvalidAccessKeyError::ReceiverMismatch {
            tx_receiver: id("near"),
            ak_receiver: "bob.test.near".to_owned(),
        }
    );
    assert_eq!(
        error("bob.test.near", vec![call("write", b"")]),
        InvalidAccessKeyError::MethodNameMismatch { method_name: "write".to_owned() }
    );
    let mut deposit = call("hello", b"");
    if let Action::FunctionCall(call) = &mut deposit {
        call.deposit = one;
    }
    assert_eq!(
        error("bob.test.near", vec![deposit]),
        InvalidAccessKeyError::DepositWithFunctionCall
    );
}

#[test]
fn an_allowance_that_is_too_small_makes_a_transaction_invalid() {
    let mut chain = chain(84);
    let allowance = Balance::from_yoctonear(5);
    let add = add_key(public_key("limited"), limited(Some(allowance), &[]));
    chain.run("alice.test.near", "alice.test.near", vec![add]);
    let alice = id("alice.test.near");
    let calls = vec![call("hello", b"")];
    let tx = chain.sign(&alice, "limited", &id("bob.test.near"), calls, 1);
    match key_error(chain.check(&tx).unwrap_err()) {
        InvalidAccessKeyError::NotEnoughAllowance { allowance: found, cost, .. } => {
            assert_eq!(found, allowance);
            assert!(cost > allowance);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_nonce_beyond_the_height_is_invalid_only_in_a_block() {
    let mut chain = chain(84);
    let alice = id("alice.test.near");
    let far = 1_000_000 * 1_000_000;
    let actions = vec![transfer(Balance::from_yoctonear(1))];
    let tx = chain.sign(&alice, "alice.test.near", &id("near"), actions, far);
    chain.check(&tx).unwrap();
    let tx_nonce = tx.transaction.nonce().nonce();
    chain.block(vec![tx]);
    let upper_bound = chain.height * 1_000_000;
    assert_eq!(chain.rejected, [InvalidTxError::NonceTooLarge { tx_nonce, upper_bound }]);
}

#[test]
fn a_transaction_twice_in_a_block_counts_once() {
    for version in [84, 88] {
        let mut chain = chain(version);
        let actions = vec![transfer(Balance::from_near(1))];
        let tx = chain.sign(&id("alice.test.near"), "alice.test.near", &id("near"), actions, 1);
        let before = chain.amount("near");
        chain.block(vec![tx.clone(), tx]);
        chain.settle();
        assert_eq!(chain.amount("near"), before.checked_add(Balance::from_near(1)).unwrap());
        // Before protocol 85, the second one is invalid, because its nonce has been used.
        assert_eq!(chain.rejected.len(), usize::from(version == 84));
    }
}

#[test]
fn limits_of_actions_hold() {
    let chain = chain(84);
    let error =
        |actions: Vec<Action>| actions_error(chain.invalid("alice.test.near", "near", actions));
    let code = vec![0; 4 * 1024 * 1024 + 1];
    let limit = 4 * 1024 * 1024;
    assert_eq!(
        error(vec![Action::DeployContract(DeployContractAction { code })]),
        ActionsValidationError::ContractSizeExceeded { size: limit + 1, limit }
    );
    assert_eq!(
        error(vec![call(&"m".repeat(257), b"")]),
        ActionsValidationError::FunctionCallMethodNameLengthExceeded { length: 257, limit: 256 }
    );
    let deploy = || Action::DeployContract(DeployContractAction { code: vec![] });
    assert_eq!(
        error((0..11).map(|_| deploy()).collect()),
        ActionsValidationError::TotalNumberOfDeployActionsExceeded {
            number_of_deploy_actions: 11,
            limit: 10,
        }
    );
    let key = SecretKey::from_seed(KeyType::SECP256K1, "stake").public_key();
    let stake = StakeAction { stake: Balance::from_near(1), public_key: key.clone() };
    assert_eq!(
        error(vec![Action::Stake(Box::new(stake))]),
        ActionsValidationError::UnsuitableStakingKey { public_key: Box::new(key) }
    );
    let huge = FunctionCallAction {
        method_name: "m".to_owned(),
        args: vec![],
        gas: Gas::from_gas(u64::MAX),
        deposit: Balance::ZERO,
    };
    let huge = || Action::FunctionCall(Box::new(huge.clone()));
    assert_eq!(error(vec![huge(), huge()]), ActionsValidationError::IntegerOverflow);
    let rich = || transfer(Balance::from_yoctonear(u128::MAX));
    let error = chain.invalid("alice.test.near", "near", vec![rich(), rich()]);
    assert_eq!(error, InvalidTxError::CostOverflow);
}

#[test]
fn an_empty_method_name_is_invalid_from_87_on() {
    let mut old = chain(86);
    let tx = old.run("alice.test.near", "bob.test.near", vec![call("", b"")]);
    let expected = FunctionCallError::MethodResolveError(MethodResolveError::MethodEmptyName);
    assert_eq!(old.failure(&tx), Some(ActionErrorKind::FunctionCallError(expected)));
    let new = chain(87);
    let error = actions_error(new.invalid("alice.test.near", "near", vec![call("", b"")]));
    assert_eq!(error, ActionsValidationError::FunctionCallEmptyMethodName);
}

/// A transaction of alice to `near`, signed with a key of any kind.
fn signed_with(chain: &Chain, secret: &SecretKey, actions: Vec<Action>) -> SignedTransaction {
    let alice = id("alice.test.near");
    let public_key = secret.public_key();
    let nonce = chain.state.access_key(&alice, &public_key).map_or(0, |key| key.nonce) + 1;
    let transaction = Transaction::V0(TransactionV0 {
        signer_id: alice.clone(),
        public_key,
        nonce,
        receiver_id: id("near"),
        block_hash: CryptoHash::default(),
        actions,
    });
    let signer = InMemorySigner::from_secret_key(alice, secret.clone());
    let (hash, _) = transaction.get_hash_and_size();
    SignedTransaction::new(signer.sign(hash.as_ref()), transaction)
}

#[test]
fn secp256k1_keys_sign() {
    let mut chain = chain(84);
    let secret = SecretKey::from_seed(KeyType::SECP256K1, "k");
    let add = add_key(secret.public_key(), AccessKey::full_access());
    chain.run("alice.test.near", "alice.test.near", vec![add]);
    let tx = signed_with(&chain, &secret, vec![transfer(Balance::from_near(1))]);
    chain.check(&tx).unwrap();
    let hash = tx.get_hash();
    chain.block(vec![tx]);
    chain.settle();
    assert_eq!(chain.failure(&hash), None);
    assert_eq!(chain.value(&hash), b"");
}

#[test]
fn ml_dsa_keys_sign_from_85_on_are_stored_by_hash_and_cost_100_ggas_more() {
    let secret = SecretKey::from_seed(KeyType::MLDSA65, "k");
    let add = || add_key(secret.public_key(), AccessKey::full_access());
    let old = chain(84);
    assert!(matches!(
        actions_error(old.invalid("alice.test.near", "alice.test.near", vec![add()])),
        ActionsValidationError::UnsupportedProtocolFeature { version: 84, .. }
    ));
    let mut chain = chain(88);
    let usage =
        |chain: &Chain| chain.state.account(&id("alice.test.near")).unwrap().storage_usage();
    let before = usage(&chain);
    chain.run("alice.test.near", "alice.test.near", vec![add()]);
    // One byte for the tag and 32 for the hash, nine for the access key, and 40 for a record.
    assert_eq!(usage(&chain) - before, 33 + 9 + 40);
    let tx = signed_with(&chain, &secret, vec![transfer(Balance::from_near(1))]);
    let hash = tx.get_hash();
    chain.block(vec![tx]);
    let plain = 108_059_500_000 + 115_123_062_500;
    assert_eq!(chain.outcome(&hash).gas_burnt.as_gas(), plain + 100_000_000_000);
}
