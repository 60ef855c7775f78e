//! Deterministic accounts (NEP-616; `runtime/runtime/src/deterministic_account_id.rs` in nearcore).

use std::collections::BTreeMap;

use near_primitives::{
    account::{AccessKey, AccountContract},
    action::{
        Action, AddKeyAction, DeployGlobalContractAction, DeterministicStateInitAction,
        GlobalContractDeployMode, GlobalContractIdentifier,
    },
    deterministic_account_id::{DeterministicAccountStateInit, DeterministicAccountStateInitV1},
    errors::{ActionErrorKind, ActionsValidationError, InvalidTxError},
    types::{AccountId, Balance},
    utils::derive_near_deterministic_account_id,
};

use super::{
    chain::{Chain, call, id, public_key, transfer},
    scenario::contract,
};

const ALICE: &str = "alice.test.near";

type Data = BTreeMap<Vec<u8>, Vec<u8>>;

fn state(data: Data) -> (AccountId, DeterministicAccountStateInit) {
    let code = GlobalContractIdentifier::AccountId(id(ALICE));
    let init = DeterministicAccountStateInit::V1(DeterministicAccountStateInitV1 { code, data });
    (derive_near_deterministic_account_id(&init), init)
}

fn action(state_init: &DeterministicAccountStateInit, deposit: Balance) -> Action {
    let state_init = state_init.clone();
    Action::DeterministicStateInit(Box::new(DeterministicStateInitAction { state_init, deposit }))
}

fn with_contract(version: u32) -> Chain {
    let mut chain = Chain::with_alice(version, 50);
    let deploy = Action::DeployGlobalContract(DeployGlobalContractAction {
        code: contract("basic").into(),
        deploy_mode: GlobalContractDeployMode::AccountId,
    });
    let tx = chain.run(ALICE, ALICE, vec![deploy]);
    assert_eq!(chain.failure(&tx), None);
    chain
}

#[test]
fn an_account_begins_with_the_code_and_the_data_that_its_id_commits_to() {
    for version in 84..=88 {
        let mut chain = with_contract(version);
        let (account_id, init) = state(Data::from([(b"k".to_vec(), vec![7; 2_000])]));
        let name = account_id.as_str();
        let tx = chain.run(ALICE, name, vec![action(&init, Balance::from_near(1))]);
        assert_eq!(chain.failure(&tx), None, "{version}");
        let account = chain.state.account(&account_id).unwrap();
        let contract = AccountContract::GlobalByAccount(id(ALICE));
        assert_eq!(account.contract().into_owned(), contract);
        // Its own bytes, those of the contract's name, of a record, of the key and of the value.
        let usage = 100 + ALICE.len() as u64 + 40 + 1 + 2_000;
        assert_eq!(account.storage_usage(), usage);
        let kept = u128::from(usage) * 10_u128.pow(19);
        assert_eq!(account.amount().as_yoctonear(), kept, "the rest went back");
        let value = chain.state.contract_data(&account_id, b"k").unwrap();
        assert_eq!(value.as_ref(), [7; 2_000]);
        let tx = chain.run(ALICE, name, vec![call("hello", b"")]);
        assert_eq!(chain.failure(&tx), None);

        // A second time nothing happens, and the whole deposit goes back.
        let tx = chain.run(ALICE, name, vec![action(&init, Balance::from_near(1))]);
        assert_eq!(chain.failure(&tx), None);
        let earned = if version <= 86 { chain.amount(name).as_yoctonear() - kept } else { 0 };
        assert_eq!(chain.amount(name).as_yoctonear(), kept + earned);
        assert!(earned < 10_u128.pow(21), "no more than a contract's reward");
    }
}

#[test]
fn a_transfer_creates_the_account_and_the_state_init_completes_it() {
    let mut chain = with_contract(88);
    let (account_id, init) = state(Data::new());
    let name = account_id.as_str();
    let one = Balance::from_near(1);
    let tx = chain.run(ALICE, name, vec![transfer(one)]);
    assert_eq!(chain.failure(&tx), None);
    assert!(chain.state.account(&account_id).unwrap().contract().is_none());
    let tx = chain.run(ALICE, name, vec![action(&init, Balance::ZERO)]);
    assert_eq!(chain.failure(&tx), None);
    assert!(!chain.state.account(&account_id).unwrap().contract().is_none());
    assert_eq!(chain.amount(name), one);
}

/// Whoever sends the first transfer must not be able to do anything else with the account.
#[test]
fn a_transfer_creates_the_account_only_when_it_is_alone() {
    let mut chain = with_contract(88);
    let (account_id, init) = state(Data::new());
    let (public_key, access_key) = (public_key("mine"), AccessKey::full_access());
    let add = Action::AddKey(Box::new(AddKeyAction { public_key, access_key }));
    let one = transfer(Balance::from_near(1));
    let tx = chain.run(ALICE, account_id.as_str(), vec![one.clone(), add.clone()]);
    let expected = ActionErrorKind::AccountDoesNotExist { account_id: account_id.clone() };
    assert_eq!(chain.failure(&tx), Some(expected));
    let actions = vec![action(&init, Balance::ZERO), one, add];
    let tx = chain.run(ALICE, account_id.as_str(), actions);
    let expected =
        ActionErrorKind::ActorNoPermission { account_id: account_id.clone(), actor_id: id(ALICE) };
    assert_eq!(chain.failure(&tx), Some(expected));
    assert!(chain.state.account(&account_id).is_none());
}

#[test]
fn a_state_init_that_cannot_be_is_refused() {
    let mut chain = Chain::with_alice(88, 50);
    let (account_id, init) = state(Data::new());
    // There is no such contract yet.
    let tx = chain.run(ALICE, account_id.as_str(), vec![action(&init, Balance::ZERO)]);
    let identifier = GlobalContractIdentifier::AccountId(id(ALICE));
    let expected = ActionErrorKind::GlobalContractDoesNotExist { identifier };
    assert_eq!(chain.failure(&tx), Some(expected));
    assert!(chain.state.account(&account_id).is_none());

    let error = |receiver: &str, init: &DeterministicAccountStateInit| match chain.invalid(
        ALICE,
        receiver,
        vec![action(init, Balance::ZERO)],
    ) {
        InvalidTxError::ActionsValidation(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        error("near", &init),
        ActionsValidationError::InvalidDeterministicStateInitReceiver {
            receiver_id: id("near"),
            derived_id: account_id,
        }
    );
    let (long, init) = state(Data::from([(vec![1; 2_049], vec![])]));
    assert_eq!(
        error(long.as_str(), &init),
        ActionsValidationError::DeterministicStateInitKeyLengthExceeded {
            length: 2_049,
            limit: 2_048,
        }
    );
    let entries = (0..1_501_u16).map(|n| (n.to_le_bytes().to_vec(), vec![])).collect();
    let (many, init) = state(entries);
    assert_eq!(
        error(many.as_str(), &init),
        ActionsValidationError::TotalNumberOfStateInitEntriesExceeded {
            number_of_entries: 1_501,
            limit: 1_500,
        }
    );
}
