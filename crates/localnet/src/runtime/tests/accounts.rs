//! Creating, staking and deleting accounts.

use near_primitives::{
    account::AccessKey,
    action::{Action, CreateAccountAction, DeleteAccountAction, DeployContractAction, StakeAction},
    errors::{ActionErrorKind, CompilationError, FunctionCallError},
    types::Balance,
};

use super::{
    chain::{Chain, call, id, public_key, transfer},
    scenario::contract,
};

#[test]
fn only_the_registrar_makes_short_top_level_accounts() {
    let mut chain = Chain::with_alice(88, 100);
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
    let key = AccessKey::full_access();
    chain.state.set_access_key(&id("registrar"), &public_key("registrar"), &key);
    let tx = chain.run("registrar", "short", create());
    assert_eq!(chain.failure(&tx), None);
    // Only a transfer creates an implicit account.
    let implicit = "ab".repeat(32);
    let tx = chain.run("registrar", &implicit, create());
    assert!(matches!(
        chain.failure(&tx),
        Some(ActionErrorKind::OnlyImplicitAccountCreationAllowed { .. })
    ));
}

#[test]
fn a_failed_batch_leaves_nothing_behind() {
    let mut chain = Chain::with_alice(88, 100);
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
    let mut chain = Chain::with_alice(88, 100);
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
    let mut chain = Chain::with_alice(88, 100);
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
    let mut chain = Chain::with_alice(88, 100);
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
fn an_eth_implicit_account_uses_a_wallet_that_nobody_has_deployed() {
    let mut chain = Chain::with_alice(88, 100);
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
