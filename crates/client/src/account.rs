//! An account that signs and sends transactions.
//!
//! An account may sign with several access keys, each of which has nonces of its own. A call takes
//! the key with the fewest calls in flight. Nonces are kept here and handed out in order; when the
//! node says that one is used up, it says which one was the last, and the call is signed again with
//! a newer one. Several processes of one operator share an account by having keys of their own.
//!
//! The same signed transaction may be sent any number of times, because the chain executes it at
//! most once. So when an answer is lost, the same transaction is sent again. As long as the fate of
//! a transaction is unknown, its call is never signed a second time.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use near_crypto::{PublicKey, SecretKey};
use near_jsonrpc_client::methods;
use near_jsonrpc_primitives::types::transactions::{RpcTransactionError, TransactionInfo};
use near_primitives::{
    action::Action as NearAction,
    errors::InvalidTxError,
    hash::CryptoHash,
    transaction::{SignedTransaction, Transaction, TransactionV0},
    views::TxExecutionStatus,
};
use outlayer_protocol::{AccountId, NearToken};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    Action, At, Backoff, CallOutcome, ChainError, Node,
    access_key::{AccessKey, Lease},
    outcome::executed,
    text::clip,
    transport::CallError,
};

/// A call that was not executed, or of which this is not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// The chain cannot be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The account does not exist, or does not have this access key.
    #[error("{account_id} has no access key {public_key}, or does not exist")]
    NoAccessKey {
        /// The account that should sign.
        account_id: AccountId,
        /// The public part of the configured key.
        public_key: String,
    },
    /// The node does not accept the transaction.
    #[error("the transaction ({method}) of {account_id} is invalid: {reason}")]
    Invalid {
        /// The account that signed.
        account_id: AccountId,
        /// The method called, or "deploy".
        method: String,
        /// The node's message.
        reason: String,
    },
    /// The transaction was sent, and nothing more is known of it.
    #[error(
        "transaction {transaction} ({method}) was sent; whether it was executed is not known after \
         {waited:?}"
    )]
    Unconfirmed {
        /// The transaction's hash.
        transaction: CryptoHash,
        /// The method called, or "deploy".
        method: String,
        /// For how long the node was asked.
        waited: Duration,
    },
}

/// An account on a node, with the access keys that sign. Clones are cheap and share the keys and
/// their nonces.
#[derive(Clone)]
pub struct SigningAccount {
    node: Node,
    id: AccountId,
    keys: Arc<RwLock<Vec<Arc<AccessKey>>>>,
    /// The block that transactions name, and when it was asked for.
    anchor: Arc<Mutex<Option<(Instant, CryptoHash)>>>,
    /// For how long the node is asked about a transaction; `None` asks until its fate is known.
    patience: Option<Duration>,
}

/// For how long transactions name the same block. It may be a day old on mainnet.
const ANCHOR_AGE: Duration = Duration::from_secs(10);
/// How many times a node must not know a transaction that may have been sent, and whose nonce is
/// used up, before it counts as void: one of the nodes behind an address may lag.
const UNKNOWN_LOOKS: u32 = 6;

impl std::fmt::Debug for SigningAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningAccount")
            .field("id", &self.id)
            .field("public_keys", &self.public_keys())
            .finish_non_exhaustive()
    }
}

enum Delivered {
    Executed(CallOutcome),
    /// The transaction can never be executed: the call may be signed again.
    Void,
}

const RESIGN: Backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(1) };
const MOST_RESIGNS: u32 = 20;

impl SigningAccount {
    /// The account `id` on `node`, which signs with `secret_key`.
    pub fn new(node: Node, id: AccountId, secret_key: SecretKey) -> Self {
        Self::with_keys(node, id, [secret_key])
    }

    /// The account `id` on `node`, which signs with any of these keys. Without a key, every call
    /// fails.
    pub fn with_keys(
        node: Node,
        id: AccountId,
        secret_keys: impl IntoIterator<Item = SecretKey>,
    ) -> Self {
        let keys = secret_keys.into_iter().map(|key| Arc::new(AccessKey::new(&id, key)));
        let keys = Arc::new(RwLock::new(keys.collect()));
        let patience = Some(Duration::from_secs(60));
        Self { node, id, keys, anchor: Arc::default(), patience }
    }

    /// The same account, which asks about a transaction for as long as it takes to know its fate.
    /// So a call that may have been executed is never given up, and never made again elsewhere.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { patience: None, ..self }
    }

    #[cfg(test)]
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Signs with these keys from now on. Those that stay keep their nonces. Calls that were signed
    /// already are not affected.
    pub fn replace_keys(&self, secret_keys: impl IntoIterator<Item = SecretKey>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let replaced = secret_keys.into_iter().map(|key| {
            let public = key.public_key();
            let known = keys.iter().find(|known| *known.public_key() == public);
            known.map_or_else(|| Arc::new(AccessKey::new(&self.id, key)), Arc::clone)
        });
        *keys = replaced.collect();
    }

    /// The public parts of its keys.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().map(|key| key.public_key().clone()).collect()
    }

    /// Whether the key with this public part signs, as long as another one does. All keys do at
    /// first.
    pub fn let_sign(&self, public_key: &PublicKey, signs: bool) {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().filter(|key| key.public_key() == public_key).for_each(|key| {
            key.let_sign(signs);
        });
    }

    /// The key with the fewest calls in flight.
    fn lease(&self) -> Result<Lease, SendError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let free = keys.iter().min_by_key(|key| (!key.signs(), key.in_flight()));
        free.map(Lease::new).ok_or_else(|| SendError::NoAccessKey {
            account_id: self.id.clone(),
            public_key: "(none is configured)".to_owned(),
        })
    }

    /// The account's id.
    pub fn id(&self) -> &AccountId {
        &self.id
    }

    /// Calls `method` of `contract`, and waits until the call and its receipts have been executed.
    /// `gas` is in units of gas.
    ///
    /// # Errors
    /// [`SendError`]. A method that fails is not an error here, see [`CallOutcome::result`].
    pub async fn call(
        &self,
        contract: &AccountId,
        method: &str,
        args: Vec<u8>,
        gas: u64,
        deposit: NearToken,
    ) -> Result<CallOutcome, SendError> {
        let call = Action::Call { method: method.to_owned(), args, gas, deposit };
        self.send(contract, &[call], &|_| {}).await
    }

    /// Sends `actions` to `receiver` in one transaction, and waits until it and its receipts have
    /// been executed. Each time that the transaction is signed, `signed` gets its hash: it is
    /// signed anew only when the one before can never be executed. Errors speak of the transaction
    /// by its last action.
    ///
    /// # Errors
    /// [`SendError`]. Actions that fail are not an error here, see [`CallOutcome::result`].
    pub async fn send(
        &self,
        receiver: &AccountId,
        actions: &[Action],
        signed: &(dyn Fn(CryptoHash) + Send + Sync),
    ) -> Result<CallOutcome, SendError> {
        let name = actions.last().map(Action::name).unwrap_or_default();
        let actions = actions.iter().map(Action::to_near).collect();
        self.transact(receiver, name, actions, signed).await
    }

    /// The bytes (borsh) of a transaction that would send `actions` to `receiver`, for a wallet or
    /// a hardware key to sign with `public_key`. They are valid for about a day, and only if the
    /// key has signed `ahead` other transactions by then, and no more.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::NoAccessKey`] when the account does not have the key.
    pub async fn unsigned(
        node: &Node,
        id: &AccountId,
        public_key: PublicKey,
        receiver: &AccountId,
        actions: &[Action],
        ahead: u64,
    ) -> Result<Vec<u8>, SendError> {
        let no_key = || SendError::NoAccessKey {
            account_id: id.clone(),
            public_key: public_key.to_string(),
        };
        let key = node.access_key(id, &public_key, At::Optimistic).await?.ok_or_else(no_key)?;
        let transaction = Transaction::V0(TransactionV0 {
            signer_id: id.clone(),
            nonce: key.nonce.saturating_add(1).saturating_add(ahead),
            public_key,
            receiver_id: receiver.clone(),
            block_hash: node.block(At::Final).await?.hash,
            actions: actions.iter().map(Action::to_near).collect(),
        });
        borsh::to_vec(&transaction).map_err(|error| SendError::Invalid {
            account_id: id.clone(),
            method: actions.last().map(Action::name).unwrap_or_default().to_owned(),
            reason: error.to_string(),
        })
    }

    /// Sends `actions` to `receiver` in one transaction, which errors call `name`.
    async fn transact(
        &self,
        receiver: &AccountId,
        name: &str,
        actions: Vec<NearAction>,
        noted: &(dyn Fn(CryptoHash) + Send + Sync),
    ) -> Result<CallOutcome, SendError> {
        let mut reason = String::new();
        for attempt in 1..=MOST_RESIGNS {
            let key = self.lease()?;
            let signed = self.sign(&key, receiver, actions.clone()).await?;
            noted(signed.get_hash());
            match self.deliver(&key, &signed, name, &mut reason).await? {
                Delivered::Executed(outcome) => return Ok(outcome),
                Delivered::Void => tokio::time::sleep(RESIGN.wait(attempt)).await,
            }
        }
        Err(self.invalid(name, format!("refused {MOST_RESIGNS} times, the last time: {reason}")))
    }

    fn invalid(&self, method: &str, reason: impl Into<String>) -> SendError {
        SendError::Invalid {
            account_id: self.id.clone(),
            method: method.to_owned(),
            reason: reason.into(),
        }
    }

    async fn sign(
        &self,
        key: &AccessKey,
        receiver: &AccountId,
        actions: Vec<NearAction>,
    ) -> Result<SignedTransaction, SendError> {
        let block_hash = self.anchor().await?;
        let nonce = key.next_nonce(&self.node, &self.id).await?.ok_or_else(|| {
            let public_key = key.public_key().to_string();
            SendError::NoAccessKey { account_id: self.id.clone(), public_key }
        })?;
        let transaction = Transaction::V0(TransactionV0 {
            signer_id: self.id.clone(),
            nonce,
            public_key: key.public_key().clone(),
            receiver_id: receiver.clone(),
            block_hash,
            actions,
        });
        let (hash, _) = transaction.get_hash_and_size();
        Ok(SignedTransaction::new(key.sign(hash.as_ref()), transaction))
    }

    /// The block that a transaction names.
    async fn anchor(&self) -> Result<CryptoHash, ChainError> {
        let mut anchor = self.anchor.lock().await;
        if let Some((asked, hash)) = *anchor
            && asked.elapsed() < ANCHOR_AGE
        {
            return Ok(hash);
        }
        let block = self.node.block(At::Final).await?;
        *anchor = Some((Instant::now(), block.hash));
        Ok(block.hash)
    }

    /// Sends a signed transaction until its outcome is known.
    async fn deliver(
        &self,
        key: &AccessKey,
        signed: &SignedTransaction,
        method: &str,
        reason: &mut String,
    ) -> Result<Delivered, SendError> {
        let transaction = signed.get_hash();
        let started = Instant::now();
        // Whether the transaction may have reached the chain already.
        let mut maybe_sent = false;
        let mut failures = 0;
        while self.patience.is_none_or(|patience| started.elapsed() < patience) {
            let request = methods::send_tx::RpcSendTransactionRequest {
                signed_transaction: signed.clone(),
                wait_until: TxExecutionStatus::ExecutedOptimistic,
            };
            // Sent once and not by `call`, which would repeat it unseen: the same error means
            // something else once the transaction may have reached the chain.
            match self.node.call_once(&request).await {
                Ok(response) => {
                    if let Some(outcome) = executed(response) {
                        return Ok(Delivered::Executed(outcome));
                    }
                    maybe_sent = true;
                }
                Err(CallError::Handler(RpcTransactionError::InvalidTransaction { context })) => {
                    // Its own first copy may have used the nonce up, when a gateway sent it twice.
                    let is_used_up = matches!(context, InvalidTxError::InvalidNonce { .. });
                    if maybe_sent || is_used_up {
                        match self.fate(key, signed, is_used_up).await {
                            Ok(Some(outcome)) => return Ok(Delivered::Executed(outcome)),
                            Ok(None) => {}
                            // Whether it was executed is not known: the same transaction is sent
                            // again.
                            Err(error) => {
                                tracing::warn!(%transaction, %error, "its fate is not known");
                                failures += 1;
                                self.rest(failures).await;
                                continue;
                            }
                        }
                    }
                    *reason = clip(&context.to_string());
                    match context {
                        InvalidTxError::InvalidNonce { ak_nonce, .. } => {
                            key.used_up_to(ak_nonce).await;
                            return Ok(Delivered::Void);
                        }
                        // The key was deleted and added again, so its nonce is another one now.
                        InvalidTxError::NonceTooLarge { .. } => {
                            key.forget_nonce().await;
                            return Ok(Delivered::Void);
                        }
                        InvalidTxError::Expired => {
                            *self.anchor.lock().await = None;
                            return Ok(Delivered::Void);
                        }
                        InvalidTxError::ShardCongested { .. } if !maybe_sent => {
                            return Ok(Delivered::Void);
                        }
                        // Another copy of it may have been taken before.
                        InvalidTxError::ShardCongested { .. } => {}
                        _ if !maybe_sent => return Err(self.invalid(method, reason.clone())),
                        // It may still be waiting in some node's pool.
                        _ => {}
                    }
                }
                Err(CallError::Handler(error)) => {
                    tracing::debug!(
                        %transaction, %error, "the transaction has no outcome yet"
                    );
                    maybe_sent = true;
                }
                Err(CallError::Chain(error)) if error.is_transient() => {
                    tracing::warn!(%transaction, %error, "sending the transaction again");
                    maybe_sent = true;
                }
                Err(CallError::Chain(error)) if !maybe_sent && error.is_before_the_call() => {
                    return Err(error.into());
                }
                Err(CallError::Chain(error)) => {
                    tracing::warn!(%transaction, %error, "the transaction's fate is not known");
                    maybe_sent = true;
                }
            }
            failures += 1;
            self.rest(failures).await;
        }
        Err(SendError::Unconfirmed {
            transaction,
            method: method.to_owned(),
            waited: started.elapsed(),
        })
    }

    /// Waits after so many failures, and for as long as all endpoints want to be left alone.
    async fn rest(&self, failures: u32) {
        let wait = self.node.backoff().jittered(failures);
        let asked = self.node.asked_rest();
        let wait = if asked.is_zero() { wait } else { asked + wait };
        // Whoever does not wait for ever hears in time that the fate is not known.
        let most = self.patience.unwrap_or(Duration::MAX);
        tokio::time::sleep(wait.min(most)).await;
    }

    /// The outcome of a transaction that may have been sent and that is invalid now, because its
    /// nonce `is_used_up` or for another reason. `None` when it is void.
    async fn fate(
        &self,
        key: &AccessKey,
        signed: &SignedTransaction,
        is_used_up: bool,
    ) -> Result<Option<CallOutcome>, ChainError> {
        for look in 1..=UNKNOWN_LOOKS {
            if let Some(outcome) = self.outcome(signed.get_hash()).await? {
                return Ok(Some(outcome));
            }
            if look == 1 && is_used_up {
                self.check_used_up(key, signed).await?;
            }
            if look < UNKNOWN_LOOKS {
                tokio::time::sleep(self.node.backoff().wait(look)).await;
            }
        }
        Ok(None)
    }

    /// Checks that the nonce of a transaction is used up in a final block, or its key gone. The end
    /// of a fork may give a nonce back until then, and the transaction be executed after all.
    async fn check_used_up(
        &self,
        key: &AccessKey,
        signed: &SignedTransaction,
    ) -> Result<(), ChainError> {
        let nonce = signed.transaction.nonce().nonce();
        match self.node.access_key(&self.id, key.public_key(), At::Final).await? {
            Some(known) if known.nonce < nonce => Err(ChainError::Busy {
                method: "query".into(),
                reason: format!("the nonce {nonce} is used up in a block that is not final"),
            }),
            _ => Ok(()),
        }
    }

    /// The height of the block that has a transaction of this account, or `None` when no endpoint
    /// knows the transaction.
    ///
    /// # Errors
    /// [`ChainError`], also when the transaction is not executed yet.
    pub async fn height_of(&self, transaction: CryptoHash) -> Result<Option<u64>, ChainError> {
        let Some(outcome) = self.outcome(transaction).await? else { return Ok(None) };
        Ok(Some(self.node.block(At::Hash(outcome.block_hash)).await?.height))
    }

    /// The outcome of an earlier transaction of this account, or `None` when no endpoint knows the
    /// transaction.
    async fn outcome(&self, transaction: CryptoHash) -> Result<Option<CallOutcome>, ChainError> {
        let busy = |reason: String| ChainError::Busy { method: "tx".into(), reason };
        let request = methods::tx::RpcTransactionStatusRequest {
            transaction_info: TransactionInfo::TransactionId {
                tx_hash: transaction,
                sender_account_id: self.id.clone(),
            },
            // A node that is told to wait does so for a transaction that it does not know, too: for
            // 10 seconds, which is as long as an endpoint has.
            wait_until: TxExecutionStatus::None,
        };
        match self.node.call(&request).await {
            Ok(response) => match executed(response) {
                Some(outcome) => Ok(Some(outcome)),
                None => Err(busy("the transaction is in a block, and not executed yet".to_owned())),
            },
            Err(CallError::Handler(RpcTransactionError::UnknownTransaction { .. })) => Ok(None),
            Err(CallError::Handler(error)) => Err(busy(clip(&error.to_string()))),
            Err(CallError::Chain(error)) => Err(error),
        }
    }
}
