//! An account that signs and sends transactions.
//!
//! An account may sign with several access keys, each of which has nonces of its own. A call takes
//! the key with the fewest calls in flight. Nonces are kept here and handed out in order; when the
//! node says that one is used up, it says which one was the last, and the call is signed again with
//! a newer one. Several processes of one operator share an account by having keys of their own.
//!
//! The same signed transaction may be sent any number of times, because the chain executes it at
//! most once. So when an answer is lost, the same transaction is sent again. As long as the fate of
//! a transaction is unknown, its call is never signed a second time. It is void, whatever a node
//! says of it, when a final block shows that it can never be executed: its nonce is used up, its
//! key is gone, or the block that it names is too old.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use near_crypto::{PublicKey, SecretKey};
use near_jsonrpc_client::methods;
use near_jsonrpc_primitives::types::transactions::{RpcTransactionError, TransactionInfo};
use near_primitives::{
    account::AccessKey as NearKey,
    action::Action as NearAction,
    errors::{InvalidAccessKeyError, InvalidTxError},
    hash::CryptoHash,
    transaction::{SignedTransaction, Transaction, TransactionV0},
    views::TxExecutionStatus,
};
use outlayer_protocol::{AccountId, NearToken};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    Action, At, Backoff, Block, CallOutcome, ChainError, Node,
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
    anchor: Arc<Mutex<Option<(Instant, Block)>>>,
    /// For how long the node is asked about a transaction; `None` asks until its fate is known.
    patience: Option<Duration>,
}

/// For how long transactions name the same block. It may be a day old on mainnet.
const ANCHOR_AGE: Duration = Duration::from_secs(10);
/// How many times a node must not know a transaction that cannot be executed any more, before it
/// counts as void: one of the nodes behind an address may lag.
const UNKNOWN_LOOKS: u32 = 6;
/// For how many blocks after the one that it names a transaction is valid, at the most: a day on
/// mainnet and testnet (`transaction_validity_period` of their genesis), and less on local
/// networks.
const VALID_BLOCKS: u64 = 86_400;

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

/// A transaction that is signed.
struct Signed {
    transaction: SignedTransaction,
    /// The height of the last block that may have it.
    valid_until: u64,
}

/// What is known of a transaction that may have been sent.
enum Fate {
    Executed(CallOutcome),
    /// It may still be executed, whatever the node said of it: it may wait in some node's pool.
    Open,
    /// It was not executed, and never will be.
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
            noted(signed.transaction.get_hash());
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
    ) -> Result<Signed, SendError> {
        let anchor = self.anchor().await?;
        let nonce = key.next_nonce(&self.node, &self.id).await?.ok_or_else(|| {
            let public_key = key.public_key().to_string();
            SendError::NoAccessKey { account_id: self.id.clone(), public_key }
        })?;
        let transaction = Transaction::V0(TransactionV0 {
            signer_id: self.id.clone(),
            nonce,
            public_key: key.public_key().clone(),
            receiver_id: receiver.clone(),
            block_hash: anchor.hash,
            actions,
        });
        let (hash, _) = transaction.get_hash_and_size();
        let transaction = SignedTransaction::new(key.sign(hash.as_ref()), transaction);
        Ok(Signed { transaction, valid_until: anchor.height.saturating_add(VALID_BLOCKS) })
    }

    /// The block that a transaction names.
    async fn anchor(&self) -> Result<Block, ChainError> {
        let mut anchor = self.anchor.lock().await;
        if let Some((asked, block)) = *anchor
            && asked.elapsed() < ANCHOR_AGE
        {
            return Ok(block);
        }
        let block = self.node.block(At::Final).await?;
        *anchor = Some((Instant::now(), block));
        Ok(block)
    }

    /// Sends a signed transaction until its outcome is known.
    async fn deliver(
        &self,
        key: &AccessKey,
        signed: &Signed,
        method: &str,
        reason: &mut String,
    ) -> Result<Delivered, SendError> {
        let transaction = signed.transaction.get_hash();
        let started = Instant::now();
        // Whether the transaction may have reached the chain already.
        let mut maybe_sent = false;
        let mut failures = 0;
        while self.patience.is_none_or(|patience| started.elapsed() < patience) {
            let request = methods::send_tx::RpcSendTransactionRequest {
                signed_transaction: signed.transaction.clone(),
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
                        let fate = self.fate(key, signed).await;
                        match fate {
                            Ok(Fate::Executed(outcome)) => {
                                return Ok(Delivered::Executed(outcome));
                            }
                            Ok(Fate::Void) => {}
                            // The same transaction is sent again.
                            Ok(Fate::Open) | Err(_) => {
                                let error = fate.err();
                                tracing::warn!(
                                    %transaction, refused = %context, ?error,
                                    "it may still be executed, or its fate is not known"
                                );
                                // Another copy of it may be on its way.
                                maybe_sent = true;
                                failures += 1;
                                self.rest(failures).await;
                                continue;
                            }
                        }
                    }
                    *reason = clip(&context.to_string());
                    // It was never sent, or it is known to be void.
                    match context {
                        InvalidTxError::InvalidNonce { ak_nonce, .. } => {
                            key.used_up_to(ak_nonce).await;
                        }
                        // The key was deleted and added again, so its nonce is another one now.
                        InvalidTxError::NonceTooLarge { .. } => key.forget_nonce().await,
                        InvalidTxError::Expired => *self.anchor.lock().await = None,
                        InvalidTxError::InvalidAccessKeyError(
                            InvalidAccessKeyError::AccessKeyNotFound { .. },
                        ) => {
                            key.let_sign(false);
                            key.forget_nonce().await;
                        }
                        InvalidTxError::ShardCongested { .. }
                        | InvalidTxError::ShardStuck { .. } => {}
                        _ if maybe_sent => key.forget_nonce().await,
                        _ => return Err(self.invalid(method, reason.clone())),
                    }
                    return Ok(Delivered::Void);
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

    /// What became of a transaction that may have been sent, and that a node calls invalid now.
    async fn fate(&self, key: &AccessKey, signed: &Signed) -> Result<Fate, ChainError> {
        for look in 1..=UNKNOWN_LOOKS {
            if let Some(outcome) = self.outcome(signed.transaction.get_hash()).await? {
                return Ok(Fate::Executed(outcome));
            }
            if look == 1 && !self.is_over(key, signed).await? {
                return Ok(Fate::Open);
            }
            if look < UNKNOWN_LOOKS {
                tokio::time::sleep(self.node.backoff().wait(look)).await;
            }
        }
        Ok(Fate::Void)
    }

    /// Whether no block after the newest final one can have the transaction. What other blocks say
    /// does not count: the end of a fork may give a nonce back, and a node that lags knows neither
    /// the block that a transaction names nor a key that is new.
    async fn is_over(&self, key: &AccessKey, signed: &Signed) -> Result<bool, ChainError> {
        let nonce = signed.transaction.transaction.nonce().nonce();
        let (height, found) =
            self.node.access_key_in_block(&self.id, key.public_key(), At::Final).await?;
        let is_used_up = match found {
            Some(found) => found.nonce >= nonce,
            None => height >= key.seen_at(),
        };
        // As long as it is valid, no block takes a nonce as large as this.
        let upper_bound = signed.valid_until.saturating_add(1);
        let upper_bound = upper_bound.saturating_mul(NearKey::ACCESS_KEY_NONCE_RANGE_MULTIPLIER);
        if is_used_up || nonce >= upper_bound {
            return Ok(true);
        }
        Ok(height > signed.valid_until
            && self.node.block(At::Final).await?.height > signed.valid_until)
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
