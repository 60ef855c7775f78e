//! What a transaction does on the account that receives it.

use near_crypto::PublicKey;
use near_primitives::{
    account::AccessKey,
    action::{
        Action as NearAction, AddKeyAction, CreateAccountAction, DeployContractAction,
        FunctionCallAction, TransferAction,
    },
    gas::Gas,
};
use outlayer_protocol::NearToken;

/// An action of a transaction. All actions of a transaction take effect, or none does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes the receiving account, which must not exist yet.
    CreateAccount,
    /// Sends NEAR to the receiving account.
    Transfer(NearToken),
    /// Adds a key that can do everything that the account can.
    AddFullAccessKey(PublicKey),
    /// Replaces the code of the receiving account.
    Deploy(Vec<u8>),
    /// Calls a method of the receiving account.
    Call {
        /// The method's name.
        method: String,
        /// Its arguments, encoded as the method expects them.
        args: Vec<u8>,
        /// The gas that is attached, in units of gas.
        gas: u64,
        /// What is attached to the call.
        deposit: NearToken,
    },
}

impl Action {
    /// The name by which an error speaks of the action.
    pub fn name(&self) -> &str {
        match self {
            Self::CreateAccount => "create account",
            Self::Transfer(_) => "transfer",
            Self::AddFullAccessKey(_) => "add key",
            Self::Deploy(_) => "deploy",
            Self::Call { method, .. } => method,
        }
    }

    /// What the receiving account gets with the action.
    pub fn deposit(&self) -> NearToken {
        match self {
            Self::Transfer(amount) => *amount,
            Self::Call { deposit, .. } => *deposit,
            Self::CreateAccount | Self::AddFullAccessKey(_) | Self::Deploy(_) => {
                NearToken::from_yoctonear(0)
            }
        }
    }

    pub(crate) fn to_near(&self) -> NearAction {
        match self.clone() {
            Self::CreateAccount => NearAction::CreateAccount(CreateAccountAction {}),
            Self::Transfer(deposit) => NearAction::Transfer(TransferAction { deposit }),
            Self::AddFullAccessKey(public_key) => NearAction::AddKey(Box::new(AddKeyAction {
                public_key,
                access_key: AccessKey::full_access(),
            })),
            Self::Deploy(code) => NearAction::DeployContract(DeployContractAction { code }),
            Self::Call { method, args, gas, deposit } => {
                NearAction::FunctionCall(Box::new(FunctionCallAction {
                    method_name: method,
                    args,
                    gas: Gas::from_gas(gas),
                    deposit,
                }))
            }
        }
    }
}
