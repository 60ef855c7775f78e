//! Code on its way into the contract: the calls that publish it in parts, and the one that gives
//! it a name.
//!
//! The contract knows how much of a publication it has, so nothing is kept here. Publishing code
//! again sends only what is missing, and code that is there already costs no call. How a call is
//! signed and sent is up to a [`ContractCaller`]: [`AccountCaller`] sends it with an account, and
//! others may print it, or send it through another client.

use std::future::Future;

use outlayer_protocol::{
    AccountId, CodeRef, Hash32, NearToken,
    code_name::{CodeName, MalformedName, check_name},
    methods,
    views::{CodeInfoView, NamedCodeView},
};
use serde_json::json;

use crate::{Action, At, ChainError, Contract, CryptoHash, SendError, SigningAccount};

/// How many bytes of code go in one call. A transaction may have 1.5 MB, and whoever signs with a
/// hardware key signs for each call.
pub const CODE_PART_BYTES: usize = 1_000_000;
/// Gas attached to a part, in units of gas: what every network lets a transaction have. The last
/// part of the largest code, whose hash the contract then checks, burns less than half of it.
const PART_GAS: u64 = 300_000_000_000_000;
/// Gas attached to the naming, in units of gas.
const NAME_GAS: u64 = 50_000_000_000_000;
/// NEAR's price of a byte of storage.
const BYTE_COST: NearToken = NearToken::from_yoctonear(10u128.pow(19));
/// What is attached for the bytes beside those of a part. What it does not cost comes back.
const BESIDE_PART: NearToken = NearToken::from_millinear(100);
/// What is attached for the bytes of a name's version. What it does not cost comes back.
const BESIDE_NAME: NearToken = NearToken::from_millinear(10);

/// A call of the contract that publishes or names code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeCall {
    /// What it is for, in a few words for people.
    pub purpose: String,
    /// The method's name.
    pub method: &'static str,
    /// Its arguments: borsh for a part of code, JSON for a name.
    pub args: Vec<u8>,
    /// The gas that is attached, in units of gas.
    pub gas: u64,
    /// What is attached. The contract returns what the bytes do not cost.
    pub deposit: NearToken,
}

impl CodeCall {
    /// The call as an action of a transaction whose receiver is the contract.
    pub fn to_action(&self) -> Action {
        let Self { method, args, gas, deposit, .. } = self;
        Action::Call {
            method: (*method).to_owned(),
            args: args.clone(),
            gas: *gas,
            deposit: *deposit,
        }
    }
}

/// Makes calls of the contract, as the account that publishes.
pub trait ContractCaller {
    /// Why a call was not made, or failed.
    type Error;

    /// Makes the call and waits for its outcome. Returns what the method returned, or `None` when
    /// the call is only shown, for somebody else to make it.
    fn call(
        &mut self,
        call: &CodeCall,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Self::Error>> + Send;
}

/// Makes calls of a contract with an account whose key is at hand.
#[derive(Clone, Copy, Debug)]
pub struct AccountCaller<'a> {
    /// The account that signs and pays.
    pub account: &'a SigningAccount,
    /// The OutLayer contract.
    pub contract_id: &'a AccountId,
}

/// Why an [`AccountCaller`] did not make a call.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The transaction was not executed, or this is not known.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The method failed.
    #[error("{method}, transaction {transaction}: {reason}")]
    Failed {
        /// The method that was called.
        method: &'static str,
        /// The transaction's hash.
        transaction: CryptoHash,
        /// The contract's panic message, or the node's.
        reason: String,
    },
}

impl ContractCaller for AccountCaller<'_> {
    type Error = CallError;

    async fn call(&mut self, call: &CodeCall) -> Result<Option<Vec<u8>>, CallError> {
        let outcome = self.account.send(self.contract_id, &[call.to_action()], &|_| {}).await?;
        let transaction = outcome.transaction;
        let failed = |reason| CallError::Failed { method: call.method, transaction, reason };
        outcome.result.map(Some).map_err(failed)
    }
}

/// Code that is not published or named. `E` is the error of a [`ContractCaller`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError<E> {
    /// The contract cannot be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// There is nothing to publish, or more than the contract could count.
    #[error("the code has {found} bytes, expected 1 to {}", u32::MAX)]
    Size {
        /// The size of the code, bytes.
        found: usize,
    },
    /// The code is published, and new requests cannot have it.
    #[error(
        "code {hash} is published, and {publisher_id} has withdrawn it from new requests; any \
         account can adopt it with the method adopt_code"
    )]
    Retired {
        /// The hash of the code.
        hash: Hash32,
        /// The account that published it.
        publisher_id: AccountId,
    },
    /// The publication that the contract has under this hash cannot be one of this code.
    #[error(
        "{publisher_id} has begun to publish code {hash} with {found} bytes, and the code has \
         {expected}; that publication can be removed with the method delete_code"
    )]
    OtherSize {
        /// The hash of the code.
        hash: Hash32,
        /// The account that is publishing it.
        publisher_id: AccountId,
        /// The size that was announced with the first part, or the bytes that are there, if they
        /// are more; bytes.
        found: u32,
        /// The size of the code, bytes.
        expected: u32,
    },
    /// A part was not published.
    #[error("{}: {error}", progress(*.published, *.total))]
    Part {
        /// How many bytes are published, as far as is known.
        published: u32,
        /// The size of the code, bytes.
        total: u32,
        /// Why no more are.
        error: E,
    },
    /// The code was not given the name.
    #[error("giving the code the name {name}: {error}")]
    Name {
        /// The name with its owner.
        name: String,
        /// Why it does not have it.
        error: E,
    },
    /// The name is none that the contract takes.
    #[error(transparent)]
    MalformedName(#[from] MalformedName),
    /// The contract does not say which version the code has become.
    #[error("{name}: expected the number of a version from the contract, found {found:?}")]
    NoVersion {
        /// The name with its owner.
        name: String,
        /// What the contract says.
        found: String,
    },
}

/// How far a publication is, and what to do about it.
fn progress(published: u32, total: u32) -> String {
    format!(
        "{published} of {total} bytes are published, and publishing the code again goes on with \
         the rest"
    )
}

impl<E> PublishError<E> {
    /// The error of the caller, and what was being done; or this error, when it is none of the
    /// caller's.
    ///
    /// # Errors
    /// This error, when the caller has not failed.
    pub fn into_callers(self) -> Result<(E, String), Self> {
        match self {
            Self::Part { published, total, error } => Ok((error, progress(published, total))),
            Self::Name { name, error } => Ok((error, format!("giving the code the name {name}"))),
            other => Err(other),
        }
    }
}

/// Code that stands in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The hash by which requests ask for it.
    pub hash: Hash32,
    /// Whether all of it was there before, so that no call was made.
    pub was_published: bool,
}

/// Publishes code as `publisher_id`, who makes the calls. Only what the contract does not have yet
/// is sent.
///
/// A part may fail because it is published already: the answer to an earlier call was lost, the
/// endpoint lags, or another process publishes the same code. So after a failure the contract is
/// asked again, and where it has more than was known, the publication goes on from there.
///
/// # Errors
/// [`PublishError`]. After an error the same call goes on where this one ended.
pub async fn publish_code<C: ContractCaller>(
    contract: &Contract,
    publisher_id: &AccountId,
    code: &[u8],
    caller: &mut C,
) -> Result<Publication, PublishError<C::Error>> {
    let hash = Hash32::of(code);
    let total = u32::try_from(code.len()).ok().filter(|total| *total > 0);
    let total = total.ok_or(PublishError::Size { found: code.len() })?;
    let mut published = published_bytes(contract, publisher_id, &hash, total).await?;
    let was_published = published == total;
    while published < total {
        let call = part_call(&hash, total, published, code);
        let next = published.saturating_add(part_length(total, published));
        match caller.call(&call).await {
            Ok(_) => published = next,
            Err(error) => match published_bytes(contract, publisher_id, &hash, total).await {
                Ok::<_, PublishError<C::Error>>(now) if now > published => published = now,
                _ => return Err(PublishError::Part { published, total, error }),
            },
        }
    }
    Ok(Publication { hash, was_published })
}

/// How many bytes of the code the contract has: all, or those of this account's publication.
async fn published_bytes<E>(
    contract: &Contract,
    publisher_id: &AccountId,
    hash: &Hash32,
    total: u32,
) -> Result<u32, PublishError<E>> {
    let args = json!({ "hash": hash, "publisher_id": publisher_id });
    let info: Option<CodeInfoView> =
        contract.view(methods::GET_CODE_INFO, args, At::Optimistic).await?;
    let Some(info) = info else { return Ok(0) };
    let CodeInfoView { publisher_id, total_bytes, published_bytes, retired, .. } = info;
    let hash = *hash;
    if retired {
        return Err(PublishError::Retired { hash, publisher_id });
    }
    if total_bytes != total || published_bytes > total {
        let found = if total_bytes == total { published_bytes } else { total_bytes };
        return Err(PublishError::OtherSize { hash, publisher_id, found, expected: total });
    }
    Ok(published_bytes)
}

/// The size of the part that begins at `start`, bytes.
fn part_length(total: u32, start: u32) -> u32 {
    total.saturating_sub(start).min(u32::try_from(CODE_PART_BYTES).unwrap_or(u32::MAX))
}

/// The call that publishes the part which begins at `start`.
fn part_call(hash: &Hash32, total: u32, start: u32, code: &[u8]) -> CodeCall {
    let length = part_length(total, start);
    let end = start.saturating_add(length);
    let offset = usize::try_from(start).unwrap_or(usize::MAX);
    let rest = code.get(offset..).unwrap_or_default();
    let part = rest.get(..CODE_PART_BYTES).unwrap_or(rest);
    let bytes = BYTE_COST.saturating_mul(u128::from(length));
    // The borsh of a sequence begins with its length, and then has its elements.
    let mut args = Vec::with_capacity(part.len().saturating_add(44));
    args.extend_from_slice(&hash.0);
    for number in [total, start, length] {
        args.extend_from_slice(&number.to_le_bytes());
    }
    args.extend_from_slice(part);
    CodeCall {
        purpose: format!("publish bytes {start} to {end} of {total}"),
        method: methods::PUBLISH_CODE,
        args,
        gas: PART_GAS,
        deposit: bytes.saturating_add(BESIDE_PART),
    }
}

/// A version of a name, and the code that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedVersion {
    /// The name with its owner and version, `owner/name@version`.
    pub name: String,
    /// The number of the version, counted from 1.
    pub version: u32,
}

/// Gives code the next version of the owner's `name`, unless it is the newest version already.
/// `name` is without the owner, who makes the call. Returns `None` when the call is only shown.
///
/// # Errors
/// [`PublishError`].
pub async fn name_code<C: ContractCaller>(
    contract: &Contract,
    owner_id: &AccountId,
    name: &str,
    code: &CodeRef,
    caller: &mut C,
) -> Result<Option<NamedVersion>, PublishError<C::Error>> {
    check_name(name)?;
    let full = format!("{owner_id}/{name}");
    let args = json!({ "name": full });
    let newest: Option<NamedCodeView> =
        contract.view(methods::GET_NAMED_CODE, args, At::Optimistic).await?;
    let same = |one: &NamedCodeView| one.hash == code.hash && one.url == code.url;
    if let Some(newest) = newest.filter(|one| same(one) && !one.retired) {
        let version = CodeName::parse(&newest.name)?.version;
        return match version {
            Some(version) => Ok(Some(NamedVersion { name: newest.name, version })),
            None => Err(PublishError::NoVersion { name: full, found: newest.name }),
        };
    }
    let call = CodeCall {
        purpose: format!("give the code the next version of {full}"),
        method: methods::NAME_CODE,
        args: json!({ "name": name, "code": code }).to_string().into_bytes(),
        gas: NAME_GAS,
        deposit: BESIDE_NAME,
    };
    let returned = match caller.call(&call).await {
        Ok(Some(returned)) => returned,
        Ok(None) => return Ok(None),
        Err(error) => return Err(PublishError::Name { name: full, error }),
    };
    match serde_json::from_slice(&returned) {
        Ok(version) => Ok(Some(NamedVersion { name: format!("{full}@{version}"), version })),
        Err(_) => {
            let found = String::from_utf8_lossy(&returned).chars().take(80).collect();
            Err(PublishError::NoVersion { name: full, found })
        }
    }
}

#[cfg(test)]
mod tests;
