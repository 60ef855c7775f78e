//! The contract's methods, one file for each concern. A method checks who calls, and leaves the
//! work to the module that owns it.

// near-sdk generates promise builders for other contracts besides the methods, without
// documentation.
#![allow(missing_docs)]

mod cancel;
mod code;
mod governance;
mod money;
mod names;
pub(crate) mod nep145;
mod request;
mod resolve;
mod results;
mod storage;
mod sweep;
mod upgrade;
mod views;
mod workers;

use near_sdk::env;

use crate::ContractError;

/// Checks that the contract itself calls, as it does in a callback.
fn check_private() -> Result<(), ContractError> {
    let (found, expected) = (env::predecessor_account_id(), env::current_account_id());
    if found != expected {
        return Err(ContractError::Private { found, expected });
    }
    Ok(())
}
