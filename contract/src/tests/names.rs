//! Names of code and their versions.

use near_sdk::NearToken;
use outlayer_protocol::{
    CodeRef, CodeSource, ExecutionRequest, Hash32, Limit, RequestId,
    code_name::{MAX_NAME_BYTES, MAX_NAMED_URL_BYTES, MalformedName},
    events::{CodeRetired, Event},
    validation::RequestError,
    views::{NamedCodeView, RecentCodeView},
};

use super::world::*;
use crate::{CodeError, ContractError, NameError};

const OWNER: &str = "alice.near";
const NEAR: NearToken = NearToken::from_near(1);
const NOTHING: NearToken = NearToken::ZERO;

/// Code at a URL whose text is the code's too.
fn code(text: &str) -> CodeRef {
    let url = Some(format!("https://code.example/{text}"));
    CodeRef { hash: Hash32::of(text.as_bytes()), url }
}

fn name(world: &mut World, by: &str, name: &str, code: CodeRef) -> Result<u32, ContractError> {
    let result = world.call(by, NEAR, |c| c.name_code(name.to_owned(), code));
    world.deliver_transfers();
    world.audit();
    result
}

fn retire(world: &mut World, by: &str, name: &str, version: u32) -> Result<(), ContractError> {
    let before = world.purse(&id(by));
    let result = world.call(by, yocto(1), |c| c.retire_named_code(name.to_owned(), version));
    world.deliver_transfers();
    world.audit();
    assert_eq!(world.purse(&id(by)), before, "the yoctoNEAR comes back");
    result
}

fn asking_for(name: &str) -> ExecutionRequest {
    ExecutionRequest::new(CodeSource::Named { name: name.to_owned() }, "input")
}

fn ask(world: &mut World, name: &str) -> RequestId {
    let request_id = world.request("dapp.near", &asking_for(name));
    world.audit();
    request_id
}

fn refusal(world: &mut World, name: &str) -> ContractError {
    let request = asking_for(name);
    let estimate = world.view(|c| c.estimate_cost(request.clone())).unwrap_err();
    let error = world.call("dapp.near", NEAR, |c| c.accept(&request)).unwrap_err();
    assert_eq!(error, estimate);
    error
}

fn shown(world: &mut World, name: &str) -> Option<NamedCodeView> {
    world.view(|c| c.get_named_code(name.to_owned())).unwrap()
}

/// The code and the full name of a live request.
fn pinned(world: &mut World, request_id: RequestId) -> (CodeRef, Option<String>) {
    let live = world.live(request_id);
    (live.code, live.code_name)
}

fn full(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn unknown(name: &str, versions: u32) -> ContractError {
    NameError::Unknown { name: name.to_owned(), versions }.into()
}

fn retired(name: &str) -> ContractError {
    NameError::Retired { name: name.to_owned() }.into()
}

#[test]
fn a_request_gets_the_version_it_names_or_the_latest_at_that_moment() {
    let mut world = World::new();
    assert_eq!(name(&mut world, OWNER, "median", code("one")), Ok(1));
    let first = ask(&mut world, "alice.near/median");
    assert_eq!(pinned(&mut world, first), (code("one"), full("alice.near/median@1")));

    assert_eq!(name(&mut world, OWNER, "median", code("two")), Ok(2));
    let latest = ask(&mut world, "alice.near/median");
    let older = ask(&mut world, "alice.near/median@1");
    assert_eq!(pinned(&mut world, latest), (code("two"), full("alice.near/median@2")));
    assert_eq!(pinned(&mut world, older), (code("one"), full("alice.near/median@1")));
    assert_eq!(pinned(&mut world, first).0, code("one"), "what is pinned stays");

    let requested = world.events.iter().filter_map(|event| match event {
        Event::ExecutionRequested(one) => Some((one.code.clone(), one.code_name.clone())),
        _ => None,
    });
    let expected = [("one", 1), ("two", 2), ("one", 1)];
    let expected = expected.map(|(text, n)| (code(text), full(&format!("alice.near/median@{n}"))));
    assert_eq!(requested.collect::<Vec<_>>(), expected);
    for request_id in [first, latest, older] {
        world.call("dapp.near", NOTHING, |c| c.cancel_execution(request_id)).unwrap();
        world.settle(request_id);
        world.audit();
    }
}

#[test]
fn a_new_version_does_not_change_what_a_request_must_attach() {
    let mut world = World::new();
    let cost = |world: &mut World, request: &ExecutionRequest| {
        let cost = world.view(|c| c.estimate_cost(request.clone())).unwrap();
        (cost.total, world.view(|c| c.estimate_gas(request.clone())))
    };
    let request = asking_for("alice.near/median");
    name(&mut world, OWNER, "median", CodeRef { url: Some("http://x".to_owned()), ..code("one") })
        .unwrap();
    let short = cost(&mut world, &request);
    let url = format!("https://{}", "u".repeat(MAX_NAMED_URL_BYTES as usize - 8));
    name(&mut world, OWNER, "median", CodeRef { url: Some(url), ..code("two") }).unwrap();
    assert_eq!(cost(&mut world, &request), short);
    assert_eq!(cost(&mut world, &asking_for("alice.near/median@1")), short);
}

#[test]
fn the_longest_name_and_url_fit_into_the_reserve() {
    let mut world = World::new();
    let owner = "o".repeat(64);
    let longest = "n".repeat(MAX_NAME_BYTES);
    let url = Some(format!("https://{}", "u".repeat(MAX_NAMED_URL_BYTES as usize - 8)));
    name(&mut world, &owner, &longest, CodeRef { url, ..code("one") }).unwrap();
    // The audit compares the bytes of the request with its reserve.
    let request_id = ask(&mut world, &format!("{owner}/{longest}"));
    assert_eq!(pinned(&mut world, request_id).1, full(&format!("{owner}/{longest}@1")));
}

#[test]
fn what_is_shown_and_listed_is_what_was_named() {
    let mut world = World::new();
    for (by, one, text) in [
        (OWNER, "median", "one"),
        (OWNER, "mean", "other"),
        ("bob.near", "median", "theirs"),
        (OWNER, "median", "two"),
        (OWNER, "median", "one"),
    ] {
        name(&mut world, by, one, code(text)).unwrap();
    }
    retire(&mut world, OWNER, "median", 3).unwrap();
    let view = |name: &str, text: &str, retired| {
        let CodeRef { hash, url } = code(text);
        NamedCodeView { name: name.to_owned(), hash, url, retired }
    };
    let versions = [
        view("alice.near/median@1", "one", false),
        view("alice.near/median@2", "two", false),
        view("alice.near/median@3", "one", true),
    ];
    assert_eq!(shown(&mut world, "alice.near/median").as_ref(), Some(&versions[1]));
    assert_eq!(shown(&mut world, "alice.near/median@3").as_ref(), Some(&versions[2]));
    assert_eq!(shown(&mut world, "alice.near/median@4"), None);
    assert_eq!(shown(&mut world, "carol.near/median"), None);
    let page = |world: &mut World, of: &str, from, limit| {
        world.view(|c| c.list_named_code(of.to_owned(), from, limit))
    };
    assert_eq!(page(&mut world, "alice.near/median", 0, 100).unwrap(), versions);
    assert_eq!(page(&mut world, "alice.near/median", 1, 1).unwrap(), versions[1..2]);
    for from in [3, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(page(&mut world, "alice.near/median", from, u64::MAX).unwrap(), []);
    }
    let names = [versions[1].clone(), view("alice.near/mean@1", "other", false)];
    assert_eq!(page(&mut world, OWNER, 0, 100).unwrap(), names);
    assert_eq!(page(&mut world, OWNER, 1, 1).unwrap(), names[1..]);
    assert_eq!(page(&mut world, "carol.near", 0, 100).unwrap(), []);
    let malformed = NameError::from(MalformedName { found: "No name".to_owned() });
    assert_eq!(page(&mut world, "No name", 0, 100), Err(malformed.into()));

    let named: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::CodeNamed(view) => Some(view.name.as_str()),
            _ => None,
        })
        .collect();
    let expected =
        ["median@1", "mean@1", "median@2", "median@3"].map(|n| format!("alice.near/{n}"));
    assert_eq!(named.iter().filter(|name| name.starts_with("alice")).count(), 4);
    assert!(expected.iter().all(|name| named.contains(&name.as_str())), "{named:?}");
    let event = CodeRetired { hash: code("one").hash, name: full("alice.near/median@3") };
    assert_eq!(world.events.last(), Some(&Event::CodeRetired(event)));
}

#[test]
fn a_retired_version_gets_no_new_requests_and_the_latest_is_the_newest_other() {
    let mut world = World::new();
    let latest = |world: &mut World| {
        let listed = world.view(|c| c.list_named_code(OWNER.to_owned(), 0, 1)).unwrap();
        let latest = shown(world, "alice.near/median");
        assert_eq!(latest.as_ref(), listed.first().filter(|newest| !newest.retired));
        let version = |view: NamedCodeView| view.name.rsplit_once('@').unwrap().1.parse().ok();
        latest.and_then(version)
    };
    for n in 1..=5 {
        assert_eq!(name(&mut world, OWNER, "median", code(&n.to_string())), Ok(n));
    }
    let live = ask(&mut world, "alice.near/median@3");
    // From the middle, from the end, the first, and then the rest.
    for (version, expected) in [(3, Some(5)), (2, Some(5)), (5, Some(4)), (1, Some(4)), (4, None)] {
        retire(&mut world, OWNER, "median", version).unwrap();
        assert_eq!(latest(&mut world), expected, "{version} is retired");
        let named = format!("alice.near/median@{version}");
        assert_eq!(refusal(&mut world, &named), retired(&named));
        assert_eq!(retire(&mut world, OWNER, "median", version), Err(retired(&named)));
    }
    assert_eq!(refusal(&mut world, "alice.near/median"), retired("alice.near/median"));
    assert_eq!(pinned(&mut world, live).0, code("3"), "a live request goes on");

    assert_eq!(name(&mut world, OWNER, "median", code("3")), Ok(6), "numbers are not used again");
    assert_eq!(latest(&mut world), Some(6));
    retire(&mut world, OWNER, "median", 6).unwrap();
    assert_eq!(latest(&mut world), None);
    let listed = world.view(|c| c.list_named_code(OWNER.to_owned(), 0, 1)).unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].retired), ("alice.near/median@6", true));
}

#[test]
fn only_its_owner_touches_a_name() {
    let mut world = World::new();
    name(&mut world, OWNER, "median", code("one")).unwrap();
    assert_eq!(retire(&mut world, "bob.near", "median", 1), Err(unknown("bob.near/median@1", 0)));
    assert_eq!(name(&mut world, "bob.near", "median", code("theirs")), Ok(1));
    assert_eq!(shown(&mut world, "alice.near/median@1").unwrap().hash, code("one").hash);
    for version in [0, 2, u32::MAX] {
        let error = unknown(&format!("alice.near/median@{version}"), 1);
        assert_eq!(retire(&mut world, OWNER, "median", version), Err(error));
    }
    let call = |c: &mut crate::Contract| c.retire_named_code("median".to_owned(), 1);
    assert_eq!(world.call(OWNER, NOTHING, call), Err(ContractError::OneYocto { found: NOTHING }));
}

#[test]
fn what_is_no_name_is_refused_by_every_method() {
    let mut world = World::new();
    let malformed = |found: &str| NameError::from(MalformedName { found: found.to_owned() }).into();
    let long = "n".repeat(MAX_NAME_BYTES + 1);
    for found in ["", "Median", "a/b", "a@1", "é", &long] {
        assert_eq!(name(&mut world, OWNER, found, code("one")), Err(malformed(found)));
    }
    for found in ["median", "alice.near/median@0", "alice.near/Median", "a b/c"] {
        assert_eq!(refusal(&mut world, found), malformed(found));
        assert_eq!(world.view(|c| c.get_named_code(found.to_owned())), Err(malformed(found)));
    }
    assert_eq!(refusal(&mut world, "alice.near/median"), unknown("alice.near/median", 0));
    name(&mut world, OWNER, "median", code("one")).unwrap();
    assert_eq!(refusal(&mut world, "alice.near/median@2"), unknown("alice.near/median@2", 1));
}

#[test]
fn a_version_is_paid_for_and_its_code_can_be_fetched() {
    let mut world = World::new();
    let attempt = |world: &mut World, deposit, code: CodeRef| {
        world.call(OWNER, deposit, |c| c.name_code("median".to_owned(), code))
    };
    let error = attempt(&mut world, NOTHING, code("one")).unwrap_err();
    let ContractError::Code { error: CodeError::Deposit { found: NOTHING, needed }, .. } = error
    else {
        panic!("{error}")
    };
    attempt(&mut world, needed.saturating_sub(yocto(1)), code("one")).unwrap_err();
    attempt(&mut world, needed, code("one")).unwrap();
    assert!(world.transfers.is_empty());
    world.audit();

    let at = |url: String| CodeRef { url: Some(url), ..code("one") };
    let scheme = RequestError::UrlScheme { found: "ftp://x".to_owned() };
    assert_eq!(attempt(&mut world, NEAR, at("ftp://x".to_owned())), Err(scheme.into()));
    let (which, max) = (Limit::UrlBytes, u64::from(MAX_NAMED_URL_BYTES));
    let url = format!("https://{}", "u".repeat(MAX_NAMED_URL_BYTES as usize - 7));
    let long = RequestError::AboveBound { which, found: max + 1, max };
    assert_eq!(attempt(&mut world, NEAR, at(url)), Err(long.into()));
    let hash = Hash32::of(b"nobody has it");
    let unpublished = ContractError::Code { hash, error: CodeError::Unknown };
    assert_eq!(attempt(&mut world, NEAR, CodeRef { hash, url: None }), Err(unpublished));
    world.audit();
}

#[test]
fn published_code_behind_a_version_may_be_retired_deleted_and_come_back() {
    let mut world = World::new();
    let bytes = b"published".to_vec();
    let hash = Hash32::of(&bytes);
    let publish = |world: &mut World| {
        world.call("publisher.near", NEAR, |c| c.publish_code(hash, 9, 0, bytes.clone())).unwrap();
        world.deliver_transfers();
    };
    publish(&mut world);
    let published = CodeRef { hash, url: None };
    name(&mut world, OWNER, "median", published.clone()).unwrap();
    let live = ask(&mut world, "alice.near/median");
    assert_eq!(pinned(&mut world, live), (published.clone(), full("alice.near/median@1")));

    let refused = |error| ContractError::Code { hash, error };
    let accept = |world: &mut World| {
        let request = asking_for("alice.near/median@1");
        world.call("dapp.near", NEAR, |c| c.accept(&request)).unwrap_err()
    };
    let until = world.contract().live_until;
    let in_use = refused(CodeError::InUse { until, height: world.height });
    let delete = |world: &mut World| world.call("publisher.near", NOTHING, |c| c.delete_code(hash));
    assert_eq!(delete(&mut world), Err(in_use));
    world.call("publisher.near", NEAR, |c| c.retire_code(hash)).unwrap();
    assert_eq!(accept(&mut world), refused(CodeError::Retired));
    assert_eq!(name(&mut world, OWNER, "median", published), Err(refused(CodeError::Retired)));
    world.height += 201;
    world.settle(live);
    delete(&mut world).unwrap();
    world.deliver_transfers();
    world.audit();
    assert_eq!(accept(&mut world), refused(CodeError::Unknown));
    assert_eq!(world.purse(&id("publisher.near")), PURSE);

    // Whoever publishes the bytes again brings the version back.
    publish(&mut world);
    ask(&mut world, "alice.near/median");
}

/// Those that workers compile beforehand.
#[test]
fn the_code_that_was_published_or_named_last_is_listed_and_the_oldest_makes_room() {
    let mut world = World::new();
    let recent = |world: &mut World, from| world.view(|c| c.recent_code(from));
    assert_eq!(recent(&mut world, 0), RecentCodeView { next: 0, code: vec![] });
    let module = vec![7; 100];
    let hash = Hash32::of(&module);
    world.call(OWNER, NEAR, |c| c.publish_code(hash, 100, 0, module)).unwrap();
    name(&mut world, OWNER, "median", code("one")).unwrap();
    let published = CodeRef { hash, url: None };
    let both = RecentCodeView { next: 2, code: vec![published, code("one")] };
    assert_eq!(recent(&mut world, 0), both);
    assert_eq!(recent(&mut world, 1).code, [code("one")]);
    assert_eq!(recent(&mut world, u64::MAX), RecentCodeView { next: 2, code: vec![] });

    for number in 0..31 {
        name(&mut world, OWNER, "mean", code(&number.to_string())).unwrap();
    }
    let found = recent(&mut world, 0);
    assert_eq!((found.next, found.code.len()), (33, 32));
    assert_eq!(found.code[..2], [code("one"), code("0")]);
    assert_eq!(found.code[31], code("30"));
}
