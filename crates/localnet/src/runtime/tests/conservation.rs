//! Every block conserves tokens to the yoctoNEAR, whatever its transactions are.

use std::collections::BTreeMap;

use near_primitives::{
    account::{AccessKey, AccessKeyPermission, FunctionCallPermission},
    action::{
        Action, AddKeyAction, CreateAccountAction, DeleteAccountAction, DeleteKeyAction,
        DeployContractAction, DeployGlobalContractAction, DeterministicStateInitAction,
        FunctionCallAction, GlobalContractDeployMode, GlobalContractIdentifier, StakeAction,
        TransferAction, TransferToGasKeyAction, UseGlobalContractAction, WithdrawFromGasKeyAction,
        delegate::{DelegateAction, NonDelegateAction, SignedDelegateAction},
    },
    deterministic_account_id::{DeterministicAccountStateInit, DeterministicAccountStateInitV1},
    transaction::SignedTransaction,
    types::{AccountId, Balance, Gas},
    utils::derive_near_deterministic_account_id,
};

use super::{
    chain::{Chain, RUNTIME, id, public_key, signer},
    scenario::contract,
    supply::total_supply,
};

/// A generator of pseudo-random numbers, so that a seed that fails can be run again.
struct Random {
    state: u64,
    version: u32,
}

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        usize::try_from(self.state >> 33).unwrap() % limit
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const ACCOUNTS: [&str; 4] =
    ["alice.test.near", "bob.test.near", "carol.test.near", "dave.test.near"];
const RECEIVERS: [&str; 8] = [
    "alice.test.near",
    "bob.test.near",
    "carol.test.near",
    "dave.test.near",
    "nobody.test.near",
    "sub.alice.test.near",
    "0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
/// Methods of the recorded contracts. They write, panic, loop, make and join promises, yield and
/// resume.
const METHODS: [&str; 32] = [
    "hello",
    "write",
    "read",
    "remove",
    "panic_msg",
    "trap",
    "spin",
    "nothing",
    "y_ret",
    "y_calls",
    "y_two",
    "r",
    "r2",
    "y_and_r",
    "y_chain",
    "y_then_panics",
    "outer",
    "y_low_gas",
    "create_one",
    "create_return",
    "then_ok",
    "then_fail",
    "then_cb_panic",
    "join",
    "join_one_fails",
    "transfer_ok",
    "transfer_missing",
    "weights_1_3",
    "batch_new",
    "n1",
    "create_deposit_fail",
    "delete_self",
];

fn call(random: &mut Random) -> Action {
    Action::FunctionCall(Box::new(FunctionCallAction {
        method_name: random.pick(&METHODS).to_owned(),
        args: vec![b'x'; random.below(40)],
        gas: Gas::from_teragas([1, 10, 50, 150][random.below(4)]),
        deposit: Balance::from_yoctonear([0, 0, 1, 1 << 80][random.below(4)]),
    }))
}

fn action(random: &mut Random, depth: u32) -> Action {
    // There are gas keys from protocol 85 on.
    match random.below(if random.version < 85 { 16 } else { 20 }) {
        0 => Action::CreateAccount(CreateAccountAction {}),
        1..=3 => Action::Transfer(TransferAction {
            deposit: Balance::from_yoctonear(u128::try_from(random.below(9)).unwrap() << 84),
        }),
        4 => Action::AddKey(Box::new(AddKeyAction {
            public_key: public_key(random.pick(&["k1", "k2", "alice.test.near"])),
            access_key: AccessKey {
                nonce: 0,
                permission: AccessKeyPermission::FunctionCall(FunctionCallPermission {
                    allowance: Some(Balance::from_near(1)),
                    receiver_id: "bob.test.near".to_owned(),
                    method_names: vec![],
                }),
            },
        })),
        5 => Action::DeleteKey(Box::new(DeleteKeyAction { public_key: public_key("k1") })),
        6 if depth == 0 => Action::DeleteAccount(DeleteAccountAction {
            beneficiary_id: id(random.pick(&RECEIVERS)),
        }),
        7 => Action::DeployContract(DeployContractAction {
            code: contract(random.pick(&["basic", "yield"])),
        }),
        8 => Action::Stake(Box::new(StakeAction {
            stake: Balance::from_near(u128::try_from(random.below(20)).unwrap()),
            public_key: public_key("validator"),
        })),
        9 => Action::DeployGlobalContract(DeployGlobalContractAction {
            code: contract("basic").into(),
            deploy_mode: GlobalContractDeployMode::AccountId,
        }),
        10 => Action::UseGlobalContract(Box::new(UseGlobalContractAction {
            contract_identifier: GlobalContractIdentifier::AccountId(id(random.pick(&ACCOUNTS))),
        })),
        16 => Action::AddKey(Box::new(AddKeyAction {
            public_key: public_key(random.pick(&["gas", "gas 2"])),
            access_key: AccessKey::gas_key_full_access(2),
        })),
        17 => Action::DeleteKey(Box::new(DeleteKeyAction { public_key: public_key("gas") })),
        18 => Action::TransferToGasKey(Box::new(TransferToGasKeyAction {
            public_key: public_key(random.pick(&["gas", "gas 2"])),
            deposit: Balance::from_millinear(u128::try_from(random.below(40)).unwrap()),
        })),
        // Withdrawing is not allowed in a meta transaction from 87 on.
        19 if depth == 0 => Action::WithdrawFromGasKey(Box::new(WithdrawFromGasKeyAction {
            public_key: public_key("gas"),
            amount: Balance::from_millinear(u128::try_from(random.below(20)).unwrap()),
        })),
        _ => call(random),
    }
}

/// The creation of an account whose id commits to a contract and to some data.
fn state_init(random: &mut Random) -> (AccountId, Action) {
    let state_init = DeterministicAccountStateInit::V1(DeterministicAccountStateInitV1 {
        code: GlobalContractIdentifier::AccountId(id(random.pick(&ACCOUNTS))),
        data: BTreeMap::from([(b"key".to_vec(), vec![7; random.below(3) * 500])]),
    });
    let receiver_id = derive_near_deterministic_account_id(&state_init);
    let deposit = Balance::from_millinear(u128::try_from(random.below(20)).unwrap());
    let init = DeterministicStateInitAction { state_init, deposit };
    (receiver_id, Action::DeterministicStateInit(Box::new(init)))
}

fn delegate(random: &mut Random, chain: &Chain) -> Action {
    let sender_id = id(random.pick(&ACCOUNTS));
    let key = public_key(sender_id.as_str());
    let nonce = chain.state.access_key(&sender_id, &key).map_or(0, |key| key.nonce);
    let delegate_action = DelegateAction {
        sender_id: sender_id.clone(),
        receiver_id: id(random.pick(&RECEIVERS)),
        actions: vec![NonDelegateAction::try_from(action(random, 1)).unwrap()],
        nonce: nonce + u64::try_from(random.below(2)).unwrap(),
        max_block_height: chain.height + 5,
        public_key: key,
    };
    let signer = signer(&sender_id, sender_id.as_str());
    Action::Delegate(Box::new(SignedDelegateAction::sign(&signer, delegate_action)))
}

fn transaction(random: &mut Random, chain: &Chain, used: &mut [i64]) -> SignedTransaction {
    let signer = random.below(ACCOUNTS.len());
    let signer_id = id(ACCOUNTS[signer]);
    let (receiver_id, actions) = if random.below(10) == 0 {
        let (receiver_id, init) = state_init(random);
        (receiver_id, vec![init])
    } else if random.below(8) == 0 {
        let action = delegate(random, chain);
        let Action::Delegate(signed) = &action else { unreachable!() };
        (signed.delegate_action.sender_id.clone(), vec![action])
    } else {
        let count = 1 + random.below(3);
        (id(random.pick(&RECEIVERS)), (0..count).map(|_| action(random, 0)).collect())
    };
    used[signer] += 1;
    if random.version >= 85 && random.below(4) == 0 {
        let index = u16::try_from(random.below(3)).unwrap();
        let offset = u64::try_from(used[signer]).unwrap();
        let (signer, receiver) = (signer_id.as_str(), receiver_id.as_str());
        return chain.sign_with_gas_key(signer, "gas", index, receiver, actions, offset);
    }
    chain.sign(&signer_id, signer_id.as_str(), &receiver_id, actions, used[signer])
}

/// Runs random blocks. Returns how many outcomes there were, and how many invalid transactions.
fn run(seed: u64, version: u32) -> (usize, usize) {
    let config = RUNTIME.config(version).clone();
    let mut random = Random { state: seed, version };
    let mut chain = Chain::new(version);
    for name in ACCOUNTS {
        let code = contract(random.pick(&["basic", "yield", "cross"]));
        let mut actions = vec![
            Action::CreateAccount(CreateAccountAction {}),
            Action::Transfer(TransferAction { deposit: Balance::from_near(100) }),
            Action::AddKey(Box::new(AddKeyAction {
                public_key: public_key(name),
                access_key: AccessKey::full_access(),
            })),
            Action::DeployContract(DeployContractAction { code }),
        ];
        if version >= 85 {
            let public_key = public_key("gas");
            actions.push(Action::AddKey(Box::new(AddKeyAction {
                public_key: public_key.clone(),
                access_key: AccessKey::gas_key_full_access(2),
            })));
            let deposit = Balance::from_millinear(100);
            let transfer = TransferToGasKeyAction { public_key, deposit };
            actions.push(Action::TransferToGasKey(Box::new(transfer)));
        }
        let root = id("test.near");
        let tx = chain.sign(&root, "test.near", &id(name), actions, 1);
        chain.block(vec![tx]);
        chain.settle();
    }
    // With a small gas limit, some receipts are delayed.
    chain.gas_limit = Gas::from_teragas(20);
    for round in 0..40u128 {
        let mut used = [0; 4];
        let count = random.below(6);
        let txs = (0..count).map(|_| transaction(&mut random, &chain, &mut used)).collect();
        let skip = if random.below(12) == 0 { 200 } else { 0 };
        // The gas price changes, also to prices below the one at which gas was bought.
        chain.gas_price = 100_000_000 + (round * 37 % 11) * 5_000_000;
        let before = total_supply(&chain, &config);
        chain.block_after(skip, txs);
        let after = total_supply(&chain, &config) + chain.burnt.as_yoctonear();
        assert_eq!(before, after, "seed {seed}, protocol {version}, block {}", chain.height);
    }
    (chain.outcomes.len(), chain.rejected.len())
}

#[test]
fn every_block_conserves_tokens() {
    for version in [84, 85, 86, 87, 88] {
        let mut outcomes = 0;
        for seed in 0..12 {
            outcomes += run(seed, version).0;
        }
        // With few outcomes the test would show nothing.
        assert!(outcomes > 500, "{outcomes} outcomes at {version}");
    }
}
