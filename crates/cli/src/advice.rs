//! What to do about an error.

use outlayer_client::{ChainError, SendError, TransportError};
use outlayer_modules::{CodeError, DownloadError};
use outlayer_protocol::RefusalCode;
use outlayer_replay::ReplayError;

use crate::exit::chain_error;

/// What the user can do about an error that ended a command; `None` where its text says so.
pub(crate) fn about(error: &anyhow::Error) -> Option<&'static str> {
    let text = format!("{error:#}");
    if let Some(advice) = RefusalCode::find(&text).and_then(refused) {
        return Some(advice);
    }
    match error.downcast_ref() {
        Some(SendError::NoAccessKey { .. }) => {
            return Some("check --network, --account and --key-file");
        }
        Some(SendError::Unconfirmed { .. }) => {
            return Some(
                "`near transaction view-status HASH` shows what became of it; do not repeat the \
                 command before that is known",
            );
        }
        _ => {}
    }
    if let Some(ReplayError::Code(CodeError::Download { source: DownloadError::Url(_), .. })) =
        error.downcast_ref()
    {
        return text.contains("private network").then_some(
            "--allow-private-urls fetches code from this machine and its networks, too",
        );
    }
    match chain_error(error)? {
        ChainError::Transport { url, source: TransportError::Http(_), .. }
            if is_here(&url.to_string()) =>
        {
            Some(
                "start a node with `outlayer dev`, which shows where it listens and which contract \
                 is on it; or name another network with --network",
            )
        }
        ChainError::Transport { .. } | ChainError::Busy { .. } => Some(
            "check the connection, or name another endpoint with --rpc-url; nothing is lost, and \
             a request that was sent is found again with `outlayer watch`",
        ),
        ChainError::WrongNetwork { .. } => Some("--network and --rpc-url must mean one network"),
        ChainError::UnknownBlock { .. } | ChainError::UnknownTransaction { .. } => Some(
            "check --network, name an archival endpoint with --rpc-url, and for a transaction \
                 its signer with --signer",
        ),
        ChainError::View { .. } => {
            Some("check --contract and --network: is an OutLayer contract deployed there?")
        }
        _ => None,
    }
}

/// Whether a URL leads to this machine.
fn is_here(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]", "0.0.0.0"].iter().any(|here| host.starts_with(here))
}

/// What to do about a refusal of the contract.
fn refused(code: RefusalCode) -> Option<&'static str> {
    Some(match code {
        RefusalCode::InsufficientDeposit => {
            "leave --deposit out to attach what `outlayer estimate` says"
        }
        RefusalCode::InsufficientGas => "attach more gas",
        RefusalCode::Paused => "the contract's owner has stopped new requests; ask again later",
        RefusalCode::InsufficientStake => "the contract's owner must send it NEAR",
        RefusalCode::FeeAboveMax => "raise --max-fee, or ask for less",
        RefusalCode::CodeNotPublished => "publish the code first, with `outlayer publish`",
        RefusalCode::CodeRetired => {
            "its publisher has withdrawn the code; adopt it with the method adopt_code"
        }
        RefusalCode::UnknownName | RefusalCode::MalformedName => {
            "a name is OWNER/NAME or OWNER/NAME@VERSION; `outlayer publish --name` gives one"
        }
        RefusalCode::NotRegistered | RefusalCode::RegistrationDeposit => {
            "pay for storage first, with `outlayer storage deposit`"
        }
        RefusalCode::BytesNotPaid => "pay for more bytes, with `outlayer storage deposit`",
        RefusalCode::WithdrawalTooLarge => "`outlayer storage balance` shows what is available",
        RefusalCode::LiveReaders | RefusalCode::KeyLocked => {
            "try again when your requests that may read the key are settled: `outlayer pending`"
        }
        RefusalCode::NotTheOwner => "sign with the owner's account, which `outlayer status` shows",
        RefusalCode::TooFewWorkers => {
            "ask for fewer --approvals or --spares, or have more workers registered"
        }
        RefusalCode::RequestTooSlow => {
            "ask for less --fuel or --gas, less memory, or declare fewer --max-module-bytes"
        }
        RefusalCode::UnknownRequest | RefusalCode::RequestSettled => {
            "`outlayer status ID` shows what is known of a request"
        }
        RefusalCode::AlreadyAnswered | RefusalCode::AlreadyCancelled => {
            "`outlayer watch ID` waits for its settlement"
        }
        RefusalCode::NotTheRequester | RefusalCode::NotCancellable => {
            "only the account that made the request may cancel it, if it allows that"
        }
        RefusalCode::UnknownSecret => "`outlayer secrets list --owner ACCOUNT` shows what there is",
        RefusalCode::SecretDenied => {
            "`outlayer secrets list --owner ACCOUNT` shows on which terms it is given; its owner \
             changes them with `outlayer secrets put`"
        }
        RefusalCode::NothingDue => "there is nothing to take out",
        _ => return None,
    })
}
