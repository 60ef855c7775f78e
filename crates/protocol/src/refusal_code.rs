//! The codes of the contract's refusals.
//!
//! When the contract does not take a call, it panics, and the panic's text starts with a code in
//! brackets: `[read_conflict] request 7: the key "k" was read and has changed since; …`. The words
//! after the code are for people and may change; a program goes by the code, which does not.

use std::fmt;

/// Declares [`RefusalCode`] from one list, so that names, texts and documentation cannot differ.
macro_rules! refusal_codes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:literal,)+) => {
        /// Why the contract did not take a call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RefusalCode {
            $($(#[doc = $meaning])+ $name,)+
        }

        impl RefusalCode {
            /// Every code, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code as the panic's text has it, in snake_case and without brackets.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// A sentence or two that explain the code: its documentation.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($meaning),+).trim_start(),)+
                }
            }
        }
    };
}

refusal_codes! {
    /// Only the contract itself may call this method: it is a callback.
    Private = "private",
    /// Only the owner may call this method.
    NotTheOwner = "not_the_owner",
    /// The ownership was not offered to the caller.
    NotTheProposedOwner = "not_the_proposed_owner",
    /// The caller is not registered as a worker.
    NotAWorker = "not_a_worker",
    /// The owner has suspended this worker.
    WorkerSuspended = "worker_suspended",

    /// The contract is paused and takes no new request.
    Paused = "paused",
    /// The contract's own money does not cover its own storage, so it takes nothing new on.
    InsufficientStake = "insufficient_stake",
    /// A number of the configuration is out of the bounds that the contract sets.
    ConfigOutOfBounds = "config_out_of_bounds",
    /// A worker's metadata is too long.
    MetadataTooLong = "metadata_too_long",
    /// No upgrade is announced.
    NoUpgrade = "no_upgrade",
    /// The code is not the code that was announced.
    WrongUpgrade = "wrong_upgrade",
    /// The announced upgrade may only be made later.
    UpgradeTooEarly = "upgrade_too_early",
    /// The state has a layout that this code cannot migrate.
    UnknownLayout = "unknown_layout",
    /// Requests are live whose records the new code cannot read.
    LiveRequests = "live_requests",

    /// A value in the request is larger than this contract allows.
    RequestAboveBound = "request_above_bound",
    /// A value in the request is zero and must not be.
    RequestZero = "request_zero",
    /// The largest answer to the request could not be settled within one receipt.
    RequestTooLarge = "request_too_large",
    /// The execution could take longer than its share of the time until the yield times out.
    RequestTooSlow = "request_too_slow",
    /// The URL of the code does not start with `https://` or `http://`.
    UrlScheme = "url_scheme",
    /// The name of an environment variable is empty or contains `=`.
    VariableName = "variable_name",
    /// The system sets this environment variable itself.
    ReservedVariable = "reserved_variable",
    /// An environment variable is given twice.
    DuplicateVariable = "duplicate_variable",
    /// An argument or environment variable contains a NUL byte.
    NulByte = "nul_byte",
    /// The hosts that a request may reach over HTTP are none, too many, or no hosts.
    HttpHost = "http_host",
    /// There is no secret of this name, or its entry cannot be read.
    UnknownSecret = "unknown_secret",
    /// The secret is for other code, other callers or other hosts.
    SecretDenied = "secret_denied",
    /// An amount of money does not fit into 128 bits of yoctoNEAR.
    AmountOverflow = "amount_overflow",
    /// The request would have its refund go to the contract itself.
    RefundToContract = "refund_to_contract",
    /// The execution could cost more than the request's `max_fee`.
    FeeAboveMax = "fee_above_max",
    /// The attached deposit is less than the request may cost.
    InsufficientDeposit = "insufficient_deposit",
    /// The attached gas does not suffice for the request and its settlement.
    InsufficientGas = "insufficient_gas",
    /// All 2^64 request ids have been given.
    NoMoreIds = "no_more_ids",
    /// The node identified the yield by something other than 32 bytes.
    MalformedDataId = "malformed_data_id",

    /// No request with this id was ever made.
    UnknownRequest = "unknown_request",
    /// The request is settled already.
    RequestSettled = "request_settled",
    /// The request's deadline has passed.
    RequestExpired = "request_expired",
    /// An answer to the request was taken already and awaits settlement.
    AlreadyAnswered = "already_answered",
    /// The request was cancelled and awaits settlement.
    AlreadyCancelled = "already_cancelled",
    /// The yield is gone: its callback is about to settle the request.
    YieldGone = "yield_gone",
    /// The request says that nobody may cancel it.
    NotCancellable = "not_cancellable",
    /// The caller may not cancel the request: it is neither the requester, nor a payer that the
    /// request lets cancel it.
    NotTheRequester = "not_the_requester",
    /// No result is kept for this request.
    ResultNotKept = "result_not_kept",
    /// The result is kept for some time yet, so it may not be removed.
    ResultStillKept = "result_still_kept",
    /// The request may only be swept later.
    TooEarlyToSweep = "too_early_to_sweep",

    /// A key that the execution read has another value now: execute again on a newer block.
    ReadConflict = "read_conflict",
    /// A key is locked until another request is settled; try again after that.
    KeyLocked = "key_locked",
    /// The response names another request than the one that it was submitted to.
    WrongRequest = "wrong_request",
    /// The response counts computation in another meter than the request is billed in.
    WrongMeter = "wrong_meter",
    /// The response exceeds one of the request's limits.
    ResponseAboveLimit = "response_above_limit",
    /// The response's status contradicts the rest of it.
    InconsistentStatus = "inconsistent_status",
    /// The reason of the response's status is too long.
    ReasonTooLong = "reason_too_long",
    /// A storage key is empty or too long.
    StorageKeyBytes = "storage_key_bytes",
    /// A storage value is too long.
    StorageValueBytes = "storage_value_bytes",
    /// The keys of a read set or journal do not ascend.
    StorageKeyOrder = "storage_key_order",
    /// A guest would have used a key that only the owner of the namespace may use.
    StorageKeyReserved = "storage_key_reserved",

    /// The worker has computed another digest for its body than the contract: they do not see the
    /// same request.
    DigestDiffers = "digest_differs",
    /// Too few workers have revealed the digest of this body.
    TooFewReveals = "too_few_reveals",
    /// The request asks for one approval, so it takes no commitments and no reveals.
    CommitmentNotNeeded = "commitment_not_needed",
    /// The request takes no claims: several workers must agree on it, or its execution is short.
    ClaimNotNeeded = "claim_not_needed",
    /// The worker has claimed this request before.
    AlreadyClaimed = "already_claimed",
    /// The worker is not given the secrets that the request needs.
    NotARecipient = "not_a_recipient",
    /// As many workers have claimed this request as may.
    ClaimsFull = "claims_full",
    /// The worker was not drawn for this request.
    NoSeat = "no_seat",
    /// The worker succeeds another one, who still has time to commit.
    SeatNotYet = "seat_not_yet",
    /// The worker did not commit in its time, and its seat has passed on.
    SeatPassedOn = "seat_passed_on",
    /// The worker, or the other one of the same seat, has committed already.
    SeatTaken = "seat_taken",
    /// The commitment is to another round than the one that runs.
    WrongRound = "wrong_round",
    /// Commitments are no longer taken.
    CommitmentsClosed = "commitments_closed",
    /// The worker has not committed in this round.
    NotCommitted = "not_committed",
    /// Reveals are taken only when no commitment is taken any more.
    TooEarlyToReveal = "too_early_to_reveal",
    /// Reveals are no longer taken.
    TooLateToReveal = "too_late_to_reveal",
    /// The worker has revealed its digest already.
    AlreadyRevealed = "already_revealed",
    /// The digest and the salt do not give the worker's commitment.
    WrongReveal = "wrong_reveal",
    /// The salt does not have 16 bytes.
    SaltBytes = "salt_bytes",
    /// The workers may still agree, so the request cannot be closed.
    NotHopeless = "not_hopeless",
    /// The request's shares may still be taken, so they cannot be closed.
    SharesOpen = "shares_open",
    /// The request is disputed and awaits settlement.
    AlreadyDisputed = "already_disputed",
    /// Fewer workers are active than the request asks for.
    TooFewWorkers = "too_few_workers",

    /// A body of this length cannot come in parts: it is too short, or above the request's limits.
    UploadTotalBytes = "upload_total_bytes",
    /// Another worker is sending its body in parts and still has its turn.
    UploadTurn = "upload_turn",
    /// The part does not start where the one before it ended.
    PartOffset = "part_offset",
    /// The part is too short, or reaches beyond the end of the body.
    PartLength = "part_length",
    /// The worker that sends parts has not revealed their digest.
    NotAmongTheAgreeing = "not_among_the_agreeing",
    /// The parts together are not the borsh encoding of a response.
    MalformedBody = "malformed_body",

    /// The code is not published in full.
    CodeNotPublished = "code_not_published",
    /// The code is published already.
    CodePublished = "code_published",
    /// The code is empty or too large.
    CodeSize = "code_size",
    /// This part of the code announces another size than the first one did.
    CodeSizeChanged = "code_size_changed",
    /// The part of the code does not start where the one before it ended.
    CodePartOffset = "code_part_offset",
    /// The part of the code is too short, or reaches beyond its end.
    CodePartLength = "code_part_length",
    /// The published bytes have another hash than was announced.
    CodeHash = "code_hash",
    /// The attached deposit does not pay for the bytes of the code.
    CodeDeposit = "code_deposit",
    /// Only the publisher may retire or delete code.
    NotThePublisher = "not_the_publisher",
    /// The publisher has withdrawn the code from new requests.
    CodeRetired = "code_retired",
    /// Live requests still need the code.
    CodeInUse = "code_in_use",
    /// The text does not name code.
    MalformedName = "malformed_name",
    /// There is no such name, or no such version of it.
    UnknownName = "unknown_name",
    /// The owner has withdrawn the version, or all versions, from new requests.
    NameRetired = "name_retired",

    /// The account has no storage namespace: it must call `storage_deposit` first.
    NotRegistered = "not_registered",
    /// The storage deposit does not pay for the bytes.
    BytesNotPaid = "bytes_not_paid",
    /// Less was attached than registering costs.
    RegistrationDeposit = "registration_deposit",
    /// More is asked for than the storage deposit has to spare.
    WithdrawalTooLarge = "withdrawal_too_large",
    /// Exactly one yoctoNEAR must be attached.
    OneYocto = "one_yocto",
    /// Requests are live that may read the namespace: a change of it makes workers execute them
    /// again, and what is attached does not pay for that.
    LiveReaders = "live_readers",
    /// The namespace still has keys.
    NamespaceNotEmpty = "namespace_not_empty",

    /// The contract owes the caller nothing.
    NothingDue = "nothing_due",
    /// The contract's books have less for a purpose than is due: a bug of the contract.
    PotShort = "pot_short",
    /// The contract's books cannot count this much for one purpose.
    PotOverflow = "pot_overflow",
}

impl RefusalCode {
    /// The code that is written like this; `None` for anything else.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.as_str() == code)
    }

    /// The code in the text of a failed call, which a node may have put words around.
    ///
    /// `None` when there is none: the call failed before the contract looked at it, or a newer
    /// contract has codes that are not known here.
    pub fn find(text: &str) -> Option<Self> {
        let bracketed = text.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
        bracketed.map(|(code, _)| code).find_map(Self::parse)
    }

    /// The text with which the contract panics: the code in brackets, then `error`.
    pub fn panic_text(self, error: &impl fmt::Display) -> String {
        format!("[{self}] {error}")
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_in_a_panics_text_and_is_unique() {
        for (index, code) in RefusalCode::ALL.iter().copied().enumerate() {
            let text = code.panic_text(&"request 7: [no code] and the key \"[k]\"");
            let found = RefusalCode::find(&format!("Smart contract panicked: {text}"));
            assert_eq!(found, Some(code), "{text}");
            assert_eq!(RefusalCode::parse(&code.to_string()), Some(code));
            let snake_case = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(code.as_str().bytes().all(snake_case), "{code}");
            assert!(code.meaning().ends_with('.'), "{code}: {}", code.meaning());
            let earlier = RefusalCode::ALL.iter().take(index);
            assert!(earlier.into_iter().all(|one| one.as_str() != code.as_str()), "{code} twice");
        }
    }

    #[test]
    fn a_text_without_a_code_has_none() {
        for text in ["", "[", "[]", "read_conflict", "[read_conflict", "Exceeded [the] gas", "]["] {
            assert_eq!(RefusalCode::find(text), None, "{text}");
        }
    }
}
