//! Published code: modules kept in contract state, addressed by their SHA-256, paid for by their publisher.
//!
//! A module larger than a transaction comes in pieces. While it is incomplete it belongs to one publisher (two can
//! publish the same hash at once, neither can get into the other's way); it becomes everybody's when its hash is right.

use near_sdk::{AccountId, NearToken, env, near};
use outlayer_protocol::{Hash32, RefusalCode, views::CodeInfoView};

use crate::{
    Contract, ContractError, MoneyError, Pot, namespace,
    store::{self, Prefix, account_length},
};

/// The largest module, bytes. A receipt may read 4,000,000 bytes of state, and the last piece's receipt reads them all.
pub(crate) const MAX_CODE_BYTES: u32 = 3 << 20;
/// The smallest piece but for the last, bytes: deletion handles every piece in one receipt.
pub(crate) const MIN_CHUNK_BYTES: u32 = 16 << 10;

/// Why code cannot be published or deleted so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// It is not published.
    #[error("it is not published in full")]
    Unknown,
    /// It is published already.
    #[error("{publisher_id} has published it")]
    Published {
        /// By whom.
        publisher_id: AccountId,
    },
    /// Its size is out of bounds.
    #[error("it has {found} bytes, expected 1 to {MAX_CODE_BYTES}")]
    Size {
        /// The size.
        found: u32,
    },
    /// Its size is not what the first piece said.
    #[error("this piece says that it has {found} bytes, the first one said {expected}")]
    Total {
        /// In this piece.
        found: u32,
        /// In the first.
        expected: u32,
    },
    /// Pieces come in order.
    #[error("this piece starts at byte {found}, expected {expected}")]
    Offset {
        /// Where it starts.
        found: u32,
        /// Where the last one ended.
        expected: u32,
    },
    /// A piece is too small or reaches over the end.
    #[error(
        "this piece has {found} bytes, expected at least {MIN_CHUNK_BYTES} or the rest, and at most the rest of {rest}"
    )]
    Chunk {
        /// Its length.
        found: usize,
        /// What is missing.
        rest: u32,
    },
    /// The bytes have another hash.
    #[error("the bytes published have the SHA-256 {found}; delete_code takes them back")]
    Hash {
        /// Their hash.
        found: Hash32,
    },
    /// Too little was attached for the bytes.
    #[error("{} yoctoNEAR attached, {} needed for {bytes} bytes of state", found.as_yoctonear(), needed.as_yoctonear())]
    Deposit {
        /// What was attached.
        found: NearToken,
        /// What is needed.
        needed: NearToken,
        /// Bytes added to state.
        bytes: u64,
    },
    /// It belongs to somebody else.
    #[error("only its publisher {expected} may delete it, found {found}")]
    NotThePublisher {
        /// The caller.
        found: AccountId,
        /// The publisher.
        expected: AccountId,
    },
    /// Its publisher has withdrawn it.
    #[error("its publisher has withdrawn it from new requests")]
    Retired,
    /// Live requests need it.
    #[error("{live_requests} live requests need it; retire_code refuses new ones")]
    InUse {
        /// How many.
        live_requests: u32,
    },
}

impl CodeError {
    /// The code with which the panic's text starts.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Unknown => RefusalCode::CodeNotPublished,
            Self::Published { .. } => RefusalCode::CodePublished,
            Self::Size { .. } => RefusalCode::CodeSize,
            Self::Total { .. } => RefusalCode::CodeSizeChanged,
            Self::Offset { .. } => RefusalCode::CodePartOffset,
            Self::Chunk { .. } => RefusalCode::CodePartLength,
            Self::Hash { .. } => RefusalCode::CodeHash,
            Self::Deposit { .. } => RefusalCode::CodeDeposit,
            Self::NotThePublisher { .. } => RefusalCode::NotThePublisher,
            Self::Retired => RefusalCode::CodeRetired,
            Self::InUse { .. } => RefusalCode::CodeInUse,
        }
    }
}

/// What is kept of a module beside its pieces.
#[near(serializers = [borsh])]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// Whose it is.
    publisher_id: AccountId,
    /// Its size.
    total_bytes: u32,
    /// Where each piece ends.
    ends: Vec<u32>,
    /// What the publisher has paid for its storage.
    deposit: NearToken,
    /// Live requests that need it.
    live_requests: u32,
}

fn code_key(hash: &Hash32) -> Vec<u8> {
    store::key(Prefix::Code, &[&hash.0])
}

fn upload_key(hash: &Hash32, publisher_id: &AccountId) -> Vec<u8> {
    store::key(Prefix::Upload, &[&hash.0, publisher_id.as_bytes()])
}

/// Whether new requests may no longer name the code; an entry of its own.
fn retired_key(hash: &Hash32) -> Vec<u8> {
    store::key(Prefix::Retired, &[&hash.0])
}

fn is_retired(hash: &Hash32) -> bool {
    env::storage_has_key(&retired_key(hash))
}

fn chunk_key(hash: &Hash32, publisher_id: &AccountId, number: usize) -> Vec<u8> {
    let number = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    store::key(
        Prefix::Chunk,
        &[&hash.0, &account_length(publisher_id), publisher_id.as_bytes(), &number],
    )
}

impl Code {
    fn published_bytes(&self) -> u32 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn chunk(&self, hash: &Hash32, number: usize) -> Vec<u8> {
        env::storage_read(&chunk_key(hash, &self.publisher_id, number)).unwrap_or_default()
    }

    /// Checks that a piece is the next one, and gives where it ends.
    fn next_end(&self, total_bytes: u32, offset: u32, chunk: &[u8]) -> Result<u32, CodeError> {
        let expected = self.published_bytes();
        if total_bytes != self.total_bytes {
            return Err(CodeError::Total { found: total_bytes, expected: self.total_bytes });
        }
        if offset != expected {
            return Err(CodeError::Offset { found: offset, expected });
        }
        let rest = total_bytes.saturating_sub(offset);
        match u32::try_from(chunk.len()) {
            Ok(length) if length == rest || (MIN_CHUNK_BYTES..rest).contains(&length) => {
                Ok(offset.saturating_add(length))
            }
            _ => Err(CodeError::Chunk { found: chunk.len(), rest }),
        }
    }

    fn view(&self, hash: &Hash32) -> CodeInfoView {
        CodeInfoView {
            hash: *hash,
            publisher_id: self.publisher_id.clone(),
            total_bytes: self.total_bytes,
            published_bytes: self.published_bytes(),
            retired: is_retired(hash),
        }
    }
}

fn find(hash: &Hash32) -> Option<Code> {
    store::read(&code_key(hash))
}

fn wrong(hash: &Hash32, error: CodeError) -> ContractError {
    ContractError::Code { hash: *hash, error }
}

/// What is known of published code, or of the pieces of one publisher.
pub(crate) fn info(hash: &Hash32, publisher_id: Option<&AccountId>) -> Option<CodeInfoView> {
    let upload = || publisher_id.and_then(|id| store::read::<Code>(&upload_key(hash, id)));
    find(hash).or_else(upload).map(|code| code.view(hash))
}

/// Up to `limit` bytes of published code from `offset` on.
pub(crate) fn read(hash: &Hash32, offset: u32, limit: u32) -> Option<Vec<u8>> {
    let code = find(hash)?;
    let end = offset.saturating_add(limit).min(code.total_bytes);
    let mut bytes = Vec::new();
    let mut start = 0;
    for (number, &chunk_end) in code.ends.iter().enumerate() {
        if start < end && offset < chunk_end {
            let chunk = code.chunk(hash, number);
            let from = offset.saturating_sub(start) as usize;
            let to = (end.min(chunk_end) - start) as usize;
            bytes.extend_from_slice(chunk.get(from..to).unwrap_or_default());
        }
        start = chunk_end;
    }
    Some(bytes)
}

/// Counts a live request that needs the code; it must be published in full.
pub(crate) fn require(hash: &Hash32) -> Result<(), ContractError> {
    let mut code = find(hash).ok_or_else(|| wrong(hash, CodeError::Unknown))?;
    if is_retired(hash) {
        return Err(wrong(hash, CodeError::Retired));
    }
    code.live_requests = code.live_requests.saturating_add(1);
    store::write(&code_key(hash), &code);
    Ok(())
}

/// The request has ended.
pub(crate) fn release(hash: &Hash32) {
    if let Some(mut code) = find(hash) {
        code.live_requests = code.live_requests.saturating_sub(1);
        store::write(&code_key(hash), &code);
    }
}

/// Checks the hash of a module that has come whole.
fn check_hash(hash: &Hash32, code: &Code) -> Result<(), CodeError> {
    let chunks: Vec<_> = (0..code.ends.len()).map(|number| code.chunk(hash, number)).collect();
    let parts: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
    let found = Hash32::of_parts(&parts);
    if found != *hash {
        return Err(CodeError::Hash { found });
    }
    Ok(())
}

fn check_publisher(hash: &Hash32, code: &Code) -> Result<(), ContractError> {
    let found = env::predecessor_account_id();
    if code.publisher_id != found {
        let expected = code.publisher_id.clone();
        return Err(wrong(hash, CodeError::NotThePublisher { found, expected }));
    }
    Ok(())
}

impl Contract {
    /// Takes a publisher's next piece; what is attached beyond its storage goes back.
    pub(crate) fn publish(
        &mut self,
        hash: Hash32,
        total_bytes: u32,
        offset: u32,
        chunk: &[u8],
    ) -> Result<(), ContractError> {
        let publisher_id = env::predecessor_account_id();
        if let Some(Code { publisher_id, .. }) = find(&hash) {
            return Err(wrong(&hash, CodeError::Published { publisher_id }));
        }
        if total_bytes == 0 || total_bytes > MAX_CODE_BYTES {
            return Err(wrong(&hash, CodeError::Size { found: total_bytes }));
        }
        let before = env::storage_usage();
        let upload_key = upload_key(&hash, &publisher_id);
        let mut code = store::read(&upload_key).unwrap_or_else(|| Code {
            publisher_id: publisher_id.clone(),
            total_bytes,
            ends: Vec::new(),
            deposit: NearToken::ZERO,
            live_requests: 0,
        });
        let end = code.next_end(total_bytes, offset, chunk).map_err(|error| wrong(&hash, error))?;
        env::storage_write(&chunk_key(&hash, &publisher_id, code.ends.len()), chunk);
        code.ends.push(end);
        let key = if end == total_bytes {
            check_hash(&hash, &code).map_err(|error| wrong(&hash, error))?;
            store::remove(&upload_key);
            code_key(&hash)
        } else {
            upload_key
        };
        store::write(&key, &code);
        self.charge(&hash, &key, code, before)
    }

    /// Withdraws the caller's code from new requests, so that it can be deleted when those that live have ended: otherwise
    /// anyone could keep its deposit here, by asking again and again.
    pub(crate) fn retire(&mut self, hash: &Hash32) -> Result<(), ContractError> {
        let code = find(hash).ok_or_else(|| wrong(hash, CodeError::Unknown))?;
        check_publisher(hash, &code)?;
        let before = env::storage_usage();
        env::storage_write(&retired_key(hash), &[]);
        self.charge(hash, &code_key(hash), code, before)
    }

    /// Charges the caller for what state has grown by since `before`, keeps `code`, and gives back what is attached beyond
    /// that.
    fn charge(
        &mut self,
        hash: &Hash32,
        key: &[u8],
        mut code: Code,
        before: u64,
    ) -> Result<(), ContractError> {
        let attached = env::attached_deposit();
        let bytes = env::storage_usage().saturating_sub(before);
        let needed = namespace::cost(bytes);
        let Some(excess) = attached.checked_sub(needed) else {
            return Err(wrong(hash, CodeError::Deposit { found: attached, needed, bytes }));
        };
        self.funds.take_in(Pot::Code, attached)?;
        code.deposit = code.deposit.checked_add(needed).ok_or(MoneyError::Overflow {
            pot: Pot::Code,
            found: code.deposit,
            added: needed,
        })?;
        store::write(key, &code);
        self.pay_out(Pot::Code, &code.publisher_id, excess)?;
        Ok(())
    }

    /// Deletes the caller's code, or its pieces, and returns the deposit.
    pub(crate) fn unpublish(&mut self, hash: &Hash32) -> Result<(), ContractError> {
        let caller = env::predecessor_account_id();
        let upload_key = upload_key(hash, &caller);
        let (key, code) = match (store::read::<Code>(&upload_key), find(hash)) {
            (Some(code), _) => (upload_key, code),
            (None, Some(code)) => (code_key(hash), code),
            (None, None) => return Err(wrong(hash, CodeError::Unknown)),
        };
        check_publisher(hash, &code)?;
        if code.live_requests > 0 {
            return Err(wrong(hash, CodeError::InUse { live_requests: code.live_requests }));
        }
        (0..code.ends.len()).for_each(|number| {
            store::remove(&chunk_key(hash, &caller, number));
        });
        if key == code_key(hash) {
            store::remove(&retired_key(hash));
        }
        store::remove(&key);
        self.pay_out(Pot::Code, &caller, code.deposit)?;
        Ok(())
    }
}

#[cfg(test)]
impl Code {
    pub(crate) fn deposit(&self) -> NearToken {
        self.deposit
    }
}
