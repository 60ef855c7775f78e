//! Published code: modules that are kept in contract state, by their SHA-256.
//!
//! A module that is larger than a transaction comes in parts. While parts are missing, a module
//! belongs to its publisher alone, so that two accounts can publish one hash without affecting each
//! other. It becomes available to everybody when it is complete and its hash is right.

use near_sdk::{AccountId, NearToken, env, near};
use outlayer_protocol::{Hash32, views::CodeInfoView};

use crate::{
    CodeError, ContractError,
    bounds::MIN_CODE_PART_BYTES,
    store::{self, Prefix, account_length},
};

/// What is kept of a module besides its parts.
#[near(serializers = [borsh])]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The account that pays for it: the one that publishes it, or that has adopted it.
    pub(crate) publisher_id: AccountId,
    /// The size of the whole module, bytes.
    pub(crate) total_bytes: u32,
    /// Where each part ends, bytes from the start of the module.
    pub(crate) ends: Vec<u32>,
    /// What the publisher has paid for its storage.
    pub(crate) deposit: NearToken,
    /// In layout 2, how many live requests needed it. It says nothing any more.
    pub(crate) former_count: u32,
}

/// Where published code is kept.
pub(crate) fn code_key(hash: &Hash32) -> Vec<u8> {
    store::key(Prefix::Code, &[&hash.0])
}

/// Where code is kept while it is being published.
pub(crate) fn publication_key(hash: &Hash32, publisher_id: &AccountId) -> Vec<u8> {
    store::key(Prefix::Publication, &[&hash.0, publisher_id.as_bytes()])
}

/// An entry that is there when new requests may no longer name the code. It has the height from
/// which no request lives that was made before.
pub(crate) fn retired_key(hash: &Hash32) -> Vec<u8> {
    store::key(Prefix::Retired, &[&hash.0])
}

pub(crate) fn is_retired(hash: &Hash32) -> bool {
    env::storage_has_key(&retired_key(hash))
}

/// The height from which no request lives that was made before the code was retired. `None` when it
/// is not retired, or was under layout 2, which did not note it.
pub(crate) fn unused_from(hash: &Hash32) -> Option<u64> {
    let note = env::storage_read(&retired_key(hash))?;
    note.first_chunk().map(|height| u64::from_le_bytes(*height))
}

/// Where the account is kept under which the parts of adopted code are.
pub(crate) fn origin_key(hash: &Hash32) -> Vec<u8> {
    store::key(Prefix::CodeOrigin, &[&hash.0])
}

/// Where a part of the code is kept.
pub(crate) fn part_key(hash: &Hash32, publisher_id: &AccountId, number: usize) -> Vec<u8> {
    let number = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    store::key(
        Prefix::CodePart,
        &[&hash.0, &account_length(publisher_id), publisher_id.as_bytes(), &number],
    )
}

impl Code {
    fn published_bytes(&self) -> u32 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The account under which the parts of code that is published in full are kept. When an
    /// account adopts code, the parts stay where they are.
    pub(crate) fn origin(&self, hash: &Hash32) -> AccountId {
        store::read(&origin_key(hash)).unwrap_or_else(|| self.publisher_id.clone())
    }

    /// Checks that a part is the next one. Gives where it ends.
    pub(crate) fn next_end(
        &self,
        total_bytes: u32,
        offset: u32,
        part: &[u8],
    ) -> Result<u32, CodeError> {
        let expected = self.published_bytes();
        if total_bytes != self.total_bytes {
            return Err(CodeError::Total { found: total_bytes, expected: self.total_bytes });
        }
        if offset != expected {
            return Err(CodeError::Offset { found: offset, expected });
        }
        let rest = total_bytes.saturating_sub(offset);
        match u32::try_from(part.len()) {
            Ok(length) if length == rest || (MIN_CODE_PART_BYTES..rest).contains(&length) => {
                Ok(offset.saturating_add(length))
            }
            _ => Err(CodeError::Part { found: part.len(), rest }),
        }
    }

    /// Checks the hash of a module whose parts are all there.
    pub(crate) fn check_hash(&self, hash: &Hash32) -> Result<(), CodeError> {
        let publisher = &self.publisher_id;
        let parts: Vec<_> =
            (0..self.ends.len()).map(|number| part(hash, publisher, number)).collect();
        let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        let found = Hash32::of_parts(&parts);
        if found != *hash {
            return Err(CodeError::Hash { found });
        }
        Ok(())
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

fn part(hash: &Hash32, publisher_id: &AccountId, number: usize) -> Vec<u8> {
    env::storage_read(&part_key(hash, publisher_id, number)).unwrap_or_default()
}

/// The code with this hash, if it is published in full.
pub(crate) fn find(hash: &Hash32) -> Option<Code> {
    store::read(&code_key(hash))
}

/// The error of a call about the code with this hash.
pub(crate) fn refused(hash: &Hash32, error: CodeError) -> ContractError {
    ContractError::Code { hash: *hash, error }
}

/// What is known of published code, or else of the parts that this account has published.
pub(crate) fn info(hash: &Hash32, publisher_id: Option<&AccountId>) -> Option<CodeInfoView> {
    let publication =
        || publisher_id.and_then(|id| store::read::<Code>(&publication_key(hash, id)));
    find(hash).or_else(publication).map(|code| code.view(hash))
}

/// Up to `limit` bytes of published code from `offset` on.
pub(crate) fn read(hash: &Hash32, offset: u32, limit: u32) -> Option<Vec<u8>> {
    let code = find(hash)?;
    let origin = code.origin(hash);
    let end = offset.saturating_add(limit).min(code.total_bytes);
    let mut bytes = Vec::new();
    let mut start = 0;
    for (number, &part_end) in code.ends.iter().enumerate() {
        if start < end && offset < part_end {
            let part = part(hash, &origin, number);
            let from = offset.saturating_sub(start) as usize;
            let to = (end.min(part_end) - start) as usize;
            bytes.extend_from_slice(part.get(from..to).unwrap_or_default());
        }
        start = part_end;
    }
    Some(bytes)
}

/// Checks that the code with this hash is published in full and not retired.
pub(crate) fn check(hash: &Hash32) -> Result<(), ContractError> {
    if !env::storage_has_key(&code_key(hash)) {
        return Err(refused(hash, CodeError::Unknown));
    }
    if is_retired(hash) {
        return Err(refused(hash, CodeError::Retired));
    }
    Ok(())
}
