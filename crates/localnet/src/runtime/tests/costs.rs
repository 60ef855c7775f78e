//! Fees and prices, worked out from the parameter tables (`res/runtime_configs` of near-parameters).

use super::chain::{Chain, call, id, public_key, transfer};
use super::scenario::contract;
use near_primitives::account::AccessKey;
use near_primitives::action::{Action, AddKeyAction, CreateAccountAction};
use near_primitives::hash::{CryptoHash, hash};
use near_primitives::transaction::ExecutionMetadata;
use near_primitives::types::Balance;

const PRICE: u128 = 100_000_000;
/// `action_receipt_creation` and `action_transfer`, the same for sending and executing.
const RECEIPT: u128 = 108_059_500_000;
const TRANSFER: u128 = 115_123_062_500;
/// `account_creation_charge` from protocol 85 on: 0.007 NEAR.
const CREATION_CHARGE: u128 = 7_000_000_000_000_000_000_000;

fn chain(version: u32) -> Chain {
    let mut chain = Chain::new(version);
    chain.create("alice.test.near", Balance::from_near(50), None);
    chain
}

/// What a transaction costs its signer in the end, deposits apart.
fn cost(chain: &mut Chain, receiver: &str, actions: Vec<Action>, deposit: Balance) -> u128 {
    let before = chain.amount("alice.test.near");
    chain.run("alice.test.near", receiver, actions);
    let after = chain.amount("alice.test.near");
    before.as_yoctonear() - after.as_yoctonear() - deposit.as_yoctonear()
}

#[test]
fn a_transfer_costs_the_same_at_every_version() {
    for version in 84..=88 {
        let mut chain = chain(version);
        let one = Balance::from_near(1);
        let found = cost(&mut chain, "test.near", vec![transfer(one)], one);
        assert_eq!(found, 2 * (RECEIPT + TRANSFER) * PRICE, "{version}");
    }
}

#[test]
fn gas_is_bought_at_a_higher_price_from_85_on_and_the_difference_comes_back() {
    for (version, price) in [(84, PRICE), (85, 10 * PRICE), (88, 10 * PRICE)] {
        let mut chain = chain(version);
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
        // A refund is there when something comes back.
        assert_eq!(receipt.receipt_ids.len(), usize::from(version >= 85));
    }
}

#[test]
fn a_new_account_costs_its_gas_or_the_charge_from_85_on() {
    for (version, gas) in
        [(84, 3_850_000_000_000 * 2), (85, 500_000_000_000), (88, 500_000_000_000)]
    {
        let mut chain = chain(version);
        let actions = vec![Action::CreateAccount(CreateAccountAction {})];
        let found = cost(&mut chain, "new.alice.test.near", actions, Balance::ZERO);
        let mut expected = (2 * RECEIPT + gas) * PRICE;
        if version >= 85 {
            // The execution of 7.2 Tgas is part of the charge.
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
    let mut chain = chain(88);
    let one = Balance::from_near(1);
    let found = cost(&mut chain, &name, vec![transfer(one)], one);
    let gas = 2 * (RECEIPT + TRANSFER + KEY) + 500_000_000_000;
    assert_eq!(found, gas * PRICE + CREATION_CHARGE);
    // A second transfer creates nothing: what was bought for it comes back, but for the fees.
    let found = cost(&mut chain, &name, vec![transfer(one)], one);
    assert_eq!(found, (gas + 7_200_000_000_000) * PRICE);
}

#[test]
fn a_creation_that_fails_pays_no_charge() {
    let mut chain = chain(88);
    let actions = vec![Action::CreateAccount(CreateAccountAction {})];
    let found = cost(&mut chain, "near", actions, Balance::ZERO);
    // It fails in the first action, whose fee of 7.2 Tgas is burnt nevertheless.
    assert_eq!(found, (2 * RECEIPT + 7_700_000_000_000) * PRICE);
}

#[test]
fn contracts_earn_a_share_of_the_gas_until_86() {
    for (version, earns) in [(84, true), (86, true), (87, false), (88, false)] {
        let mut chain = chain(version);
        chain.create("c.test.near", Balance::from_near(10), Some(contract("basic")));
        let before = chain.amount("c.test.near").as_yoctonear();
        let tx = chain.run("alice.test.near", "c.test.near", vec![call("hello", b"")]);
        let earned = chain.amount("c.test.near").as_yoctonear() - before;
        let receipt = chain.receipt_outcome(&tx);
        assert_eq!(earned > 0, earns, "{version}");
        if earns {
            // The fees of the receipt and of the call do not count.
            let burnt = u128::from(receipt.gas_burnt.as_gas());
            assert!(earned < burnt * PRICE * 3 / 10, "{version}");
        }
    }
}

#[test]
fn outcomes_tell_the_contract_of_each_action_from_85_on() {
    for version in [84, 85] {
        let mut chain = chain(version);
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
    let mut chain = chain(84);
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
    let mut chain = chain(84);
    let add = Action::AddKey(Box::new(AddKeyAction {
        public_key: public_key("second"),
        access_key: AccessKey { nonce: 12, ..AccessKey::full_access() },
    }));
    let tx = chain.run("alice.test.near", "alice.test.near", vec![add]);
    let key = chain.state.access_key(&id("alice.test.near"), &public_key("second")).unwrap();
    assert_eq!(key.nonce, (chain.outcomes[&tx].1 - 1) * 1_000_000);
}
