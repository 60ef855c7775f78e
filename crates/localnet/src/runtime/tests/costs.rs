//! Fees and prices, computed from the parameter tables (`res/runtime_configs` in near-parameters).

use near_primitives::{
    account::AccessKey,
    action::{Action, AddKeyAction, CreateAccountAction},
    hash::{CryptoHash, hash},
    transaction::ExecutionMetadata,
    types::Balance,
};

use super::{
    chain::{Chain, call, id, public_key, transfer},
    scenario::contract,
};

/// The gas price, in yoctoNEAR.
const PRICE: u128 = 100_000_000;
/// The gas of `action_receipt_creation` and `action_transfer`, which sending and executing both
/// cost.
const RECEIPT: u128 = 108_059_500_000;
const TRANSFER: u128 = 115_123_062_500;
/// `account_creation_charge`, from protocol 85 on: 0.007 NEAR.
const CREATION_CHARGE: u128 = 7_000_000_000_000_000_000_000;

/// What a transaction of alice costs her after all refunds, without the deposit.
fn cost(chain: &mut Chain, receiver: &str, actions: Vec<Action>, deposit: Balance) -> u128 {
    let before = chain.amount("alice.test.near");
    chain.run("alice.test.near", receiver, actions);
    let after = chain.amount("alice.test.near");
    before.as_yoctonear() - after.as_yoctonear() - deposit.as_yoctonear()
}

#[test]
fn a_transfer_costs_the_same_at_every_version() {
    for version in 84..=88 {
        let mut chain = Chain::with_alice(version, 50);
        let one = Balance::from_near(1);
        let found = cost(&mut chain, "test.near", vec![transfer(one)], one);
        assert_eq!(found, 2 * (RECEIPT + TRANSFER) * PRICE, "{version}");
    }
}

#[test]
fn gas_is_bought_at_a_higher_price_from_85_on_and_the_difference_comes_back() {
    for (version, price) in [(84, PRICE), (85, 10 * PRICE), (88, 10 * PRICE)] {
        let mut chain = Chain::with_alice(version, 50);
        let actions = vec![transfer(Balance::from_near(1))];
        let tx = chain.sign(&id("alice.test.near"), "alice.test.near", &id("near"), actions, 1);
        let before = chain.amount("alice.test.near").as_yoctonear();
        chain.block(vec![tx.clone()]);
        let paid = before - chain.amount("alice.test.near").as_yoctonear();
        let deposit = Balance::from_near(1).as_yoctonear();
        assert_eq!(paid, deposit + (RECEIPT + TRANSFER) * (PRICE + price), "{version}");
        chain.settle();
        let receipt = chain.receipt_outcome(&tx.get_hash());
        assert_eq!(receipt.tokens_burnt.as_yoctonear(), (RECEIPT + TRANSFER) * PRICE);
        // There is a refund receipt only if there is something to refund.
        assert_eq!(receipt.receipt_ids.len(), usize::from(version >= 85));
    }
}

#[test]
fn a_new_account_costs_its_gas_or_the_charge_from_85_on() {
    for (version, gas) in
        [(84, 3_850_000_000_000 * 2), (85, 500_000_000_000), (88, 500_000_000_000)]
    {
        let mut chain = Chain::with_alice(version, 50);
        let actions = vec![Action::CreateAccount(CreateAccountAction {})];
        let found = cost(&mut chain, "new.alice.test.near", actions, Balance::ZERO);
        let mut expected = (2 * RECEIPT + gas) * PRICE;
        if version >= 85 {
            // The charge includes the gas for the execution, 7.2 Tgas.
            expected += CREATION_CHARGE;
        }
        assert_eq!(found, expected, "{version}");
    }
}

#[test]
fn an_implicit_account_pays_the_charge_as_well() {
    let name = "ab".repeat(32);
    // `action_add_full_access_key`
    const KEY: u128 = 101_765_125_000;
    let mut chain = Chain::with_alice(88, 50);
    let one = Balance::from_near(1);
    let found = cost(&mut chain, &name, vec![transfer(one)], one);
    let gas = 2 * (RECEIPT + TRANSFER + KEY) + 500_000_000_000;
    assert_eq!(found, gas * PRICE + CREATION_CHARGE);
    // A second transfer creates nothing. It burns the same fees and pays no charge.
    let found = cost(&mut chain, &name, vec![transfer(one)], one);
    assert_eq!(found, (gas + 7_200_000_000_000) * PRICE);
}

#[test]
fn a_creation_that_fails_pays_no_charge() {
    let mut chain = Chain::with_alice(88, 50);
    let actions = vec![Action::CreateAccount(CreateAccountAction {})];
    let found = cost(&mut chain, "near", actions, Balance::ZERO);
    // It fails in the first action, but the fee for executing that action, 7.2 Tgas, is burnt.
    assert_eq!(found, (2 * RECEIPT + 7_700_000_000_000) * PRICE);
}

#[test]
fn contracts_earn_a_share_of_the_gas_until_86() {
    for (version, earns) in [(84, true), (86, true), (87, false), (88, false)] {
        let mut chain = Chain::with_alice(version, 50);
        chain.create("c.test.near", Balance::from_near(10), Some(contract("basic")));
        let before = chain.amount("c.test.near").as_yoctonear();
        let tx = chain.run("alice.test.near", "c.test.near", vec![call("hello", b"")]);
        let earned = chain.amount("c.test.near").as_yoctonear() - before;
        let receipt = chain.receipt_outcome(&tx);
        assert_eq!(earned > 0, earns, "{version}");
        if earns {
            // The contract earns no share of the fees for the receipt and for the action.
            let burnt = u128::from(receipt.gas_burnt.as_gas());
            assert!(earned < burnt * PRICE * 3 / 10, "{version}");
        }
    }
}

#[test]
fn outcomes_tell_the_contract_of_each_action_from_85_on() {
    for version in [84, 85] {
        let mut chain = Chain::with_alice(version, 50);
        chain.create("c.test.near", Balance::from_near(10), Some(contract("basic")));
        let calls = vec![call("hello", b""), call("nothing", b"")];
        let tx = chain.run("alice.test.near", "c.test.near", calls);
        match &chain.receipt_outcome(&tx).metadata {
            ExecutionMetadata::V3(_) => assert_eq!(version, 84),
            ExecutionMetadata::V4(metadata) => {
                assert_eq!(version, 85);
                let hashes: Vec<_> =
                    metadata.contracts.iter().map(|contract| contract.local_code()).collect();
                assert_eq!(hashes, [Some(hash(&contract("basic"))); 2]);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn ids_follow_from_the_transaction_and_the_height() {
    let mut chain = Chain::with_alice(84, 50);
    let tx = chain.run("alice.test.near", "near", vec![transfer(Balance::from_near(1))]);
    let height = chain.outcomes[&tx].1;
    let derive = |from: &CryptoHash, height: u64, index: u64| {
        let mut bytes = from.as_bytes().to_vec();
        bytes.extend(height.to_le_bytes());
        bytes.extend(index.to_le_bytes());
        hash(&bytes)
    };
    let receipt = derive(&tx, height, 0);
    assert_eq!(chain.outcome(&tx).receipt_ids, [receipt]);

    let failed = chain.run("alice.test.near", "no.near", vec![transfer(Balance::from_near(1))]);
    let receipt = chain.outcome(&failed).receipt_ids[0];
    let refund = derive(&receipt, chain.outcomes[&receipt].1, 0);
    assert_eq!(chain.outcome(&receipt).receipt_ids, [refund]);
}

#[test]
fn a_new_key_starts_where_no_old_transaction_is() {
    let mut chain = Chain::with_alice(84, 50);
    let add = Action::AddKey(Box::new(AddKeyAction {
        public_key: public_key("second"),
        access_key: AccessKey { nonce: 12, ..AccessKey::full_access() },
    }));
    let tx = chain.run("alice.test.near", "alice.test.near", vec![add]);
    let key = chain.state.access_key(&id("alice.test.near"), &public_key("second")).unwrap();
    assert_eq!(key.nonce, (chain.outcomes[&tx].1 - 1) * 1_000_000);
}
