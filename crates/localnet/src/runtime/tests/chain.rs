//! The smallest chain that can drive the runtime. A test makes each block itself, and there is no
//! RPC.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use near_crypto::{ED25519SecretKey, InMemorySigner, PublicKey, SecretKey, Signer};
use near_primitives::{
    account::{AccessKey, Account, AccountContract},
    action::{
        Action, AddKeyAction, CreateAccountAction, DeployContractAction, FunctionCallAction,
        TransferAction,
    },
    errors::{ActionErrorKind, InvalidTxError, TxExecutionError},
    hash::{CryptoHash, hash},
    receipt::Receipt,
    transaction::{
        ExecutionOutcome, ExecutionStatus, NonceMode, SignedTransaction, Transaction,
        TransactionNonce, TransactionV0, TransactionV1,
    },
    types::{AccountId, Balance, EpochId, Gas},
};

use crate::{
    runtime::{BlockContext, Runtime, RuntimeOptions},
    state::State,
};

/// One runtime for all tests, so that each contract is compiled once.
pub(super) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new(RuntimeOptions::default()).unwrap());

/// A chain, and everything that has happened on it.
pub(super) struct Chain {
    pub(super) state: State,
    pub(super) protocol_version: u32,
    pub(super) height: u64,
    /// In yoctoNEAR for each unit of gas.
    pub(super) gas_price: u128,
    pub(super) gas_limit: Gas,
    /// Receipts that the next block processes.
    pub(super) outgoing: Vec<Receipt>,
    /// The outcomes so far, each with its height.
    pub(super) outcomes: HashMap<CryptoHash, (ExecutionOutcome, u64)>,
    pub(super) receipts: HashMap<CryptoHash, Receipt>,
    pub(super) rejected: Vec<InvalidTxError>,
    /// Tokens burnt by the last block.
    pub(super) burnt: Balance,
}

/// The key with a label: an ed25519 key whose seed is `sha256("golden:" + label)`.
pub(super) fn secret_key(label: &str) -> SecretKey {
    let seed = hash(format!("golden:{label}").as_bytes());
    let pair = ed25519_dalek::SigningKey::from_bytes(&seed.0).to_keypair_bytes();
    SecretKey::ED25519(ED25519SecretKey(pair))
}

pub(super) fn signer(account_id: &AccountId, label: &str) -> Signer {
    InMemorySigner::from_secret_key(account_id.clone(), secret_key(label))
}

pub(super) fn public_key(label: &str) -> PublicKey {
    secret_key(label).public_key()
}

pub(super) fn id(name: &str) -> AccountId {
    name.parse().unwrap()
}

impl Chain {
    /// A chain with the golden genesis: the accounts `test.near`, which is the validator, and
    /// `near`.
    pub(super) fn new(protocol_version: u32) -> Self {
        let mut state = State::new();
        let billion = Balance::from_near(1_000_000_000);
        for (name, locked) in
            [("test.near", Balance::from_near(50_000_000)), ("near", Balance::ZERO)]
        {
            let account = Account::new(billion, locked, AccountContract::None, 182);
            state.set_account(&id(name), &account);
            state.set_access_key(&id(name), &public_key(name), &AccessKey::full_access());
        }
        Self {
            state,
            protocol_version,
            height: 0,
            gas_price: 100_000_000,
            gas_limit: Gas::from_gas(1_000_000_000_000_000),
            outgoing: Vec::new(),
            outcomes: HashMap::new(),
            receipts: HashMap::new(),
            rejected: Vec::new(),
            burnt: Balance::ZERO,
        }
    }

    /// A chain that also has `alice.test.near`, with a balance in NEAR.
    pub(super) fn with_alice(protocol_version: u32, near: u128) -> Self {
        let mut chain = Self::new(protocol_version);
        chain.create("alice.test.near", Balance::from_near(near), None);
        chain
    }

    pub(super) fn context(&self, height: u64) -> BlockContext {
        let block = hash(&height.to_le_bytes());
        BlockContext {
            height,
            prev_block_hash: hash(&(height - 1).to_le_bytes()),
            block_hash: block,
            timestamp: 1_700_000_000_000_000_000 + height * 1_000_000_000,
            random_seed: block,
            gas_price: Balance::from_yoctonear(self.gas_price),
            epoch_height: 1,
            epoch_id: EpochId::default(),
            protocol_version: self.protocol_version,
            validators: Arc::new(BTreeMap::from([(
                id("test.near"),
                Balance::from_near(50_000_000),
            )])),
            minimum_stake: Balance::from_near(10),
            gas_limit: self.gas_limit,
        }
    }

    /// Makes a block, and leaves out `skip` heights before it.
    pub(super) fn block_after(&mut self, skip: u64, txs: Vec<SignedTransaction>) {
        self.height += 1 + skip;
        let ctx = self.context(self.height);
        let incoming = std::mem::take(&mut self.outgoing);
        let result = RUNTIME.apply(&mut self.state, &ctx, vec![], incoming, txs).unwrap();
        for outcome in result.outcomes {
            let known = self.outcomes.insert(outcome.id, (outcome.outcome, self.height));
            assert!(known.is_none(), "two outcomes of {}", outcome.id);
        }
        for receipt in result.processed_receipts {
            self.receipts.insert(*receipt.receipt_id(), receipt);
        }
        self.burnt = result.tokens_burnt;
        self.rejected.extend(result.rejected.into_iter().map(|(_, error)| error));
        self.outgoing = result.outgoing;
    }

    pub(super) fn block(&mut self, txs: Vec<SignedTransaction>) {
        self.block_after(0, txs);
    }

    /// Makes blocks until no receipt is left to be processed.
    pub(super) fn settle(&mut self) {
        for _ in 0..50 {
            if self.outgoing.is_empty() {
                return;
            }
            self.block(vec![]);
        }
        panic!("receipts never end");
    }

    /// Signs a transaction with the key of a label. Its nonce is the key's nonce plus an offset.
    pub(super) fn sign(
        &self,
        signer_id: &AccountId,
        label: &str,
        receiver_id: &AccountId,
        actions: Vec<Action>,
        nonce_offset: i64,
    ) -> SignedTransaction {
        let key = public_key(label);
        let known = self.state.access_key(signer_id, &key).map_or(0, |key| key.nonce);
        let transaction = Transaction::V0(TransactionV0 {
            signer_id: signer_id.clone(),
            public_key: key,
            nonce: known.checked_add_signed(nonce_offset).unwrap(),
            receiver_id: receiver_id.clone(),
            block_hash: CryptoHash::default(),
            actions,
        });
        let (hash, _) = transaction.get_hash_and_size();
        SignedTransaction::new(signer(signer_id, label).sign(hash.as_ref()), transaction)
    }

    /// Signs a transaction with the gas key of a label. Its nonce is the one at `index` plus an
    /// offset.
    pub(super) fn sign_with_gas_key(
        &self,
        signer_id: &str,
        label: &str,
        index: u16,
        receiver_id: &str,
        actions: Vec<Action>,
        nonce_offset: u64,
    ) -> SignedTransaction {
        let (signer_id, public_key) = (id(signer_id), public_key(label));
        let known = self.state.gas_key_nonce(&signer_id, &public_key, index).unwrap_or(0);
        let transaction = Transaction::V1(TransactionV1 {
            signer_id: signer_id.clone(),
            public_key,
            nonce: TransactionNonce::from_nonce_and_index(known + nonce_offset, index),
            receiver_id: id(receiver_id),
            block_hash: CryptoHash::default(),
            actions,
            nonce_mode: NonceMode::Monotonic,
        });
        let (hash, _) = transaction.get_hash_and_size();
        SignedTransaction::new(signer(&signer_id, label).sign(hash.as_ref()), transaction)
    }

    /// Whether a transaction has been taken and all receipts that follow from it have been
    /// executed.
    pub(super) fn is_done(&self, id: &CryptoHash) -> bool {
        let Some((outcome, _)) = self.outcomes.get(id) else {
            return false;
        };
        outcome.receipt_ids.iter().all(|id| self.is_done(id))
    }
}

/// A call with 100 Tgas and no deposit.
pub(super) fn call(method: &str, args: &[u8]) -> Action {
    Action::FunctionCall(Box::new(FunctionCallAction {
        method_name: method.to_owned(),
        args: args.to_vec(),
        gas: Gas::from_teragas(100),
        deposit: Balance::ZERO,
    }))
}

pub(super) fn transfer(deposit: Balance) -> Action {
    Action::Transfer(TransferAction { deposit })
}

impl Chain {
    /// Creates an account whose key has the account's name as its label. It may have a contract.
    pub(super) fn create(&mut self, name: &str, balance: Balance, code: Option<Vec<u8>>) {
        let mut actions = vec![
            Action::CreateAccount(CreateAccountAction {}),
            transfer(balance),
            Action::AddKey(Box::new(AddKeyAction {
                public_key: public_key(name),
                access_key: AccessKey::full_access(),
            })),
        ];
        actions.extend(code.map(|code| Action::DeployContract(DeployContractAction { code })));
        let tx = self.run("test.near", name, actions);
        assert!(self.failure(&tx).is_none(), "{:?}", self.failure(&tx));
    }

    /// Sends a transaction, signed with its signer's first key, and makes blocks until all receipts
    /// that follow from it have been executed.
    pub(super) fn run(
        &mut self,
        signer_id: &str,
        receiver_id: &str,
        actions: Vec<Action>,
    ) -> CryptoHash {
        let tx = self.sign(&id(signer_id), signer_id, &id(receiver_id), actions, 1);
        let hash = tx.get_hash();
        self.block(vec![tx]);
        assert!(self.rejected.is_empty(), "{:?}", self.rejected);
        self.settle();
        hash
    }

    /// The error that makes a transaction invalid, which it must be.
    pub(super) fn invalid(
        &self,
        signer_id: &str,
        receiver_id: &str,
        actions: Vec<Action>,
    ) -> InvalidTxError {
        let tx = self.sign(&id(signer_id), signer_id, &id(receiver_id), actions, 1);
        self.check(&tx).unwrap_err()
    }

    /// Checks a transaction as a node does before the transaction enters its pool.
    pub(super) fn check(&self, tx: &SignedTransaction) -> Result<(), InvalidTxError> {
        let ctx = self.context(self.height + 1);
        RUNTIME.validate_transaction(&self.state, &ctx, tx)
    }

    pub(super) fn outcome(&self, id: &CryptoHash) -> &ExecutionOutcome {
        &self.outcomes[id].0
    }

    /// The outcome of a transaction's receipt.
    pub(super) fn receipt_outcome(&self, tx: &CryptoHash) -> &ExecutionOutcome {
        self.outcome(&self.outcome(tx).receipt_ids[0])
    }

    /// How a transaction failed, if it did.
    pub(super) fn failure(&self, tx: &CryptoHash) -> Option<ActionErrorKind> {
        match self.status(tx) {
            ExecutionStatus::Failure(TxExecutionError::ActionError(error)) => Some(error.kind),
            _ => None,
        }
    }

    /// What a transaction returned, along the promises that were returned.
    pub(super) fn value(&self, tx: &CryptoHash) -> Vec<u8> {
        match self.status(tx) {
            ExecutionStatus::SuccessValue(value) => value,
            other => panic!("{other:?}"),
        }
    }

    fn status(&self, tx: &CryptoHash) -> ExecutionStatus {
        match &self.outcome(tx).status {
            ExecutionStatus::SuccessReceiptId(next) => self.status(next),
            status => status.clone(),
        }
    }

    /// The balance of an account, without its stake.
    pub(super) fn amount(&self, name: &str) -> Balance {
        self.state.account(&id(name)).unwrap().amount()
    }
}
