//! Names of published code and of code at URLs.

use near_sdk::{env, near};
use outlayer_protocol::{
    CodeRef,
    code_name::CodeName,
    views::{NamedCodeView, RecentCodeView},
};

use super::ONE_YOCTO;
use crate::{
    Contract, ContractError, ContractExt, Pot, names,
    recent_code::{self, RecentCode},
};

#[near]
impl Contract {
    /// Has the next version of `name` under the caller's account stand for `code`, and returns the
    /// number of the version. Versions count from 1. What a version stands for never changes, and
    /// it is never deleted. The caller pays for the bytes; what is attached beyond that goes back.
    ///
    /// # Errors
    /// [`ContractError::Name`] when `name` has characters that a name may not have, or too many;
    /// [`ContractError::Request`] when the URL is too long or has another scheme;
    /// [`ContractError::Code`] when code without a URL is not published or is retired, or too
    /// little is attached.
    #[payable]
    #[handle_result]
    pub fn name_code(&mut self, name: String, code: CodeRef) -> Result<u32, ContractError> {
        let number = self.for_tenant(|contract| contract.name(&name, code))?;
        let owner_id = env::predecessor_account_id();
        let name = CodeName { owner_id, name: &name, version: Some(number) };
        self.for_tenant(|_| recent_code::note(&RecentCode::Named(name.to_string())));
        Ok(number)
    }

    /// Withdraws a version of the caller's name from new requests, for good. Requests that name no
    /// version get the newest one that is not retired. Live requests are not affected. One
    /// yoctoNEAR must be attached, and goes back.
    ///
    /// # Errors
    /// [`ContractError::Name`] when there is no such version, or it is retired already;
    /// [`ContractError::OneYocto`] when not exactly one yoctoNEAR is attached.
    #[payable]
    #[handle_result]
    pub fn retire_named_code(&mut self, name: String, version: u32) -> Result<(), ContractError> {
        self.take_yocto(Pot::Code)?;
        self.retire_version(&name, version)?;
        self.pay_out(Pot::Code, &env::predecessor_account_id(), ONE_YOCTO)?;
        Ok(())
    }

    /// What `owner/name@version` stands for, retired or not, or the latest version of `owner/name`.
    /// `None` when there is no such version, or all are retired and none was asked for.
    ///
    /// # Errors
    /// [`ContractError::Name`] when `name` is no name.
    #[handle_result]
    pub fn get_named_code(&self, name: String) -> Result<Option<NamedCodeView>, ContractError> {
        Ok(names::show(&name)?)
    }

    /// A page of the versions of `owner/name`, retired ones too, from the first to the newest; or
    /// of the names of `owner`, in the order in which they were first given. A name is listed with
    /// the version that requests without a version get, or with its newest when all are retired.
    ///
    /// # Errors
    /// [`ContractError::Name`] when `of` is neither a name nor an account id.
    #[handle_result]
    pub fn list_named_code(
        &self,
        of: String,
        from_index: u64,
        limit: u64,
    ) -> Result<Vec<NamedCodeView>, ContractError> {
        Ok(names::page(&of, from_index, limit)?)
    }

    /// The code that was published or named last, of the publications from the number `from` on: at
    /// most 32 of them, the oldest first. Workers compile it beforehand.
    pub fn recent_code(&self, from: u64) -> RecentCodeView {
        recent_code::since(from)
    }
}
