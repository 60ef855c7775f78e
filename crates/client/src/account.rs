//! An account that signs and sends transactions: function calls, and a contract's code.
//!
//! Several calls may be in flight at once with one access key. Nonces are handed out in order. When
//! the node says that a nonce is used up, the call is signed again with a newer one.
//!
//! The same signed transaction may be sent any number of times, because the chain executes it at
//! most once. So when an answer is lost, the same transaction is sent again. As long as the fate of
//! a transaction is unknown, its call is never signed a second time.

use std::{sync::Arc, time::Duration};

use near_crypto::{InMemorySigner, PublicKey, SecretKey, Signer};
use near_jsonrpc_client::methods;
use near_jsonrpc_primitives::types::transactions::{RpcTransactionError, TransactionInfo};
use near_primitives::{
    action::{Action, DeployContractAction, FunctionCallAction},
    errors::InvalidTxError,
    gas::Gas,
    hash::CryptoHash,
    transaction::{SignedTransaction, Transaction, TransactionV0},
    views::TxExecutionStatus,
};
use outlayer_protocol::{AccountId, NearToken};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    At, Backoff, CallOutcome, ChainError, Node, outcome::executed, text::clip, transport::CallError,
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

/// An account on a node, with one access key that signs. Clones are cheap and share the nonce.
#[derive(Clone)]
pub struct SigningAccount {
    node: Node,
    id: AccountId,
    signer: Arc<Signer>,
    /// The last nonce that was handed out; `None` until the chain has been asked for it.
    nonce: Arc<Mutex<Option<u64>>>,
    /// For how long the node is asked about a transaction.
    patience: Duration,
}

impl std::fmt::Debug for SigningAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningAccount")
            .field("id", &self.id)
            .field("public_key", &self.signer.public_key().to_string())
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
        let signer = Arc::new(InMemorySigner::from_secret_key(id.clone(), secret_key));
        Self { node, id, signer, nonce: Arc::default(), patience: Duration::from_secs(60) }
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
        let call = function_call(method, args, gas, deposit);
        self.transact(contract, method, vec![call]).await
    }

    /// Deploys `code` to this account and calls its `init` method, in one transaction that does
    /// both or neither. `gas` is in units of gas.
    ///
    /// # Errors
    /// [`SendError`]. A method that fails is not an error here, see [`CallOutcome::result`].
    pub async fn deploy(
        &self,
        code: Vec<u8>,
        init: &str,
        args: Vec<u8>,
        gas: u64,
    ) -> Result<CallOutcome, SendError> {
        let deploy = Action::DeployContract(DeployContractAction { code });
        let init = function_call(init, args, gas, NearToken::from_yoctonear(0));
        self.transact(&self.id, "deploy", vec![deploy, init]).await
    }

    /// Sends `actions` to `receiver` in one transaction, which errors call `name`.
    async fn transact(
        &self,
        receiver: &AccountId,
        name: &str,
        actions: Vec<Action>,
    ) -> Result<CallOutcome, SendError> {
        let mut reason = String::new();
        for attempt in 1..=MOST_RESIGNS {
            let signed = self.sign(receiver, actions.clone()).await?;
            match self.deliver(&signed, name, &mut reason).await? {
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
        receiver: &AccountId,
        actions: Vec<Action>,
    ) -> Result<SignedTransaction, SendError> {
        let block = self.node.block(At::Final).await?;
        let public_key = self.signer.public_key();
        let transaction = Transaction::V0(TransactionV0 {
            signer_id: self.id.clone(),
            nonce: self.next_nonce(&public_key).await?,
            public_key,
            receiver_id: receiver.clone(),
            block_hash: block.hash,
            actions,
        });
        let (hash, _) = transaction.get_hash_and_size();
        Ok(SignedTransaction::new(self.signer.sign(hash.as_ref()), transaction))
    }

    async fn next_nonce(&self, public_key: &PublicKey) -> Result<u64, SendError> {
        let mut last = self.nonce.lock().await;
        let used = match *last {
            Some(nonce) => nonce,
            None => self.node.access_key_nonce(&self.id, public_key).await?.ok_or_else(|| {
                SendError::NoAccessKey {
                    account_id: self.id.clone(),
                    public_key: public_key.to_string(),
                }
            })?,
        };
        let next = used.saturating_add(1);
        *last = Some(next);
        Ok(next)
    }

    /// Sends a signed transaction until its outcome is known.
    async fn deliver(
        &self,
        signed: &SignedTransaction,
        method: &str,
        reason: &mut String,
    ) -> Result<Delivered, SendError> {
        let transaction = signed.get_hash();
        let started = Instant::now();
        // Whether the transaction may have reached the chain already.
        let mut maybe_sent = false;
        let mut failures = 0;
        while started.elapsed() < self.patience {
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
                    if maybe_sent && let Some(outcome) = self.outcome(transaction).await? {
                        return Ok(Delivered::Executed(outcome));
                    }
                    *reason = clip(&context.to_string());
                    match context {
                        InvalidTxError::InvalidNonce { ak_nonce, .. } => {
                            let mut last = self.nonce.lock().await;
                            *last = (*last).max(Some(ak_nonce));
                            return Ok(Delivered::Void);
                        }
                        // The key was deleted and added again, so its nonce is another one now.
                        InvalidTxError::NonceTooLarge { .. } => {
                            *self.nonce.lock().await = None;
                            return Ok(Delivered::Void);
                        }
                        InvalidTxError::Expired | InvalidTxError::ShardCongested { .. } => {
                            return Ok(Delivered::Void);
                        }
                        _ => return Err(self.invalid(method, reason.clone())),
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
            tokio::time::sleep(Backoff::default().wait(failures)).await;
        }
        Err(SendError::Unconfirmed {
            transaction,
            method: method.to_owned(),
            waited: started.elapsed(),
        })
    }

    /// The outcome of an earlier transaction of this account, or `None` when the node does not know
    /// the transaction.
    async fn outcome(&self, transaction: CryptoHash) -> Result<Option<CallOutcome>, ChainError> {
        let request = methods::tx::RpcTransactionStatusRequest {
            transaction_info: TransactionInfo::TransactionId {
                tx_hash: transaction,
                sender_account_id: self.id.clone(),
            },
            wait_until: TxExecutionStatus::ExecutedOptimistic,
        };
        match self.node.call(&request).await {
            Ok(response) => Ok(executed(response)),
            Err(CallError::Handler(RpcTransactionError::UnknownTransaction { .. })) => Ok(None),
            Err(CallError::Handler(error)) => {
                Err(ChainError::Busy { method: "tx".into(), reason: clip(&error.to_string()) })
            }
            Err(CallError::Chain(error)) => Err(error),
        }
    }
}

fn function_call(method: &str, args: Vec<u8>, gas: u64, deposit: NearToken) -> Action {
    Action::FunctionCall(Box::new(FunctionCallAction {
        method_name: method.to_owned(),
        args,
        gas: Gas::from_gas(gas),
        deposit,
    }))
}
