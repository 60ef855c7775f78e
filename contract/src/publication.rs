//! What a publisher does with code: publishes it part by part, retires it, deletes it. The
//! publisher pays for the bytes, and gets the deposit back when the code is deleted.
//!
//! There is one copy of the code with a hash. So that a publisher who has retired it does not keep
//! it from everybody, any account can adopt it then. The new publisher pays for the bytes from then
//! on, the former one has its deposit back at once, and live requests notice nothing.

use near_sdk::{AccountId, NearToken, env};
use outlayer_protocol::{
    Hash32,
    events::{CodePublished, CodeRetired, Event},
};

use crate::{
    CodeError, Contract, ContractError, Pot,
    bounds::MAX_CODE_BYTES,
    code::{
        Code, code_key, find, is_retired, origin_key, part_key, publication_key, refused,
        retired_key, unused_from,
    },
    effects::emit,
    funds::add,
    namespace, store,
};

fn check_publisher(hash: &Hash32, code: &Code, found: AccountId) -> Result<(), ContractError> {
    if code.publisher_id != found {
        let expected = code.publisher_id.clone();
        return Err(refused(hash, CodeError::NotThePublisher { found, expected }));
    }
    Ok(())
}

fn emit_published(hash: &Hash32, code: &Code) {
    let Code { publisher_id, total_bytes, .. } = code.clone();
    let event = CodePublished { hash: *hash, publisher_id, total_bytes };
    emit(&Event::CodePublished(event));
}

impl Contract {
    /// Takes a publisher's next part, and says whether it is the last. What is attached beyond the
    /// price of its bytes goes back.
    pub(crate) fn publish(
        &mut self,
        hash: Hash32,
        total_bytes: u32,
        offset: u32,
        part: &[u8],
    ) -> Result<bool, ContractError> {
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
            former_count: 0,
        });
        let end =
            code.next_end(total_bytes, offset, part).map_err(|error| refused(&hash, error))?;
        env::storage_write(&part_key(&hash, &publisher_id, code.ends.len()), part);
        code.ends.push(end);
        let key = if end == total_bytes {
            code.check_hash(&hash).map_err(|error| refused(&hash, error))?;
            store::remove(&publication_key);
            emit_published(&hash, &code);
            code_key(&hash)
        } else {
            publication_key
        };
        store::write(&key, &code);
        self.charge(&hash, &key, code, before)?;
        Ok(end == total_bytes)
    }

    /// Withdraws the caller's code from new requests, so that it can be deleted when those that
    /// live have ended. Otherwise anyone could keep the publisher from its deposit, by requesting
    /// the code again and again.
    pub(crate) fn retire(&mut self, hash: &Hash32) -> Result<(), ContractError> {
        let code = find(hash).ok_or_else(|| refused(hash, CodeError::Unknown))?;
        check_publisher(hash, &code, env::predecessor_account_id())?;
        let before = env::storage_usage();
        if !is_retired(hash) {
            store::write(&retired_key(hash), &self.live_until);
            let event = CodeRetired { hash: *hash, name: None };
            emit(&Event::CodeRetired(event));
        }
        self.charge(hash, &code_key(hash), code, before)
    }

    /// Makes the caller the publisher of retired code, which new requests may name again then.
    pub(crate) fn adopt(&mut self, hash: &Hash32) -> Result<(), ContractError> {
        let mut code = find(hash).ok_or_else(|| refused(hash, CodeError::Unknown))?;
        if !is_retired(hash) {
            let publisher_id = code.publisher_id;
            return Err(refused(hash, CodeError::Published { publisher_id }));
        }
        let before = env::storage_usage();
        let (caller, origin) = (env::predecessor_account_id(), code.origin(hash));
        if origin == caller {
            store::remove(&origin_key(hash));
        } else {
            store::write(&origin_key(hash), &origin);
        }
        store::remove(&retired_key(hash));
        let former = std::mem::replace(&mut code.publisher_id, caller);
        store::write(&code_key(hash), &code);

        // What the code costs now: what it did cost, and the difference in the bytes around it.
        let after = env::storage_usage();
        let saved = namespace::cost(before.saturating_sub(after));
        let added = namespace::cost(after.saturating_sub(before));
        let needed = code.deposit.saturating_add(added).saturating_sub(saved);
        let returned = std::mem::replace(&mut code.deposit, needed);
        self.collect(hash, needed)?;
        store::write(&code_key(hash), &code);
        self.pay_out(Pot::Code, &former, returned)?;
        emit_published(hash, &code);
        Ok(())
    }

    /// Charges the caller for the bytes that state has grown by since `before`, and keeps `code`.
    fn charge(
        &mut self,
        hash: &Hash32,
        key: &[u8],
        mut code: Code,
        before: u64,
    ) -> Result<(), ContractError> {
        code.deposit = self.charge_bytes(hash, code.deposit, before)?;
        store::write(key, &code);
        Ok(())
    }

    /// Charges the caller for the bytes that state has grown by since `before`, on account of the
    /// code with this hash. Gives the sum of that and an earlier `deposit`.
    pub(crate) fn charge_bytes(
        &mut self,
        hash: &Hash32,
        deposit: NearToken,
        before: u64,
    ) -> Result<NearToken, ContractError> {
        let needed = namespace::cost(env::storage_usage().saturating_sub(before));
        self.collect(hash, needed)?;
        Ok(add(Pot::Code, deposit, needed)?)
    }

    /// Takes what the caller owes for bytes. What is attached beyond that goes back.
    fn collect(&mut self, hash: &Hash32, needed: NearToken) -> Result<(), ContractError> {
        let attached = env::attached_deposit();
        let Some(excess) = attached.checked_sub(needed) else {
            return Err(refused(hash, CodeError::Deposit { found: attached, needed }));
        };
        self.funds.take_in(Pot::Code, attached)?;
        self.pay_out(Pot::Code, &env::predecessor_account_id(), excess)?;
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
        let complete = key == code_key(hash);
        // Which requests need the code is not kept, because noting it would cost each of them.
        let (until, height) = (unused_from(hash).unwrap_or(self.live_until), env::block_height());
        if complete && self.live.count > 0 && height < until {
            return Err(refused(hash, CodeError::InUse { until, height }));
        }
        let origin = if complete { code.origin(hash) } else { caller.clone() };
        (0..code.ends.len()).for_each(|number| {
            store::remove(&part_key(hash, &origin, number));
        });
        if complete {
            store::remove(&retired_key(hash));
            store::remove(&origin_key(hash));
        }
        store::remove(&key);
        self.pay_out(Pot::Code, &caller, code.deposit)?;
        Ok(())
    }
}
