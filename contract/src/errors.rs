//! Why a call is refused. Each error says what was found and what is expected; nothing has changed.

use near_sdk::{AccountId, FunctionError, Gas, NearToken, env};
use outlayer_protocol::{
    Hash32, RefusalCode, RequestId, machine::Refusal, pricing::PricingError,
    validation::RequestError,
};

use crate::{CodeError, LAYOUT, MoneyError, NamespaceError};

/// An error of a method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// A callback was called from outside.
    #[error("only {expected} itself may call this method, found {found}")]
    Private {
        /// The caller.
        found: AccountId,
        /// The contract.
        expected: AccountId,
    },
    /// A method of the owner was called by somebody else.
    #[error("only the owner {expected} may call this method, found {found}")]
    NotTheOwner {
        /// The caller.
        found: AccountId,
        /// The owner.
        expected: AccountId,
    },
    /// The ownership was not offered to the caller.
    #[error("{found} cannot become the owner: the ownership is offered to {}", expected.as_ref().map_or("nobody", |id| id.as_str()))]
    NotTheProposedOwner {
        /// The caller.
        found: AccountId,
        /// To whom it is offered.
        expected: Option<AccountId>,
    },
    /// New requests are refused.
    #[error(
        "the contract is paused: no new request is taken; those that live are settled as always"
    )]
    Paused,
    /// The contract's own money does not cover its own storage.
    #[error(
        "the contract takes nothing on: its own money is {} yoctoNEAR, its own storage needs {}; send it the difference",
        found.as_yoctonear(), needed.as_yoctonear()
    )]
    Stake {
        /// What belongs to nobody else.
        found: NearToken,
        /// What its own bytes cost.
        needed: NearToken,
    },
    /// The configuration is out of bounds.
    #[error("{what} is {found}, expected {least} to {most}")]
    Config {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: u128,
        /// The least that is allowed.
        least: u128,
        /// The most that is allowed.
        most: u128,
    },
    /// No upgrade is announced.
    #[error("no upgrade is announced: call propose_upgrade first")]
    NoUpgrade,
    /// The code is not the one announced.
    #[error("the code has the SHA-256 {found}, announced is {expected}")]
    UpgradeCode {
        /// Of the code.
        found: Hash32,
        /// Announced.
        expected: Hash32,
    },
    /// Requests may be live that were made before the upgrade was announced.
    #[error("the upgrade may be made from block {from_height} on, this is block {height}")]
    UpgradeTooEarly {
        /// Now.
        height: u64,
        /// From when on.
        from_height: u64,
    },
    /// The state has a layout that this code cannot migrate.
    #[error("the state has the layout {found:?}, this code knows {LAYOUT}")]
    Layout {
        /// Its number, if there is one.
        found: Option<u16>,
    },
    /// Requests are live whose records the code cannot read.
    #[error(
        "{found} requests are live, and this code reads their records no more: pause, wait until they have ended, upgrade then"
    )]
    LiveRequests {
        /// How many.
        found: u32,
    },
    /// There are no more ids.
    #[error("there have been 2^64 requests: no id is left")]
    NoMoreIds,
    /// The request is out of bounds.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An amount does not fit.
    #[error(transparent)]
    Pricing(#[from] PricingError),
    /// Too little was attached to a request.
    #[error(
        "{} yoctoNEAR attached, {} needed: {} for the execution at the most, and {} for its storage, which is returned",
        found.as_yoctonear(), needed.as_yoctonear(), max_fee.as_yoctonear(), storage_reserve.as_yoctonear()
    )]
    Deposit {
        /// What was attached.
        found: NearToken,
        /// What is needed.
        needed: NearToken,
        /// For the execution.
        max_fee: NearToken,
        /// For its storage.
        storage_reserve: NearToken,
    },
    /// Too little gas was attached to a request.
    #[error(
        "{found} attached, {needed} needed: the settlement's gas is set aside when the request is made"
    )]
    Gas {
        /// What was attached.
        found: Gas,
        /// What is needed.
        needed: Gas,
    },
    /// The node gave no identity of the yield.
    #[error("the node's data id of the yield has {found} bytes, expected 32")]
    DataId {
        /// Its length.
        found: usize,
    },
    /// The request was never made.
    #[error("request {request_id} does not exist: the next one will be {next}")]
    UnknownRequest {
        /// The request.
        request_id: RequestId,
        /// The id of the next request.
        next: RequestId,
    },
    /// The request was made, and is over.
    #[error("request {request_id} is settled already")]
    Settled {
        /// The request.
        request_id: RequestId,
    },
    /// The machine refuses the step.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// The yield cannot be resumed any more.
    #[error(
        "request {request_id} came to its end before this: the yield is gone, its callback settles the request"
    )]
    YieldGone {
        /// The request.
        request_id: RequestId,
    },
    /// What has come in parts is no body.
    #[error("request {request_id}: the body that came in parts is no response: {reason}")]
    Body {
        /// The request.
        request_id: RequestId,
        /// What the decoder says.
        reason: String,
    },
    /// The caller is no worker.
    #[error("{found} is not a registered worker")]
    NotAWorker {
        /// The account.
        found: AccountId,
    },
    /// The worker is suspended.
    #[error("the worker {found} is suspended by the owner")]
    Suspended {
        /// The worker.
        found: AccountId,
    },
    /// A worker's metadata is too long.
    #[error("the metadata has {found} bytes, expected at most {max}")]
    Metadata {
        /// Its length.
        found: usize,
        /// What is allowed.
        max: usize,
    },
    /// Nothing is due to the caller.
    #[error("nothing is due to {account_id}")]
    NothingDue {
        /// The caller.
        account_id: AccountId,
    },
    /// An error of published code.
    #[error("code {hash}: {error}")]
    Code {
        /// The code.
        hash: Hash32,
        /// The error.
        error: CodeError,
    },
    /// An error of a storage namespace.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The books do not allow it.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl ContractError {
    /// The code with which the panic's text starts, for programs.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Private { .. } => RefusalCode::Private,
            Self::NotTheOwner { .. } => RefusalCode::NotTheOwner,
            Self::NotTheProposedOwner { .. } => RefusalCode::NotTheProposedOwner,
            Self::Paused => RefusalCode::Paused,
            Self::Stake { .. } => RefusalCode::InsufficientStake,
            Self::Config { .. } => RefusalCode::ConfigOutOfBounds,
            Self::NoUpgrade => RefusalCode::NoUpgrade,
            Self::UpgradeCode { .. } => RefusalCode::WrongUpgrade,
            Self::UpgradeTooEarly { .. } => RefusalCode::UpgradeTooEarly,
            Self::Layout { .. } => RefusalCode::UnknownLayout,
            Self::LiveRequests { .. } => RefusalCode::LiveRequests,
            Self::NoMoreIds => RefusalCode::NoMoreIds,
            Self::Request(error) => error.code(),
            Self::Pricing(error) => error.code(),
            Self::Deposit { .. } => RefusalCode::InsufficientDeposit,
            Self::Gas { .. } => RefusalCode::InsufficientGas,
            Self::DataId { .. } => RefusalCode::MalformedDataId,
            Self::UnknownRequest { .. } => RefusalCode::UnknownRequest,
            Self::Settled { .. } => RefusalCode::RequestSettled,
            Self::Refusal(refusal) => refusal.code(),
            Self::YieldGone { .. } => RefusalCode::YieldGone,
            Self::Body { .. } => RefusalCode::MalformedBody,
            Self::NotAWorker { .. } => RefusalCode::NotAWorker,
            Self::Suspended { .. } => RefusalCode::WorkerSuspended,
            Self::Metadata { .. } => RefusalCode::MetadataTooLong,
            Self::NothingDue { .. } => RefusalCode::NothingDue,
            Self::Code { error, .. } => error.code(),
            Self::Namespace(error) => error.code(),
            Self::Money(error) => error.code(),
        }
    }

    /// The text with which the call fails: the code in brackets, then the error.
    pub(crate) fn panic_text(&self) -> String {
        self.code().panic_text(self)
    }
}

impl FunctionError for ContractError {
    fn panic(&self) -> ! {
        env::panic_str(&self.panic_text())
    }
}
