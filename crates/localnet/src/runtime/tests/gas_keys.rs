//! Gas keys (NEP-611). The rules and errors are those of nearcore's `runtime/runtime/src`
//! (`verifier.rs`, `access_keys.rs`, `actions.rs`).

use near_primitives::{
    account::{AccessKey, AccessKeyPermission, FunctionCallPermission, GasKeyInfo},
    action::{
        Action, AddKeyAction, DeleteAccountAction, DeleteKeyAction, TransferToGasKeyAction,
        WithdrawFromGasKeyAction,
        delegate::{
            DelegateAction, DelegateActionV2, NonDelegateAction, SignedDelegateAction,
            VersionedDelegateActionPayload, VersionedSignedDelegateAction,
        },
    },
    errors::{
        ActionErrorKind, ActionsValidationError, DepositCostFailureReason, InvalidAccessKeyError,
        InvalidTxError, TxExecutionError,
    },
    hash::CryptoHash,
    transaction::{ExecutionStatus, TransactionNonce},
    types::Balance,
};

use super::{
    chain::{Chain, call, id, public_key, signer, transfer},
    scenario::contract,
};

const ALICE: &str = "alice.test.near";
const BOB: &str = "bob.test.near";

fn add(permission: AccessKeyPermission) -> Action {
    let access_key = AccessKey { nonce: 7, permission };
    Action::AddKey(Box::new(AddKeyAction { public_key: public_key("gas"), access_key }))
}

fn fund(deposit: Balance) -> Action {
    let public_key = public_key("gas");
    Action::TransferToGasKey(Box::new(TransferToGasKeyAction { public_key, deposit }))
}

fn withdraw(amount: Balance) -> Action {
    let public_key = public_key("gas");
    Action::WithdrawFromGasKey(Box::new(WithdrawFromGasKeyAction { public_key, amount }))
}

fn delete() -> Action {
    Action::DeleteKey(Box::new(DeleteKeyAction { public_key: public_key("gas") }))
}

/// A chain on which alice has a gas key with three nonces and a balance.
fn with_gas_key(version: u32, balance: Balance) -> Chain {
    let mut chain = Chain::with_alice(version, 50);
    chain.create(BOB, Balance::from_near(50), Some(contract("basic")));
    let actions = vec![add(AccessKey::gas_key_full_access(3).permission), fund(balance)];
    run(&mut chain, ALICE, ALICE, actions).unwrap();
    chain
}

/// Runs a transaction. An `Err` is why its receipt failed.
fn run(
    chain: &mut Chain,
    signer_id: &str,
    receiver_id: &str,
    actions: Vec<Action>,
) -> Result<CryptoHash, ActionErrorKind> {
    let tx = chain.run(signer_id, receiver_id, actions);
    chain.failure(&tx).map_or(Ok(tx), Err)
}

fn balance(chain: &Chain) -> u128 {
    let key = chain.state.access_key(&id(ALICE), &public_key("gas")).unwrap();
    key.gas_key_info().unwrap().balance.as_yoctonear()
}

fn nonces(chain: &Chain) -> Vec<Option<u64>> {
    let nonce = |index| chain.state.gas_key_nonce(&id(ALICE), &public_key("gas"), index);
    (0..4).map(nonce).collect()
}

fn usage(chain: &Chain) -> u64 {
    chain.state.account(&id(ALICE)).unwrap().storage_usage()
}

#[test]
fn a_gas_key_has_nonces_and_a_balance_of_its_own() {
    let mut chain = Chain::with_alice(85, 50);
    let before = usage(&chain);
    let added = add(AccessKey::gas_key_full_access(3).permission);
    let tx = run(&mut chain, ALICE, ALICE, vec![added.clone()]).unwrap();
    let (_, height) = chain.outcomes[&chain.outcome(&tx).receipt_ids[0]];
    let first = (height - 1) * 1_000_000;
    assert_eq!(nonces(&chain), [Some(first), Some(first), Some(first), None]);
    let key = chain.state.access_key(&id(ALICE), &public_key("gas")).unwrap();
    assert_eq!(key.nonce, 0, "a gas key's own nonce is not used");
    // The key: 33 bytes, 27 of the access key, 40 of a record. Each nonce: 33 and 2 bytes, 8 of the
    // nonce, 40 of a record.
    assert_eq!(usage(&chain) - before, 33 + 27 + 40 + 3 * (33 + 2 + 8 + 40));
    let again = run(&mut chain, ALICE, ALICE, vec![added]);
    assert!(matches!(again, Err(ActionErrorKind::AddKeyAlreadyExists { .. })));

    // Anybody may fund a key, and only the account may withdraw.
    let near = Balance::from_near(2);
    chain.create(BOB, Balance::from_near(50), None);
    run(&mut chain, BOB, ALICE, vec![fund(near)]).unwrap();
    assert_eq!(balance(&chain), near.as_yoctonear());
    let stranger = run(&mut chain, BOB, ALICE, vec![withdraw(near)]);
    assert!(matches!(stranger, Err(ActionErrorKind::ActorNoPermission { .. })));
    let too_much = Balance::from_near(3);
    assert_eq!(
        run(&mut chain, ALICE, ALICE, vec![withdraw(too_much)]),
        Err(ActionErrorKind::InsufficientGasKeyBalance {
            account_id: id(ALICE),
            public_key: Box::new(public_key("gas")),
            balance: near,
            required: too_much,
        })
    );

    // No more than 1 NEAR is burnt with a key.
    assert_eq!(
        run(&mut chain, ALICE, ALICE, vec![delete()]),
        Err(ActionErrorKind::GasKeyBalanceTooHigh {
            account_id: id(ALICE),
            public_key: Some(Box::new(public_key("gas"))),
            balance: near,
        })
    );
    let amount = chain.amount(ALICE).as_yoctonear();
    let tx = run(&mut chain, ALICE, ALICE, vec![withdraw(Balance::from_near(1))]).unwrap();
    let fees = chain.outcome(&tx).tokens_burnt.as_yoctonear()
        + chain.receipt_outcome(&tx).tokens_burnt.as_yoctonear();
    let one = Balance::from_near(1).as_yoctonear();
    assert_eq!(chain.amount(ALICE).as_yoctonear(), amount + one - fees);
    let tx = run(&mut chain, ALICE, ALICE, vec![delete()]).unwrap();
    let burnt = chain.receipt_outcome(&tx).tokens_burnt.as_yoctonear();
    let gas = u128::from(chain.receipt_outcome(&tx).gas_burnt.as_gas());
    assert_eq!(burnt, gas * 100_000_000 + one);
    assert_eq!((usage(&chain), nonces(&chain)), (before, vec![None; 4]));
    for action in [fund(near), withdraw(near)] {
        assert_eq!(
            run(&mut chain, ALICE, ALICE, vec![action]),
            Err(ActionErrorKind::GasKeyDoesNotExist {
                account_id: id(ALICE),
                public_key: Box::new(public_key("gas")),
            })
        );
    }
}

#[test]
fn an_account_burns_its_gas_keys_when_it_is_deleted() {
    let delete_account =
        || Action::DeleteAccount(DeleteAccountAction { beneficiary_id: id("near") });
    let mut chain = with_gas_key(88, Balance::from_millinear(1_001));
    assert_eq!(
        run(&mut chain, ALICE, ALICE, vec![delete_account()]),
        Err(ActionErrorKind::GasKeyBalanceTooHigh {
            account_id: id(ALICE),
            public_key: None,
            balance: Balance::from_millinear(1_001),
        })
    );
    run(&mut chain, ALICE, ALICE, vec![withdraw(Balance::from_millinear(1))]).unwrap();
    let tx = run(&mut chain, ALICE, ALICE, vec![delete_account()]).unwrap();
    let outcome = chain.receipt_outcome(&tx);
    let gas = u128::from(outcome.gas_burnt.as_gas()) * 100_000_000;
    let one = Balance::from_near(1).as_yoctonear();
    assert_eq!(outcome.tokens_burnt.as_yoctonear(), gas + one);
    assert_eq!(nonces(&chain), vec![None; 4]);
}

#[test]
fn a_gas_key_pays_for_gas_and_the_account_for_deposits() {
    let near = Balance::from_near(1);
    for version in 85..=88 {
        let mut chain = with_gas_key(version, near);
        let (key, account) = (balance(&chain), chain.amount(ALICE).as_yoctonear());
        let before = nonces(&chain);
        let actions = vec![call("hello", b"")];
        let call = chain.sign_with_gas_key(ALICE, "gas", 1, BOB, actions, 5);
        let actions = vec![transfer(near)];
        let transfer = chain.sign_with_gas_key(ALICE, "gas", 2, BOB, actions, 1);
        for tx in [&call, &transfer] {
            chain.check(tx).unwrap();
        }
        let hashes = [call.get_hash(), transfer.get_hash()];
        chain.block(vec![call, transfer]);
        chain.settle();
        let mut burnt = 0;
        for hash in hashes {
            assert_eq!(chain.failure(&hash), None);
            let mut open = vec![hash];
            while let Some(next) = open.pop() {
                burnt += chain.outcome(&next).tokens_burnt.as_yoctonear();
                open.extend(&chain.outcome(&next).receipt_ids);
            }
        }
        // Until 86, bob's contract earned three tenths of the gas that it burnt.
        let outcome = chain.receipt_outcome(&hashes[0]);
        assert!(burnt > 0 && outcome.gas_burnt.as_gas() > 0);
        // Unused gas has come back to the key.
        assert_eq!(balance(&chain), key - burnt, "{version}");
        assert_eq!(chain.amount(ALICE).as_yoctonear(), account - near.as_yoctonear(), "{version}");
        let used = [before[0], before[1].map(|n| n + 5), before[2].map(|n| n + 1), None];
        assert_eq!(nonces(&chain), used, "{version}");
    }
}

#[test]
fn a_gas_key_that_cannot_pay_makes_a_transaction_invalid() {
    let chain = with_gas_key(88, Balance::from_yoctonear(1));
    let sign = |index, offset| {
        let actions = vec![transfer(Balance::from_yoctonear(1))];
        chain.sign_with_gas_key(ALICE, "gas", index, BOB, actions, offset)
    };
    // Sending and executing a receipt and a transfer, at the price and at ten times the price.
    let gas = 108_059_500_000_u128 + 115_123_062_500;
    let cost = Balance::from_yoctonear(gas * 100_000_000 + gas * 1_000_000_000);
    assert_eq!(
        chain.check(&sign(0, 1)),
        Err(InvalidTxError::NotEnoughGasKeyBalance {
            signer_id: id(ALICE),
            balance: Balance::from_yoctonear(1),
            cost,
        })
    );
    let nonce = nonces(&chain)[0].unwrap();
    let error = Err(InvalidTxError::InvalidNonce { tx_nonce: nonce, ak_nonce: nonce });
    assert_eq!(chain.check(&sign(0, 0)), error);
    let error = InvalidTxError::InvalidNonceIndex { tx_nonce_index: Some(3), num_nonces: 3 };
    assert_eq!(chain.check(&sign(3, 1)), Err(error));
    // An ordinary key has no nonces with an index, and a gas key no other.
    let tx = chain.sign_with_gas_key(ALICE, ALICE, 0, BOB, vec![transfer(Balance::ZERO)], 1);
    let error = InvalidTxError::InvalidNonceIndex { tx_nonce_index: Some(0), num_nonces: 0 };
    assert_eq!(chain.check(&tx), Err(error));
    let tx = chain.sign(&id(ALICE), "gas", &id(BOB), vec![transfer(Balance::ZERO)], 1);
    let error = InvalidTxError::InvalidNonceIndex { tx_nonce_index: None, num_nonces: 3 };
    assert_eq!(chain.check(&tx), Err(error));
}

/// A transaction that is valid when it is sent, while its deposit is gone when a block takes it.
#[test]
fn a_gas_key_pays_for_a_transaction_whose_deposit_its_account_lacks() {
    let mut chain = with_gas_key(88, Balance::from_near(1));
    let (key, before) = (balance(&chain), nonces(&chain)[0].unwrap());
    let much = Balance::from_near(40);
    let first = chain.sign(&id(ALICE), ALICE, &id(BOB), vec![transfer(much)], 1);
    let second = chain.sign_with_gas_key(ALICE, "gas", 0, BOB, vec![transfer(much)], 1);
    chain.check(&second).unwrap();
    let hash = second.get_hash();
    let too_much = vec![transfer(Balance::from_near(60))];
    let third = chain.sign_with_gas_key(ALICE, "gas", 1, BOB, too_much, 1);
    assert!(matches!(
        chain.check(&third),
        Err(InvalidTxError::NotEnoughBalanceForDeposit {
            reason: DepositCostFailureReason::NotEnoughBalance,
            ..
        })
    ));
    chain.block(vec![first, second]);
    let account = chain.amount(ALICE);
    chain.settle();
    assert!(chain.rejected.is_empty());
    let outcome = chain.outcome(&hash).clone();
    let expected = InvalidTxError::NotEnoughBalanceForDeposit {
        signer_id: id(ALICE),
        balance: account,
        cost: much,
        reason: DepositCostFailureReason::NotEnoughBalance,
    };
    assert_eq!(
        outcome.status,
        ExecutionStatus::Failure(TxExecutionError::InvalidTxError(expected))
    );
    assert!(outcome.receipt_ids.is_empty());
    let burnt = u128::from(outcome.gas_burnt.as_gas()) * 100_000_000;
    assert_eq!(outcome.tokens_burnt.as_yoctonear(), burnt);
    assert_eq!(balance(&chain), key - burnt);
    assert_eq!(nonces(&chain)[0], Some(before + 1), "it cannot be sent again");
}

#[test]
fn a_gas_key_for_calls_makes_only_those() {
    let mut chain = Chain::with_alice(88, 50);
    chain.create(BOB, Balance::from_near(50), Some(contract("basic")));
    let calls = |allowance| FunctionCallPermission {
        allowance,
        receiver_id: BOB.to_owned(),
        method_names: vec!["hello".to_owned()],
    };
    let info = |balance, num_nonces| GasKeyInfo { balance, num_nonces };
    let error = |chain: &Chain, permission| match chain.invalid(ALICE, ALICE, vec![add(permission)])
    {
        InvalidTxError::ActionsValidation(error) => error,
        other => panic!("{other:?}"),
    };
    let one = Balance::from_yoctonear(1);
    let limited = AccessKeyPermission::GasKeyFunctionCall(info(Balance::ZERO, 1), calls(Some(one)));
    assert_eq!(
        error(&chain, limited),
        ActionsValidationError::GasKeyFunctionCallAllowanceNotAllowed
    );
    for requested_nonces in [0, 1_025] {
        let key = AccessKeyPermission::GasKeyFullAccess(info(Balance::ZERO, requested_nonces));
        let expected =
            ActionsValidationError::GasKeyInvalidNumNonces { requested_nonces, limit: 1_024 };
        assert_eq!(error(&chain, key), expected);
    }
    assert_eq!(
        error(&chain, AccessKeyPermission::GasKeyFullAccess(info(one, 1))),
        ActionsValidationError::AddGasKeyWithNonZeroBalance { balance: one }
    );

    let key = AccessKeyPermission::GasKeyFunctionCall(info(Balance::ZERO, 1), calls(None));
    run(&mut chain, ALICE, ALICE, vec![add(key), fund(Balance::from_near(1))]).unwrap();
    let check = |receiver: &str, action| {
        let tx = chain.sign_with_gas_key(ALICE, "gas", 0, receiver, vec![action], 1);
        chain.check(&tx)
    };
    assert_eq!(check(BOB, call("hello", b"")), Ok(()));
    let invalid = |error| Err(InvalidTxError::InvalidAccessKeyError(error));
    assert_eq!(check(BOB, transfer(one)), invalid(InvalidAccessKeyError::RequiresFullAccess));
    let method_name = "write".to_owned();
    assert_eq!(
        check(BOB, call("write", b"")),
        invalid(InvalidAccessKeyError::MethodNameMismatch { method_name })
    );
    assert_eq!(
        check("near", call("hello", b"")),
        invalid(InvalidAccessKeyError::ReceiverMismatch {
            tx_receiver: id("near"),
            ak_receiver: BOB.to_owned(),
        })
    );
}

/// A meta transaction of alice that bob sends, with a nonce of the gas key.
fn delegate(chain: &Chain, index: u16, action: Action) -> Action {
    let key = public_key("gas");
    let nonce = chain.state.gas_key_nonce(&id(ALICE), &key, index).unwrap_or(0) + 1;
    let delegate_action = DelegateActionV2 {
        sender_id: id(ALICE),
        receiver_id: id(ALICE),
        actions: vec![NonDelegateAction::try_from(action).unwrap()],
        nonce: TransactionNonce::from_nonce_and_index(nonce, index),
        max_block_height: chain.height + 100,
        public_key: key,
    };
    let payload = VersionedDelegateActionPayload::V2(delegate_action);
    let signed = VersionedSignedDelegateAction::sign(&signer(&id(ALICE), "gas"), payload);
    Action::DelegateV2(Box::new(signed))
}

#[test]
fn meta_transactions_of_gas_keys_exist_at_85_and_86() {
    let near = Balance::from_near(1);
    for version in [85, 86] {
        let mut chain = with_gas_key(version, near);
        let before = nonces(&chain);
        let action = delegate(&chain, 2, transfer(near));
        let tx = chain.run(BOB, ALICE, vec![action.clone()]);
        assert_eq!(chain.failure(&tx), None);
        assert_eq!(nonces(&chain)[2], before[2].map(|nonce| nonce + 1));
        assert_eq!(nonces(&chain)[..2], before[..2]);
        let again = chain.run(BOB, ALICE, vec![action]);
        let failure = chain.failure(&again);
        assert!(
            matches!(failure, Some(ActionErrorKind::DelegateActionInvalidNonce { .. })),
            "{failure:?}"
        );
        let action = delegate(&chain, 3, transfer(near));
        let tx = chain.run(BOB, ALICE, vec![action]);
        let expected =
            ActionErrorKind::DelegateActionInvalidNonceIndex { nonce_index: 3, num_nonces: 3 };
        assert_eq!(chain.failure(&tx), Some(expected));
    }
    let chain = with_gas_key(87, near);
    let error = chain.invalid(BOB, ALICE, vec![delegate(&chain, 0, transfer(near))]);
    assert_eq!(
        error,
        InvalidTxError::ActionsValidation(ActionsValidationError::RemovedProtocolFeature {
            protocol_feature: "DelegateV2".to_owned(),
            version: 87,
        })
    );
}

#[test]
fn a_meta_transaction_withdraws_from_a_gas_key_until_86() {
    let near = Balance::from_near(1);
    for version in 85..=88 {
        let mut chain = with_gas_key(version, near);
        let key = public_key(ALICE);
        let nonce = chain.state.access_key(&id(ALICE), &key).unwrap().nonce + 1;
        let delegate_action = DelegateAction {
            sender_id: id(ALICE),
            receiver_id: id(ALICE),
            actions: vec![NonDelegateAction::try_from(withdraw(near)).unwrap()],
            nonce,
            max_block_height: chain.height + 100,
            public_key: key,
        };
        let signed = SignedDelegateAction::sign(&signer(&id(ALICE), ALICE), delegate_action);
        let action = Action::Delegate(Box::new(signed));
        if version < 87 {
            let tx = chain.run(BOB, ALICE, vec![action]);
            assert_eq!(chain.failure(&tx), None);
            assert_eq!(balance(&chain), 0);
        } else {
            let error = ActionsValidationError::WithdrawFromGasKeyNotAllowedInDelegate;
            let found = chain.invalid(BOB, ALICE, vec![action]);
            assert_eq!(found, InvalidTxError::ActionsValidation(error));
        }
    }
}
