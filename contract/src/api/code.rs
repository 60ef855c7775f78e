//! Publishing code in the contract.

use near_sdk::{AccountId, near};
use outlayer_protocol::{Bytes, Hash32, views::CodeInfoView};

use crate::{
    Contract, ContractError, ContractExt, code,
    recent_code::{self, RecentCode},
};

#[near]
impl Contract {
    /// Publishes a module, or its next part. The argument is the borsh of `{hash, total_bytes: u32,
    /// offset: u32, part}`. Parts come in order, and the last one completes the module if its
    /// SHA-256 is right. The caller pays for the bytes; what is attached beyond that goes back.
    ///
    /// # Errors
    /// [`ContractError::Code`].
    #[payable]
    #[handle_result]
    pub fn publish_code(
        &mut self,
        #[serializer(borsh)] hash: Hash32,
        #[serializer(borsh)] total_bytes: u32,
        #[serializer(borsh)] offset: u32,
        #[serializer(borsh)] part: Vec<u8>,
    ) -> Result<(), ContractError> {
        if self.for_tenant(|contract| contract.publish(hash, total_bytes, offset, &part))? {
            self.for_tenant(|_| recent_code::note(&RecentCode::Published(hash)));
        }
        Ok(())
    }

    /// The publisher withdraws a module from new requests. Live requests still have it, and when
    /// they have ended it can be deleted. The caller pays for the bytes of the note that this
    /// leaves; what is attached beyond that goes back. [`adopt_code`](Self::adopt_code) is the way
    /// back, which every account has.
    ///
    /// # Errors
    /// [`ContractError::Code`]: the module is unknown, the caller is not its publisher, or too
    /// little is attached.
    #[payable]
    #[handle_result]
    pub fn retire_code(&mut self, hash: Hash32) -> Result<(), ContractError> {
        self.for_tenant(|contract| contract.retire(&hash))
    }

    /// Takes over a module that its publisher has retired: new requests may name it again, and the
    /// caller is its publisher. The caller pays for its bytes, the former publisher gets its
    /// deposit back, and live requests are not affected. What is attached beyond the price goes
    /// back.
    ///
    /// # Errors
    /// [`ContractError::Code`]: the module is not published in full, it is not retired, or too
    /// little is attached.
    #[payable]
    #[handle_result]
    pub fn adopt_code(&mut self, hash: Hash32) -> Result<(), ContractError> {
        self.for_tenant(|contract| contract.adopt(&hash))
    }

    /// The publisher deletes a module, complete or not, and gets the deposit back.
    ///
    /// # Errors
    /// [`ContractError::Code`]: the module is unknown, the caller is not its publisher, or live
    /// requests need it.
    #[handle_result]
    pub fn delete_code(&mut self, hash: Hash32) -> Result<(), ContractError> {
        self.for_tenant(|contract| contract.unpublish(&hash))
    }

    /// Up to `limit` bytes of a published module, from `offset` on. `None` when the module is not
    /// published in full.
    pub fn get_code(&self, hash: Hash32, offset: u32, limit: u32) -> Option<Bytes> {
        code::read(&hash, offset, limit).map(Bytes)
    }

    /// What is known of a published module; with `publisher_id`, also of one that this account has
    /// not completed yet.
    pub fn get_code_info(
        &self,
        hash: Hash32,
        publisher_id: Option<AccountId>,
    ) -> Option<CodeInfoView> {
        code::info(&hash, publisher_id.as_ref())
    }
}
