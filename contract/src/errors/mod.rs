//! Why the contract does not take a call. Each error says what was found and what is expected;
//! nothing has changed.

mod code;
mod name;
mod namespace;

use near_sdk::{AccountId, FunctionError, Gas, NearToken, env};
use outlayer_json::Quoted;
use outlayer_protocol::{
    Hash32, RefusalCode, RequestId, commitment::SALT_BYTES, machine::Refusal,
    pricing::PricingError, secrets::SecretError, validation::RequestError,
};

use crate::{LAYOUT, MoneyError};

pub use code::CodeError;
pub use name::NameError;
pub use namespace::NamespaceError;

/// The error of a method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// A callback was called from outside.
    #[error("only {expected} itself may call this method, found {found}")]
    Private {
        /// The account that called.
        found: AccountId,
        /// The contract's own account.
        expected: AccountId,
    },
    /// A method of the owner was called by another account.
    #[error("only the owner {expected} may call this method, found {found}")]
    NotTheOwner {
        /// The account that called.
        found: AccountId,
        /// The owner.
        expected: AccountId,
    },
    /// The ownership was not offered to the caller.
    #[error(
        "{found} cannot become the owner: the ownership is offered to {}",
        expected.as_ref().map_or("nobody", |id| id.as_str())
    )]
    NotTheProposedOwner {
        /// The account that called.
        found: AccountId,
        /// The account to which the ownership is offered, if it is offered.
        expected: Option<AccountId>,
    },
    /// The contract takes no new requests.
    #[error(
        "the contract is paused: no new request is taken; those that live are settled as always"
    )]
    Paused,
    /// The contract's own money does not cover its own storage.
    #[error(
        "the contract takes nothing on: its own money is {} yoctoNEAR, its own storage needs {}; \
         send it the difference",
        found.as_yoctonear(),
        needed.as_yoctonear()
    )]
    Stake {
        /// The part of the balance that belongs to no pot.
        found: NearToken,
        /// What the contract's own bytes cost.
        needed: NearToken,
    },
    /// A number of the configuration is out of bounds.
    #[error("{what} is {found}, expected {least} to {most}")]
    Config {
        /// The name of the number.
        what: &'static str,
        /// Its value.
        found: u128,
        /// The least value that is allowed.
        least: u128,
        /// The largest value that is allowed.
        most: u128,
    },
    /// No upgrade is announced.
    #[error("no upgrade is announced: call propose_upgrade first")]
    NoUpgrade,
    /// The code is not the announced code.
    #[error("the code has the SHA-256 {found}, announced is {expected}")]
    UpgradeCode {
        /// The SHA-256 of the code.
        found: Hash32,
        /// The SHA-256 that was announced.
        expected: Hash32,
    },
    /// Requests may still live that were made before the upgrade was announced.
    #[error("the upgrade may be made from block {from_height} on, this is block {height}")]
    UpgradeTooEarly {
        /// The height of the current block.
        height: u64,
        /// The first height at which the upgrade may be made.
        from_height: u64,
    },
    /// The state has a layout that this code cannot migrate.
    #[error("the state has the layout {}, this code knows {LAYOUT}", .found.unwrap_or_default())]
    Layout {
        /// The number of the layout; `None`, which is shown as 0, when the state is too short to
        /// have one.
        found: Option<u16>,
    },
    /// Requests are live whose records the new code cannot read.
    #[error(
        "{found} requests are live, and this code reads their records no more: pause, wait until \
         they have ended, upgrade then"
    )]
    LiveRequests {
        /// How many requests are live.
        found: u32,
    },
    /// All request ids have been given.
    #[error("there have been 2^64 requests: no id is left")]
    NoMoreIds,
    /// The request is out of bounds.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An amount does not fit into 128 bits.
    #[error(transparent)]
    Pricing(#[from] PricingError),
    /// Too little was attached to a request.
    #[error(
        "{} yoctoNEAR attached, {} needed: {} for the execution at the most, and {} for its \
         storage, which is returned",
        found.as_yoctonear(),
        needed.as_yoctonear(),
        max_fee.as_yoctonear(),
        storage_reserve.as_yoctonear()
    )]
    Deposit {
        /// What was attached.
        found: NearToken,
        /// What is needed.
        needed: NearToken,
        /// The most that the execution can cost, which is part of it.
        max_fee: NearToken,
        /// The reserve for the request's storage, which is the rest of it.
        storage_reserve: NearToken,
    },
    /// Too little gas was attached to a request.
    #[error(
        "{found} attached, {needed} needed: the settlement's gas is set aside when the request is \
         made"
    )]
    Gas {
        /// What was attached.
        found: Gas,
        /// What is needed.
        needed: Gas,
    },
    /// The node's name for the yield does not have 32 bytes.
    #[error("the node's data id of the yield has {found} bytes, expected 32")]
    DataId {
        /// Its length, bytes.
        found: usize,
    },
    /// The request was never made.
    #[error("request {request_id} does not exist: the next one will be {next}")]
    UnknownRequest {
        /// The id that was asked for.
        request_id: RequestId,
        /// The id that the next request will have.
        next: RequestId,
    },
    /// The request was settled before.
    #[error("request {request_id} is settled already")]
    Settled {
        /// The id of the request.
        request_id: RequestId,
    },
    /// The request does not take the step.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// There is no yield to resume any more.
    #[error(
        "request {request_id} came to its end before this: the yield is gone, its callback settles \
         the request"
    )]
    YieldGone {
        /// The id of the request.
        request_id: RequestId,
    },
    /// The parts together are not a response.
    #[error("request {request_id}: the body that came in parts is no response: {reason}")]
    Body {
        /// The id of the request.
        request_id: RequestId,
        /// The error of the borsh decoder.
        reason: String,
    },
    /// No result is kept for the request.
    #[error("no result is kept for request {request_id}")]
    ResultNotKept {
        /// The id of the request.
        request_id: RequestId,
    },
    /// The result's time is not over.
    #[error(
        "the result of request {request_id} is kept until block {until}, this is block {height}"
    )]
    ResultStillKept {
        /// The id of the request.
        request_id: RequestId,
        /// The height of the current block.
        height: u64,
        /// The last height at which the result is kept.
        until: u64,
    },
    /// The caller is not a worker.
    #[error("{found} is not a registered worker")]
    NotAWorker {
        /// The account that is not registered.
        found: AccountId,
    },
    /// The worker is suspended.
    #[error("the worker {found} is suspended by the owner")]
    Suspended {
        /// The worker's account.
        found: AccountId,
    },
    /// Fewer workers are active than the request asks for.
    #[error(
        "{found} workers are active that were registered before this block, the request asks for \
         {needed}"
    )]
    TooFewWorkers {
        /// How many of them there are.
        found: usize,
        /// How many seats the request has.
        needed: u8,
    },
    /// A secret cannot be had.
    #[error("the secret {} of {owner_id}: {error}", Quoted(.name))]
    Secret {
        /// The account in whose namespace it would be.
        owner_id: AccountId,
        /// Its name.
        name: String,
        /// Why it cannot be had.
        #[source]
        error: SecretError,
    },
    /// Too few of the workers are active to which the request's secrets are sealed.
    #[error(
        "{found} workers are active to which all its secrets are sealed and that were registered \
         before this block, the request asks for {needed}"
    )]
    TooFewRecipients {
        /// How many of them there are.
        found: usize,
        /// How many seats the request has.
        needed: u8,
    },
    /// The salt has another length than a salt has.
    #[error("the salt has {found} bytes, expected {SALT_BYTES}")]
    Salt {
        /// Its length, bytes.
        found: usize,
    },
    /// A worker's metadata is too long.
    #[error("the metadata has {found} bytes, expected at most {max}")]
    Metadata {
        /// Its length, bytes.
        found: usize,
        /// The most that is allowed, bytes.
        max: usize,
    },
    /// Exactly one yoctoNEAR must be attached, which only a full-access key can do.
    #[error("{} yoctoNEAR attached, expected exactly 1", found.as_yoctonear())]
    OneYocto {
        /// What was attached.
        found: NearToken,
    },
    /// The contract would be the payer of a request.
    #[error("refund_to is {found}, this contract: name an account that can spend a refund")]
    RefundToContract {
        /// The contract's own account.
        found: AccountId,
    },
    /// The contract owes the caller nothing.
    #[error("nothing is due to {account_id}")]
    NothingDue {
        /// The account that called.
        account_id: AccountId,
    },
    /// Something is wrong with published code.
    #[error("code {hash}: {error}")]
    Code {
        /// The SHA-256 of the code.
        hash: Hash32,
        /// What is wrong.
        #[source]
        error: CodeError,
    },
    /// Something is wrong with a name of code.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Something is wrong with a change to a storage namespace.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The books do not allow a movement of money.
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
            Self::ResultNotKept { .. } => RefusalCode::ResultNotKept,
            Self::ResultStillKept { .. } => RefusalCode::ResultStillKept,
            Self::NotAWorker { .. } => RefusalCode::NotAWorker,
            Self::Suspended { .. } => RefusalCode::WorkerSuspended,
            Self::TooFewWorkers { .. } | Self::TooFewRecipients { .. } => {
                RefusalCode::TooFewWorkers
            }
            Self::Secret { error, .. } => error.code(),
            Self::Salt { .. } => RefusalCode::SaltBytes,
            Self::Metadata { .. } => RefusalCode::MetadataTooLong,
            Self::OneYocto { .. } => RefusalCode::OneYocto,
            Self::RefundToContract { .. } => RefusalCode::RefundToContract,
            Self::NothingDue { .. } => RefusalCode::NothingDue,
            Self::Code { error, .. } => error.code(),
            Self::Name(error) => error.code(),
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
