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

use near_sdk::{NearToken, env};

use crate::{Contract, ContractError, Pot};

/// What only a full-access key can attach. Whatever takes money out or governs asks for it, so that
/// a key that may only call functions can do neither.
pub(crate) const ONE_YOCTO: NearToken = NearToken::from_yoctonear(1);

/// Checks that the contract itself calls, as it does in a callback.
fn check_private() -> Result<(), ContractError> {
    let (found, expected) = (env::predecessor_account_id(), env::current_account_id());
    if found != expected {
        return Err(ContractError::Private { found, expected });
    }
    Ok(())
}

fn check_one_yocto() -> Result<(), ContractError> {
    let found = env::attached_deposit();
    if found != ONE_YOCTO {
        return Err(ContractError::OneYocto { found });
    }
    Ok(())
}

impl Contract {
    /// Checks that one yoctoNEAR is attached, and books it.
    fn take_yocto(&mut self, pot: Pot) -> Result<(), ContractError> {
        check_one_yocto()?;
        self.funds.take_in(pot, ONE_YOCTO)?;
        Ok(())
    }

    /// Checks that the owner calls, with one yoctoNEAR, which goes to the protocol's share.
    fn check_owner(&mut self) -> Result<(), ContractError> {
        let found = env::predecessor_account_id();
        if found != self.owner_id {
            return Err(ContractError::NotTheOwner { found, expected: self.owner_id.clone() });
        }
        self.take_yocto(Pot::Protocol)
    }
}
