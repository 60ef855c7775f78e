//! What a publisher does with code: publishes it part by part, retires it, deletes it. The
//! publisher pays for the bytes, and gets the deposit back when the code is deleted.

use near_sdk::{AccountId, NearToken, env};
use outlayer_protocol::{
    Hash32,
    events::{CodePublished, CodeRetired, Event},
};

use crate::{
    CodeError, Contract, ContractError, MoneyError, Pot,
    bounds::MAX_CODE_BYTES,
    code::{Code, code_key, find, part_key, publication_key, refused, retired_key},
    effects::emit,
    namespace, store,
};

fn check_publisher(hash: &Hash32, code: &Code, found: AccountId) -> Result<(), ContractError> {
    if code.publisher_id != found {
        let expected = code.publisher_id.clone();
        return Err(refused(hash, CodeError::NotThePublisher { found, expected }));
    }
    Ok(())
}

impl Contract {
    /// Takes a publisher's next part. What is attached beyond the price of its bytes goes back.
    pub(crate) fn publish(
        &mut self,
        hash: Hash32,
        total_bytes: u32,
        offset: u32,
        part: &[u8],
    ) -> Result<(), ContractError> {
        let publisher_id = env::predecessor_account_id();
        if let Some(Code { publisher_id, .. }) = find(&hash) {
            return Err(refused(&hash, CodeError::Published { publisher_id }));
        }
        if total_bytes == 0 || total_bytes > MAX_CODE_BYTES {
            return Err(refused(&hash, CodeError::Size { found: total_bytes }));
        }
        let before = env::storage_usage();
        let publication_key = publication_key(&hash, &publisher_id);
        let mut code = store::read(&publication_key).unwrap_or_else(|| Code {
            publisher_id: publisher_id.clone(),
            total_bytes,
            ends: Vec::new(),
            deposit: NearToken::ZERO,
            live_requests: 0,
        });
        let end =
            code.next_end(total_bytes, offset, part).map_err(|error| refused(&hash, error))?;
        env::storage_write(&part_key(&hash, &publisher_id, code.ends.len()), part);
        code.ends.push(end);
        let key = if end == total_bytes {
            code.check_hash(&hash).map_err(|error| refused(&hash, error))?;
            store::remove(&publication_key);
            code_key(&hash)
        } else {
            publication_key
        };
        store::write(&key, &code);
        self.charge(&hash, &key, code, before)?;
        if end == total_bytes {
            emit(&Event::CodePublished(CodePublished { hash, publisher_id, total_bytes }));
        }
        Ok(())
    }

    /// Withdraws the caller's code from new requests, so that it can be deleted when those that
    /// live have ended. Otherwise anyone could keep the publisher from its deposit, by requesting
    /// the code again and again.
    pub(crate) fn retire(&mut self, hash: &Hash32) -> Result<(), ContractError> {
        let code = find(hash).ok_or_else(|| refused(hash, CodeError::Unknown))?;
        check_publisher(hash, &code, env::predecessor_account_id())?;
        let before = env::storage_usage();
        env::storage_write(&retired_key(hash), &[]);
        let publisher_id = code.publisher_id.clone();
        self.charge(hash, &code_key(hash), code, before)?;
        emit(&Event::CodeRetired(CodeRetired { hash: *hash, publisher_id }));
        Ok(())
    }

    /// Charges the caller for the bytes that state has grown by since `before`, and keeps `code`.
    /// What is attached beyond their price goes back.
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
            return Err(refused(hash, CodeError::Deposit { found: attached, needed, bytes }));
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

    /// Deletes the caller's code, complete or not, and returns its deposit.
    pub(crate) fn unpublish(&mut self, hash: &Hash32) -> Result<(), ContractError> {
        let caller = env::predecessor_account_id();
        let publication_key = publication_key(hash, &caller);
        let (key, code) = match (store::read::<Code>(&publication_key), find(hash)) {
            (Some(code), _) => (publication_key, code),
            (None, Some(code)) => (code_key(hash), code),
            (None, None) => return Err(refused(hash, CodeError::Unknown)),
        };
        check_publisher(hash, &code, caller.clone())?;
        if code.live_requests > 0 {
            return Err(refused(hash, CodeError::InUse { live_requests: code.live_requests }));
        }
        (0..code.ends.len()).for_each(|number| {
            store::remove(&part_key(hash, &caller, number));
        });
        if key == code_key(hash) {
            store::remove(&retired_key(hash));
        }
        store::remove(&key);
        self.pay_out(Pot::Code, &caller, code.deposit)?;
        Ok(())
    }
}
