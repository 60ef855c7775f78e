//! The codes of refusals: every error has one, every code has an error, and the README lists them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use near_sdk::{Gas, NearToken};
use outlayer_protocol::{
    Bytes, Compute, Hash32, Limit, Meter, RefusalCode,
    agreement::AgreementError,
    code_name::MalformedName,
    machine::{Reason, Refusal},
    pricing::PricingError,
    response::ResponseError,
    secrets::SecretError,
    storage::StorageError,
    upload::UploadError,
    validation::RequestError,
};

use super::world::*;
use crate::{CodeError, ContractError, Lock, MoneyError, NameError, NamespaceError, Pot};

/// One error of every variant. A variant that is left out does not compile.
macro_rules! every {
    ($error:ident: $($variant:ident $fields:tt)+) => {{
        let _complete = |error: &$error| match error {
            $($error::$variant { .. } => (),)+
        };
        vec![$($error::$variant $fields),+]
    }};
}

fn storage_errors() -> Vec<StorageError> {
    every! { StorageError:
        KeyBytes { found: 0 }
        ValueBytes { found: 0 }
        Order { list: "journal", found: Bytes::default() }
        Reserved { found: Bytes::default() }
    }
}

fn secret_errors() -> Vec<SecretError> {
    every! { SecretError:
        Unknown {}
        Malformed (outlayer_codec::Error::TooShort)
        Code { found: Hash32::default(), expected: Hash32::default() }
        Caller { found: id("a.near") }
        Host { found: "a.example".to_owned() }
    }
}

fn response_errors() -> Vec<ResponseError> {
    let mut all = every! { ResponseError:
        Request { found: 1, expected: 2 }
        Meter { found: Meter::Gas, expected: Meter::Fuel }
        AboveLimit { which: Limit::Compute, found: 2, limit: 1 }
        Inconsistent { status: "trapped", what: "an output" }
        ReasonBytes { found: 300 }
        Storage (StorageError::KeyBytes { found: 0 })
    };
    all.pop();
    all.extend(storage_errors().into_iter().map(ResponseError::Storage));
    all
}

fn upload_errors() -> Vec<UploadError> {
    every! { UploadError:
        Total { found: 1, max: 2 }
        Offset { found: 1, expected: 0 }
        Length { found: 1, rest: 2 }
        Turn { worker_id: id("w.near"), until: 2, height: 1 }
    }
}

fn agreement_errors() -> Vec<AgreementError> {
    let (worker_id, digest, height) = (id("w.near"), Hash32::default(), 1);
    every! { AgreementError:
        NoSeat { worker_id: worker_id.clone() }
        NotYet { worker_id: worker_id.clone(), until: 2, height }
        PassedOn { worker_id: worker_id.clone(), since: 1, height }
        SeatTaken { worker_id: worker_id.clone(), by: worker_id.clone() }
        Round { found: 0, expected: 1 }
        CommitmentsClosed { until: 1, height }
        NotCommitted { worker_id: worker_id.clone(), round: 0 }
        TooEarlyToReveal { seats: 3, found: 2, from: 2, height }
        TooLateToReveal { until: 1, height }
        AlreadyRevealed { worker_id: worker_id.clone(), digest }
        WrongReveal { digest, found: digest, expected: digest }
    }
}

fn reasons() -> Vec<Reason> {
    let (worker_id, digest, key) = (id("w.near"), Hash32::default(), Bytes::from("k"));
    let samples = every! { Reason:
        Expired { deadline: 1, height: 2 }
        AlreadyStaged { digest, worker_id: worker_id.clone() }
        AlreadyCancelled {}
        Response (ResponseError::ReasonBytes { found: 300 })
        ReadConflict { key: key.clone() }
        KeyLocked { key }
        DigestDiffers { found: digest, expected: digest }
        TooFewReveals { digest, needed: 2, found: 1 }
        CommitmentNotNeeded {}
        ClaimNotNeeded {}
        NotARecipient { worker_id: worker_id.clone() }
        AlreadyClaimed {}
        ClaimsFull {}
        Agreement (AgreementError::Round { found: 1, expected: 0 })
        NotHopeless { approvals: 2, height: 1 }
        SharesOpen { until: 2, height: 1 }
        AlreadyDisputed {}
        Upload (UploadError::Offset { found: 1, expected: 0 })
        NotAmongTheAgreeing { worker_id: worker_id.clone(), digest }
        NotCancellable {}
        NotTheRequester { found: worker_id.clone(), requester: worker_id.clone(), payer: None }
        TooEarlyToSweep { from: 2, height: 1 }
    };
    let nested = |reason: &Reason| {
        matches!(reason, Reason::Response(_) | Reason::Upload(_) | Reason::Agreement(_))
    };
    let mut all: Vec<_> = samples.into_iter().filter(|reason| !nested(reason)).collect();
    all.extend(response_errors().into_iter().map(Reason::Response));
    all.extend(upload_errors().into_iter().map(Reason::Upload));
    all.extend(agreement_errors().into_iter().map(Reason::Agreement));
    all
}

fn request_errors() -> Vec<RequestError> {
    let found = || "x".to_owned();
    every! { RequestError:
        Agreement { found: 201, max: 200 }
        AboveBound { which: Limit::Compute, found: 2, max: 1 }
        Settlement { found: 2, max: 1 }
        Window {
            asked: Compute::Fuel(2),
            memory_bytes: 1,
            max_module_bytes: 1,
            most: Compute::Fuel(1),
        }
        Zero { which: Limit::Compute }
        UrlScheme { found: found() }
        VariableName { found: found() }
        ReservedVariable { found: found() }
        DuplicateVariable { found: found() }
        NulByte { found: found() }
        Hosts (outlayer_protocol::http::HostError::Count { found: 0 })
    }
}

fn code_errors() -> Vec<CodeError> {
    let (one, two) = (NearToken::from_near(1), NearToken::from_near(2));
    every! { CodeError:
        Unknown {}
        Published { publisher_id: id("p.near") }
        Size { found: 0 }
        Total { found: 1, expected: 2 }
        Offset { found: 1, expected: 2 }
        Part { found: 1, rest: 2 }
        Hash { found: Hash32::default() }
        Deposit { found: one, needed: two }
        NotThePublisher { found: id("a.near"), expected: id("p.near") }
        Retired {}
        InUse { until: 1, height: 0 }
    }
}

fn name_errors() -> Vec<NameError> {
    let name = || "a.near/x".to_owned();
    every! { NameError:
        Malformed (MalformedName { found: name() })
        Unknown { name: name(), versions: 0 }
        Retired { name: name() }
    }
}

fn namespace_errors() -> Vec<NamespaceError> {
    let (account_id, one, two) = (id("a.near"), NearToken::from_near(1), NearToken::from_near(2));
    let mut all = every! { NamespaceError:
        NotRegistered { account_id: account_id.clone() }
        Locked { key: "k".into(), by: Lock::Writer(1) }
        Unpaid { account_id: account_id.clone(), used_bytes: 2, paid_bytes: 1, deposit: one }
        Registration { found: one, needed: two }
        Withdrawal { found: two, available: one }
        NotEmpty { account_id, keys: 1 }
        LiveReaders { found: one, needed: two }
        Storage (StorageError::KeyBytes { found: 0 })
    };
    all.pop();
    all.extend(storage_errors().into_iter().map(NamespaceError::Storage));
    all
}

fn money_errors() -> Vec<MoneyError> {
    let (one, two) = (NearToken::from_near(1), NearToken::from_near(2));
    every! { MoneyError:
        Short { pot: Pot::Code, found: one, needed: two }
        Overflow { pot: Pot::Code, found: one, added: two }
    }
}

fn pricing_errors() -> Vec<PricingError> {
    let (one, two) = (NearToken::from_near(1), NearToken::from_near(2));
    every! { PricingError:
        Overflow { what: "fee" }
        AboveMaxFee { found: two, max: one }
    }
}

/// Every error of the contract, nested ones in all their variants.
fn errors() -> Vec<ContractError> {
    let (found, expected) = (id("a.near"), id("owner.near"));
    let (one, two) = (NearToken::from_near(1), NearToken::from_near(2));
    let hash = Hash32::default();
    let samples = every! { ContractError:
        Private { found: found.clone(), expected: expected.clone() }
        NotTheOwner { found: found.clone(), expected: expected.clone() }
        NotTheProposedOwner { found: found.clone(), expected: None }
        Paused {}
        Stake { found: one, needed: two }
        Config { what: "approvals", found: 0, least: 1, most: 16 }
        NoUpgrade {}
        UpgradeCode { found: hash, expected: hash }
        UpgradeTooEarly { height: 1, from_height: 2 }
        Layout { found: None }
        LiveRequests { found: 1 }
        NoMoreIds {}
        Request (RequestError::Zero { which: Limit::Compute })
        Pricing (PricingError::Overflow { what: "fee" })
        Deposit { found: one, needed: two, max_fee: one, storage_reserve: one }
        Gas { found: Gas::from_tgas(1), needed: Gas::from_tgas(2) }
        DataId { found: 31 }
        UnknownRequest { request_id: 7, next: 7 }
        Settled { request_id: 7 }
        Refusal (Refusal { request_id: 7, reason: Reason::AlreadyCancelled })
        YieldGone { request_id: 7 }
        Body { request_id: 7, reason: "too short".to_owned() }
        ResultNotKept { request_id: 7 }
        ResultStillKept { request_id: 7, height: 1, until: 2 }
        NotAWorker { found: found.clone() }
        Suspended { found: found.clone() }
        TooFewWorkers { found: 2, needed: 3 }
        TooFewRecipients { found: 2, needed: 3 }
        Secret { owner_id: found.clone(), name: "KEY".to_owned(), error: SecretError::Unknown }
        Salt { found: 3 }
        Metadata { found: 1_025, max: 1_024 }
        OneYocto { found: two }
        RefundToContract { found: found.clone() }
        NothingDue { account_id: found.clone() }
        Code { hash, error: CodeError::Unknown }
        Name (NameError::Retired { name: "a.near/x".to_owned() })
        Namespace (NamespaceError::NotEmpty { account_id: found.clone(), keys: 1 })
        Money (MoneyError::Short { pot: Pot::Code, found: one, needed: two })
    };
    let nested = |error: &ContractError| {
        matches!(
            error,
            ContractError::Request(_)
                | ContractError::Pricing(_)
                | ContractError::Refusal(_)
                | ContractError::Code { .. }
                | ContractError::Secret { .. }
                | ContractError::Name(_)
                | ContractError::Namespace(_)
                | ContractError::Money(_)
        )
    };
    let mut all: Vec<_> = samples.into_iter().filter(|error| !nested(error)).collect();
    all.extend(request_errors().into_iter().map(ContractError::Request));
    all.extend(reasons().into_iter().map(|reason| refusal(7, reason)));
    all.extend(code_errors().into_iter().map(|error| ContractError::Code { hash, error }));
    all.extend(name_errors().into_iter().map(ContractError::Name));
    all.extend(secret_errors().into_iter().map(|error| ContractError::Secret {
        owner_id: id("a.near"),
        name: "KEY".to_owned(),
        error,
    }));
    all.extend(namespace_errors().into_iter().map(ContractError::Namespace));
    all.extend(pricing_errors().into_iter().map(ContractError::Pricing));
    all.extend(money_errors().into_iter().map(ContractError::Money));
    all
}

/// Codes that two errors share because they mean the same: what is wrong with a storage key or
/// value, and that a key is locked, does not depend on whether a worker or the owner of the
/// namespace names it.
const SHARED: [RefusalCode; 8] = [
    RefusalCode::TooFewWorkers,
    RefusalCode::UnknownSecret,
    RefusalCode::StorageKeyReserved,
    RefusalCode::RequestTooSlow,
    RefusalCode::KeyLocked,
    RefusalCode::StorageKeyBytes,
    RefusalCode::StorageValueBytes,
    RefusalCode::StorageKeyOrder,
];

#[test]
fn every_code_is_that_of_one_error_or_of_some_that_mean_the_same() {
    let mut errors_of: BTreeMap<RefusalCode, Vec<ContractError>> = BTreeMap::new();
    for error in errors() {
        errors_of.entry(error.code()).or_default().push(error);
    }
    let codes: BTreeSet<_> = errors_of.keys().copied().collect();
    let expected: BTreeSet<_> = RefusalCode::ALL.iter().copied().collect();
    assert_eq!(codes, expected, "every code has an error");
    for (code, errors) in errors_of {
        let expected = match code {
            // Code, caller and hosts: the owner does not let this request have it.
            RefusalCode::SecretDenied => 3,
            code if SHARED.contains(&code) => 2,
            _ => 1,
        };
        assert_eq!(errors.len(), expected, "{code}: {errors:?}");
    }
}

#[test]
fn a_panic_starts_with_the_code_and_goes_on_with_the_error() {
    for error in errors() {
        let text = error.panic_text();
        assert_eq!(text, format!("[{}] {error}", error.code()));
        assert_eq!(RefusalCode::find(&text), Some(error.code()));
    }
}

/// When this fails, `UPDATE_SNAPSHOTS=1 cargo test --workspace --lib -- refusal_codes` writes the
/// table anew.
#[test]
fn the_readme_has_the_table_of_codes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&file).unwrap();
    let start = readme.find("| code | meaning |").unwrap();
    let end = readme[start..].find("\n\n").map_or(readme.len(), |length| start + length);
    let mut expected = "| code | meaning |\n|---|---|".to_owned();
    for code in RefusalCode::ALL {
        expected += &format!("\n| `{code}` | {} |", code.meaning());
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let updated = [&readme[..start], &expected, &readme[end..]].concat();
        std::fs::write(&file, updated).unwrap();
        return;
    }
    assert_eq!(&readme[start..end], expected);
}
