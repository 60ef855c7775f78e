//! Requests with secrets: who may have them, who may answer, and what stays pinned.

use near_sdk::NearToken;
use outlayer_protocol::{
    AccountId, ExecutionRequest, Hash32, HttpAccess, SecretRef,
    machine::Reason,
    response::ResponseError,
    secrets::{LiveSecrets, SecretEntry, SecretError, SecretPin, SecretTerms, entry_key},
    storage::StorageError,
};

use super::world::*;
use crate::ContractError;

const OWNER_OF_KEY: &str = "keys.near";

fn ids(names: &[&str]) -> Vec<AccountId> {
    names.iter().map(|name| id(name)).collect()
}

fn terms(recipients: &[&str]) -> SecretTerms {
    SecretTerms {
        version: 1,
        commitment: Hash32::of(b"commitment"),
        code_hash: Hash32::of(b"code"),
        access: ids(&["dapp.near"]),
        hosts: vec!["api.example.com".to_owned()],
        recipients: ids(recipients),
    }
}

/// Stores an entry for `API_KEY`. What is sealed does not matter to the contract.
fn put(world: &mut World, terms: &SecretTerms) {
    let sealed = vec![vec![1; 90].into(); terms.recipients.len()];
    let entry = SecretEntry { terms: terms.clone(), sealed }.encode();
    let key = entry_key("API_KEY").into();
    world
        .call(OWNER_OF_KEY, NearToken::from_near(1), |c| c.storage_set(key, entry.into()))
        .unwrap();
}

/// A world with workers `w0.near` to `w3.near`, and a secret for the first three.
fn world() -> World {
    let mut world = World::new();
    world.register(&["w0.near", "w1.near", "w2.near", "w3.near"]);
    put(&mut world, &terms(&["w0.near", "w1.near", "w2.near"]));
    world
}

fn asking(approvals: u8) -> ExecutionRequest {
    let mut request = request("input");
    request.approvals = approvals;
    request.secrets =
        vec![SecretRef { owner_id: Some(id(OWNER_OF_KEY)), name: "API_KEY".to_owned() }];
    request
}

fn refused(world: &mut World, by: &str, request: &ExecutionRequest) -> ContractError {
    let total = world.cost(by, request).total;
    world.call(by, total, |c| c.accept(request)).unwrap_err()
}

fn denied(world: &mut World, by: &str, request: &ExecutionRequest) -> SecretError {
    match refused(world, by, request) {
        ContractError::Secret { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_pins_version_and_commitment_and_only_recipients_answer() {
    let mut world = world();
    world.request("dapp.near", &asking(1));
    let pinned = LiveSecrets {
        pins: vec![SecretPin {
            owner_id: id(OWNER_OF_KEY),
            name: "API_KEY".to_owned(),
            version: 1,
            commitment: Hash32::of(b"commitment"),
        }],
        recipients: ids(&["w0.near", "w1.near", "w2.near"]),
    };
    assert_eq!(world.live(0).secrets, Some(pinned));
    assert_eq!(world.view(|c| c.list_pending(0, 9)).entries[0].recipients.len(), 3);
    // Changing and removing the entry does nothing to a request that was taken.
    put(&mut world, &SecretTerms { version: 2, ..terms(&["w3.near"]) });
    world
        .call(OWNER_OF_KEY, NearToken::ZERO, |c| c.storage_remove(entry_key("API_KEY").into()))
        .unwrap();
    assert_eq!(denied(&mut world, "dapp.near", &asking(1)), SecretError::Unknown);
    let body = answer(0, "output");
    let outsider = reason(world.resolve("w3.near", &body));
    assert_eq!(outsider, Reason::NotARecipient { worker_id: id("w3.near") });
    let digest = world.digest(&body);
    let in_parts = world.send("w3.near", digest, &body, 0..10);
    assert!(matches!(reason(in_parts), Reason::NotARecipient { .. }));
    world.audit();
    world.resolve("w1.near", &body).unwrap();
    assert_eq!(world.settle(0).outcome.name(), "completed");
    world.audit();
}

#[test]
fn the_digest_binds_the_commitments() {
    let mut world = world();
    world.request("dapp.near", &asking(1));
    let of_one = world.digest(&answer(0, "output"));
    let mut live = world.live(0);
    live.secrets.as_mut().unwrap().pins[0].commitment = Hash32::of(b"other");
    let record = outlayer_protocol::ExecutionRecord::new(&live, &answer(0, "output"));
    assert_ne!(record.digest(), of_one);
}

#[test]
fn seats_are_drawn_among_the_recipients_that_are_active() {
    let mut world = world();
    world.request("dapp.near", &asking(2));
    let mut drawn = world.live(0).agreement.unwrap().drawn;
    drawn.sort_unstable();
    assert_eq!(drawn, ids(&["w0.near", "w1.near", "w2.near"]));
    let truth = answer(0, "truth");
    world.agree(&truth);
    let holder = world.live(0).agreement.unwrap().drawn[0].clone();
    world.resolve(holder.as_str(), &truth).unwrap();
    assert_eq!(world.settle(0).outcome.name(), "completed");
    world.audit();
    // Three are needed, and of the three one is suspended.
    world.owner(|c| c.suspend_worker(id("w0.near"), true));
    let few = ContractError::TooFewRecipients { found: 2, needed: 3 };
    assert_eq!(refused(&mut world, "dapp.near", &asking(2)), few);
    world.request("dapp.near", &asking(1));
    assert_eq!(world.live(1).secrets.unwrap().recipients, ids(&["w1.near", "w2.near"]));
    // A worker that is listed twice has one seat.
    put(&mut world, &terms(&["w1.near", "w1.near", "w2.near", "w9.near"]));
    assert_eq!(refused(&mut world, "dapp.near", &asking(2)), few);
}

#[test]
fn a_worker_that_sees_another_value_loses_nothing() {
    let mut world = world();
    world.request("dapp.near", &asking(2));
    let holders = world.live(0).agreement.unwrap().drawn;
    let (truth, other) = (answer(0, "truth"), answer(0, "other"));
    let (digest, differs) = (world.digest(&truth), world.digest(&other));
    let votes = [digest, digest, differs];
    for (holder, digest) in holders.iter().zip(votes) {
        world.commit(holder.as_str(), 0, digest).unwrap();
    }
    for (holder, digest) in holders.iter().zip(votes) {
        world.reveal(holder.as_str(), 0, digest).unwrap();
    }
    world.resolve(holders[0].as_str(), &truth).unwrap();
    assert_eq!(world.settle(0).outcome.name(), "completed");
    let lost = |world: &mut World, worker: &AccountId| {
        world.view(|c| c.get_worker(worker.clone())).unwrap().lost
    };
    assert_eq!(holders.iter().map(|worker| lost(&mut world, worker)).sum::<u64>(), 0);
    world.audit();
}

#[test]
fn other_code_callers_and_hosts_are_denied() {
    let mut world = world();
    let caller = SecretError::Caller { found: id("mallory.near") };
    assert_eq!(denied(&mut world, "mallory.near", &asking(1)), caller);
    let mut reaching = asking(1);
    reaching.http = Some(HttpAccess::to(vec!["api.example.com".to_owned()]));
    world.request("dapp.near", &reaching);
    reaching.http =
        Some(HttpAccess::to(vec!["api.example.com".to_owned(), "evil.example".to_owned()]));
    let host = SecretError::Host { found: "evil.example".to_owned() };
    assert_eq!(denied(&mut world, "dapp.near", &reaching), host);
    put(&mut world, &SecretTerms { code_hash: Hash32::of(b"other"), ..terms(&["w0.near"]) });
    assert!(matches!(denied(&mut world, "dapp.near", &asking(1)), SecretError::Code { .. }));
    let junk = entry_key("API_KEY").into();
    world.call(OWNER_OF_KEY, NearToken::ZERO, |c| c.storage_set(junk, "junk".into())).unwrap();
    assert!(matches!(denied(&mut world, "dapp.near", &asking(1)), SecretError::Malformed(_)));
    // Without an owner it is the caller's own.
    let mut own = asking(1);
    own.secrets[0].owner_id = None;
    assert_eq!(denied(&mut world, "dapp.near", &own), SecretError::Unknown);
    world.audit();
}

#[test]
fn two_secrets_reach_only_workers_that_have_both() {
    let mut world = world();
    let other = SecretEntry { terms: terms(&["w3.near", "w2.near"]), sealed: Vec::new() };
    let key = entry_key("OTHER").into();
    world
        .call("dapp.near", NearToken::from_near(1), |c| c.storage_set(key, other.encode().into()))
        .unwrap();
    let mut both = asking(1);
    both.secrets.push(SecretRef { owner_id: None, name: "OTHER".to_owned() });
    world.request("dapp.near", &both);
    let secrets = world.live(0).secrets.unwrap();
    assert_eq!(secrets.recipients, ids(&["w2.near"]));
    assert_eq!(secrets.pins[1].owner_id, id("dapp.near"));
    world.audit();
}

#[test]
fn no_guest_writes_the_entry_of_a_secret() {
    let mut world = world();
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    world.request("dapp.near", &request("input"));
    let mut body = answer(0, "output");
    let key = outlayer_protocol::Bytes::from(entry_key("API_KEY"));
    body.journal = vec![outlayer_protocol::JournalEntry { key: key.clone(), value: None }];
    let refused = reason(world.resolve("w0.near", &body));
    let reserved = StorageError::Reserved { found: key };
    assert_eq!(refused, Reason::Response(ResponseError::Storage(reserved)));
}

#[test]
fn an_entry_changes_for_nothing_while_requests_live_that_read_storage() {
    let mut world = world();
    world.deposit_storage("dapp.near", NearToken::from_near(1));
    world.request("dapp.near", &request("input"));
    assert!(world.view(|c| c.get_change_fee(id("dapp.near"))) > NearToken::ZERO);
    let key = || outlayer_protocol::Bytes::from(entry_key("API_KEY"));
    world.call("dapp.near", NearToken::ZERO, |c| c.storage_set(key(), "entry".into())).unwrap();
    assert!(world.call("dapp.near", NearToken::ZERO, |c| c.storage_remove(key())).unwrap());
    let both = vec![(key(), "entry".into()), ("key".into(), "value".into())];
    let refused = world.call("dapp.near", NearToken::ZERO, |c| c.storage_set_many(both));
    assert!(matches!(
        refused,
        Err(ContractError::Namespace(crate::NamespaceError::LiveReaders { .. }))
    ));
    world.audit();
}

#[test]
fn no_guest_reads_the_entry_of_a_secret() {
    let mut world = world();
    world.request("dapp.near", &request("input"));
    let mut body = answer(0, "output");
    let key = outlayer_protocol::Bytes::from(entry_key("API_KEY"));
    body.reads = vec![outlayer_protocol::ReadEntry { key: key.clone(), value_hash: None }];
    let reserved = StorageError::Reserved { found: key };
    let refused = reason(world.resolve("w0.near", &body));
    assert_eq!(refused, Reason::Response(ResponseError::Storage(reserved)));
}
