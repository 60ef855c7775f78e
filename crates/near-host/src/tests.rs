use std::{cell::Cell, collections::BTreeMap};

use near_primitives::action::Action;
use near_primitives_core::{
    hash::{CryptoHash, hash},
    types::{AccountId, Balance, Gas, GasWeight},
    universal_state_init::RawStateInit,
};
use near_vm_runner::logic::{
    External, HostError, ValuePtr, gas_counter::FreeGasCounter, types::ReceiptIndex,
};

use crate::{Chain, Charges, Host, NodeCount, Plain, ReceiptManager, VmResult, Yields};

/// One value in storage. It either makes receipts or refuses everything.
struct Small {
    value: Option<Vec<u8>>,
    receipts: Option<ReceiptManager>,
    refused: Cell<u32>,
    account: AccountId,
}

fn data_id(n: u64) -> CryptoHash {
    hash(&n.to_le_bytes())
}

fn chain(receipts: bool) -> Small {
    Small {
        value: None,
        receipts: receipts.then(|| ReceiptManager::new(data_id)),
        refused: Cell::new(0),
        account: account("a.near"),
    }
}

fn account(id: &str) -> AccountId {
    id.parse().unwrap()
}

impl Small {
    fn refuse<T>(&self) -> VmResult<T> {
        self.refused.set(self.refused.get() + 1);
        Err(HostError::MemoryAccessViolation.into())
    }
}

impl Chain for Small {
    fn read(&self, _: &[u8]) -> VmResult<Option<Box<dyn ValuePtr + '_>>> {
        Ok(self.value.as_ref().map(|value| Box::new(Plain(value)) as Box<dyn ValuePtr>))
    }

    fn replace(
        &mut self,
        charges: &mut Charges<'_>,
        _: &[u8],
        value: Option<&[u8]>,
    ) -> VmResult<Option<Vec<u8>>> {
        charges.old_value(self.value.as_ref())?;
        charges.nodes(NodeCount::default())?;
        Ok(std::mem::replace(&mut self.value, value.map(<[u8]>::to_vec)))
    }

    fn validators(&self) -> VmResult<&BTreeMap<AccountId, Balance>> {
        self.refuse()
    }

    fn chain_id(&self) -> VmResult<&str> {
        self.refuse()
    }

    fn universal_accounts(&self) -> VmResult<()> {
        self.refuse()
    }

    fn receipts(&mut self) -> VmResult<&mut ReceiptManager> {
        if self.receipts.is_none() {
            return self.refuse();
        }
        Ok(self.receipts.as_mut().unwrap())
    }

    fn receiver(&self, _: ReceiptIndex) -> &AccountId {
        &self.account
    }

    fn yields(&mut self) -> VmResult<&mut dyn Yields> {
        self.refuse()
    }
}

#[test]
fn storage_is_read_written_and_removed() {
    let (mut chain, gas) = (chain(false), &mut FreeGasCounter);
    let mut host = Host(&mut chain);
    assert_eq!(host.storage_set(gas, b"k", b"one").unwrap(), None);
    assert_eq!(host.storage_set(gas, b"k", b"two").unwrap().as_deref(), Some(&b"one"[..]));
    let value = host.storage_get(gas, b"k").unwrap().unwrap();
    assert_eq!((value.len(), value.deref(gas).unwrap()), (3, b"two".to_vec()));
    drop(value);
    assert!(host.storage_has_key(gas, b"k").unwrap());
    assert_eq!(host.storage_remove(gas, b"k").unwrap().as_deref(), Some(&b"two"[..]));
    assert!(!host.storage_has_key(gas, b"k").unwrap());
}

#[test]
fn a_chain_hears_of_every_call_that_it_refuses_even_where_the_call_cannot_fail() {
    let (mut chain, bob) = (chain(false), account("bob.near"));
    let mut host = Host(&mut chain);
    assert_eq!(host.chain_id(), "");
    host.check_state_init(&RawStateInit(Vec::new())).unwrap();
    assert_eq!(host.generate_data_id(), CryptoHash::default());
    host.append_action_create_account(0);
    assert_eq!(host.0.refused.get(), 4);
    host.validator_stake(&bob).unwrap_err();
    host.validator_total_stake().unwrap_err();
    host.create_action_receipt(vec![], bob.clone()).unwrap_err();
    host.create_promise_yield_receipt(bob).unwrap_err();
    host.submit_promise_resume_data(CryptoHash::default(), Vec::new()).unwrap_err();
    assert_eq!(host.0.refused.get(), 9);
}

#[test]
fn a_receipt_waits_for_the_data_of_those_it_depends_on() {
    let (mut chain, bob) = (chain(true), account("bob.near"));
    let mut host = Host(&mut chain);
    let first = host.create_action_receipt(vec![], bob.clone()).unwrap();
    let second = host.create_action_receipt(vec![], bob.clone()).unwrap();
    let both = host.create_action_receipt(vec![second, first], bob.clone()).unwrap();
    host.set_refund_to(both, account("carol.near"));
    assert!(host.create_action_receipt(vec![9], bob).is_err());

    let made = chain.receipts.unwrap();
    let sends = |receipt| made.get(receipt).unwrap().output_data_receivers[0].data_id;
    assert_eq!([sends(second), sends(first)], [data_id(0), data_id(1)]);
    let both = made.get(both).unwrap();
    assert_eq!(both.input_data_ids, [data_id(0), data_id(1)]);
    assert_eq!(both.refund_to, Some(account("carol.near")));
}

#[test]
fn calls_share_the_gas_that_is_left_by_weight_and_the_last_gets_the_rest() {
    let (mut chain, bob) = (chain(true), account("bob.near"));
    let mut host = Host(&mut chain);
    let receipt = host.create_action_receipt(vec![], bob).unwrap();
    for weight in [1, 0, 2] {
        let (name, gas, weight) = (b"m".to_vec(), Gas::from_gas(10), GasWeight(weight));
        let deposit = Balance::ZERO;
        host.append_action_function_call_weight(receipt, name, vec![], deposit, gas, weight)
            .unwrap();
    }
    let mut made = chain.receipts.unwrap();
    assert_eq!(made.distribute_gas(Gas::from_gas(101)), Some(Gas::from_gas(101)));
    let actions = made.get(receipt).unwrap().actions.iter();
    let gas: Vec<_> = actions
        .map(|action| match action {
            Action::FunctionCall(call) => call.gas.as_gas(),
            action => panic!("{action:?}"),
        })
        .collect();
    assert_eq!(gas, [43, 10, 78]);
}
