//! Published code.

use near_sdk::NearToken;
use outlayer_protocol::{
    Bytes, Hash32,
    events::{CodePublished, CodeRetired, Event},
    request::CodeRef,
    views::CodeInfoView,
};

use super::world::*;
use crate::{CodeError, ContractError, bounds::MIN_CODE_PART_BYTES};

const P: &str = "publisher.near";
const NEAR: NearToken = NearToken::from_near(1);

fn module(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

/// What the list of recent code takes after so many publications: the count, and entries with a
/// place and a hash.
fn recent_bytes(publications: u64) -> u64 {
    (40 + 1 + 8) + publications * (40 + 2 + 1 + 32)
}

fn publish(
    world: &mut World,
    by: &str,
    code: &[u8],
    from: usize,
    to: usize,
) -> Result<(), CodeError> {
    let (hash, total) = (Hash32::of(code), u32::try_from(code.len()).unwrap());
    let (offset, part) = (u32::try_from(from).unwrap(), code[from..to].to_vec());
    let result = world.call(by, NEAR, |c| c.publish_code(hash, total, offset, part));
    world.deliver_transfers();
    world.audit();
    result.map_err(|error| match error {
        ContractError::Code { error, .. } => error,
        other => panic!("{other}"),
    })
}

#[test]
fn a_module_comes_in_parts_is_read_in_ranges_and_its_deposit_comes_back() {
    let mut world = World::new();
    let empty = world.usage;
    let code = module(50_000);
    let hash = Hash32::of(&code);
    let info =
        |world: &mut World, by: Option<&str>| world.view(|c| c.get_code_info(hash, by.map(id)));
    publish(&mut world, P, &code, 0, 20_000).unwrap();
    assert_eq!((info(&mut world, None), world.view(|c| c.get_code(hash, 0, 10))), (None, None));
    let published_bytes = 20_000;
    let partial = CodeInfoView {
        hash,
        publisher_id: id(P),
        total_bytes: 50_000,
        published_bytes,
        retired: false,
    };
    assert_eq!(info(&mut world, Some(P)), Some(partial.clone()));
    publish(&mut world, P, &code, 20_000, 40_000).unwrap();
    publish(&mut world, P, &code, 40_000, 50_000).unwrap();
    assert_eq!(info(&mut world, None), Some(CodeInfoView { published_bytes: 50_000, ..partial }));
    for (offset, limit) in
        [(0, 50_000), (0, u32::MAX), (19_999, 2), (20_000, 20_000), (39_000, 5_000), (49_999, 9)]
    {
        let end = code.len().min((offset as usize).saturating_add(limit as usize));
        let expected = Bytes::from(&code[offset as usize..end]);
        assert_eq!(
            world.view(|c| c.get_code(hash, offset, limit)),
            Some(expected),
            "{offset} {limit}"
        );
    }
    assert_eq!(world.view(|c| c.get_code(hash, 50_000, 9)), Some(Bytes::default()));
    assert_eq!(world.view(|c| c.get_code(hash, u32::MAX, u32::MAX)), Some(Bytes::default()));
    assert!(
        PURSE.saturating_sub(world.purse(&id(P))) > NearToken::from_millinear(500),
        "it pays for the bytes"
    );

    world.call(P, NearToken::ZERO, |c| c.delete_code(hash)).unwrap();
    world.deliver_transfers();
    world.audit();
    assert_eq!((world.usage - recent_bytes(1), world.purse(&id(P))), (empty, PURSE));
}

#[test]
fn parts_out_of_order_or_size_are_refused() {
    let mut world = World::new();
    let code = module(60_000);
    let hash = Hash32::of(&code);
    let offset = CodeError::Offset { found: 20_000, expected: 0 };
    assert_eq!(publish(&mut world, P, &code, 20_000, 40_000), Err(offset));
    let small = MIN_CODE_PART_BYTES as usize - 1;
    let error = CodeError::Part { found: small, rest: 60_000 };
    assert_eq!(publish(&mut world, P, &code, 0, small), Err(error));
    publish(&mut world, P, &code, 0, 30_000).unwrap();
    let error = CodeError::Offset { found: 0, expected: 30_000 };
    assert_eq!(publish(&mut world, P, &code, 0, 30_000), Err(error));
    let total =
        world.call(P, NEAR, |c| c.publish_code(hash, 60_001, 30_000, vec![0; 30_001])).unwrap_err();
    assert_eq!(
        total,
        ContractError::Code { hash, error: CodeError::Total { found: 60_001, expected: 60_000 } }
    );
    let over =
        world.call(P, NEAR, |c| c.publish_code(hash, 60_000, 30_000, vec![0; 30_001])).unwrap_err();
    assert_eq!(
        over,
        ContractError::Code { hash, error: CodeError::Part { found: 30_001, rest: 30_000 } }
    );
    for total in [0, u32::MAX] {
        let error = world
            .call(P, NEAR, |c| c.publish_code(Hash32::of(b"x"), total, 0, vec![]))
            .unwrap_err();
        assert!(
            matches!(error, ContractError::Code { error: CodeError::Size { .. }, .. }),
            "{error}"
        );
    }
}

#[test]
fn bytes_of_another_hash_are_never_code_and_their_deposit_comes_back() {
    let mut world = World::new();
    let (code, hash) = (module(40_000), Hash32::of(b"something else"));
    world.call(P, NEAR, |c| c.publish_code(hash, 40_000, 0, code[..20_000].to_vec())).unwrap();
    let error = world
        .call(P, NEAR, |c| c.publish_code(hash, 40_000, 20_000, code[20_000..].to_vec()))
        .unwrap_err();
    assert_eq!(
        error,
        ContractError::Code { hash, error: CodeError::Hash { found: Hash32::of(&code) } }
    );
    world.call(P, NearToken::ZERO, |c| c.delete_code(hash)).unwrap();
    world.deliver_transfers();
    world.audit();
    assert_eq!(world.purse(&id(P)), PURSE);
}

#[test]
fn too_little_for_the_bytes_is_refused_with_both_numbers() {
    let mut world = World::new();
    let code = module(1_000);
    let hash = Hash32::of(&code);
    let attempt = |world: &mut World, deposit| {
        world.call(P, deposit, |c| c.publish_code(hash, 1_000, 0, code.clone()))
    };
    let error = attempt(&mut world, NearToken::ZERO).unwrap_err();
    let ContractError::Code { error: CodeError::Deposit { found, needed }, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(found, NearToken::ZERO);
    attempt(&mut world, needed.saturating_sub(yocto(1))).unwrap_err();
    attempt(&mut world, needed).unwrap();
    assert!(world.transfers.is_empty());
    world.audit();
}

#[test]
fn nobody_gets_in_the_way_of_another_publisher() {
    let mut world = World::new();
    let code = module(40_000);
    let hash = Hash32::of(&code);
    world
        .call("squatter.near", NEAR, |c| c.publish_code(hash, 40_000, 0, vec![0; 20_000]))
        .unwrap();
    world.deliver_transfers();
    publish(&mut world, P, &code, 0, 40_000).unwrap();
    let published = CodeError::Published { publisher_id: id(P) };
    assert_eq!(publish(&mut world, "squatter.near", &code, 20_000, 40_000), Err(published));
    assert_eq!(world.view(|c| c.get_code(hash, 0, u32::MAX)), Some(code.into()));
    world.call("squatter.near", NearToken::ZERO, |c| c.delete_code(hash)).unwrap();
    world.deliver_transfers();
    assert_eq!(world.purse(&id("squatter.near")), PURSE);
    let error = world.call("squatter.near", NearToken::ZERO, |c| c.delete_code(hash)).unwrap_err();
    let error_expected = CodeError::NotThePublisher { found: id("squatter.near"), expected: id(P) };
    assert_eq!(error, ContractError::Code { hash, error: error_expected });
    world.audit();
}

/// The refusal while requests live that may need the code.
fn in_use(world: &World, hash: Hash32) -> ContractError {
    let error = CodeError::InUse { until: world.contract().live_until, height: world.height };
    ContractError::Code { hash, error }
}

#[test]
fn code_is_not_deleted_while_a_live_request_needs_it() {
    let mut world = World::new();
    let code = module(100);
    let hash = Hash32::of(&code);
    publish(&mut world, P, &code, 0, 100).unwrap();
    let mut request = request("x");
    request.code = CodeRef { hash, url: None }.into();
    let (first, second) =
        (world.request("dapp.near", &request), world.request("dapp.near", &request));
    for request_id in [first, second] {
        let error = world.call(P, NearToken::ZERO, |c| c.delete_code(hash)).unwrap_err();
        assert_eq!(error, in_use(&world, hash));
        world.call("dapp.near", NearToken::ZERO, |c| c.cancel_execution(request_id)).unwrap();
        world.settle(request_id);
        world.audit();
    }
    world.call(P, NearToken::ZERO, |c| c.delete_code(hash)).unwrap();
    let error = world.call(P, NearToken::ZERO, |c| c.delete_code(hash)).unwrap_err();
    assert_eq!(error, ContractError::Code { hash, error: CodeError::Unknown });
}

#[test]
fn a_publisher_gets_its_deposit_back_however_often_others_ask_for_its_code() {
    let mut world = World::new();
    let code = module(100);
    let hash = Hash32::of(&code);
    publish(&mut world, P, &code, 0, 100).unwrap();
    let mut request = request("x");
    request.code = CodeRef { hash, url: None }.into();
    let last = world.request("pest.near", &request);
    let retire = |world: &mut World, by: &str, deposit| {
        let result = world.call(by, deposit, |c| c.retire_code(hash));
        world.deliver_transfers();
        world.audit();
        result
    };
    let refused = |error| Err(ContractError::Code { hash, error });
    let stranger = CodeError::NotThePublisher { found: id("pest.near"), expected: id(P) };
    assert_eq!(retire(&mut world, "pest.near", NEAR), refused(stranger));
    assert!(matches!(
        retire(&mut world, P, yocto(1)),
        Err(ContractError::Code { error: CodeError::Deposit { .. }, .. })
    ));
    retire(&mut world, P, NEAR).unwrap();
    retire(&mut world, P, NEAR).unwrap();
    let info = world.view(|c| c.get_code_info(hash, None)).unwrap();
    assert!(info.retired && info.published_bytes == 100);

    // The live request still has the code; new requests do not get it any more.
    let again = world.call("pest.near", NEAR, |c| c.accept(&request));
    assert_eq!(again, refused(CodeError::Retired));
    assert_eq!(world.view(|c| c.get_code(hash, 0, 100)), Some(code.clone().into()));
    let in_use = Err(in_use(&world, hash));
    assert_eq!(world.call(P, NearToken::ZERO, |c| c.delete_code(hash)), in_use);
    // Other requests do not keep it, when those are over that may need it, swept or not.
    let _ = last;
    world.height = world.contract().live_until;
    let mut other = request.clone();
    other.code = CodeRef { hash, url: Some("https://code.example".to_owned()) }.into();
    world.request("pest.near", &other);
    world.call(P, NearToken::ZERO, |c| c.delete_code(hash)).unwrap();
    world.deliver_transfers();
    world.audit();
    assert_eq!(world.purse(&id(P)), PURSE);

    // When it is published again, it is new.
    publish(&mut world, P, &code, 0, 100).unwrap();
    world.request("dapp.near", &request);
}

#[test]
fn another_account_adopts_retired_code_and_everybody_has_their_deposit() {
    const A: &str = "adopter.near";
    let mut world = World::new();
    let empty = world.usage;
    let code = module(50_000);
    let hash = Hash32::of(&code);
    let refused = |error| Err(ContractError::Code { hash, error });
    let adopt = |world: &mut World, by: &str, deposit| {
        let result = world.call(by, deposit, |c| c.adopt_code(hash));
        world.deliver_transfers();
        world.audit();
        result
    };
    let retire = |world: &mut World, by: &str| {
        world.call(by, NEAR, |c| c.retire_code(hash)).unwrap();
        world.deliver_transfers();
        world.audit();
    };
    assert_eq!(adopt(&mut world, A, NEAR), refused(CodeError::Unknown));
    // The parts of another account, which has not finished, do not get in the way.
    publish(&mut world, "slow.near", &code, 0, 20_000).unwrap();
    publish(&mut world, A, &code, 0, 20_000).unwrap();
    publish(&mut world, P, &code, 0, 20_000).unwrap();
    publish(&mut world, P, &code, 20_000, 50_000).unwrap();
    let published = || CodeError::Published { publisher_id: id(P) };
    assert_eq!(adopt(&mut world, A, NEAR), refused(published()));
    let mut request = request("x");
    request.code = CodeRef { hash, url: None }.into();
    let live = world.request("dapp.near", &request);
    retire(&mut world, P);

    let price = PURSE.saturating_sub(world.purse(&id(P)));
    let Err(ContractError::Code { error: CodeError::Deposit { found, needed }, .. }) =
        adopt(&mut world, A, yocto(7))
    else {
        panic!()
    };
    assert_eq!(found, yocto(7));
    assert!(needed.saturating_add(NearToken::from_millinear(5)) > price, "{needed} for {price}");
    let before = world.purse(&id(A));
    adopt(&mut world, A, needed).unwrap();
    assert_eq!(world.purse(&id(P)), PURSE, "the former publisher has everything back");
    assert_eq!(world.purse(&id(A)), before.checked_sub(needed).unwrap());
    let info = world.view(|c| c.get_code_info(hash, None)).unwrap();
    assert_eq!((info.publisher_id, info.retired), (id(A), false));
    assert_eq!(world.view(|c| c.get_code(hash, 19_999, 40_000)), Some(code[19_999..].into()));

    // The live request still has the code, new ones get it, and only the adopter may end that.
    let next = world.request("dapp.near", &request);
    let not_the_publisher = CodeError::NotThePublisher { found: id(P), expected: id(A) };
    let delete = |world: &mut World, by: &str| {
        let result = world.call(by, NearToken::ZERO, |c| c.delete_code(hash));
        world.deliver_transfers();
        world.audit();
        result
    };
    assert_eq!(delete(&mut world, P), refused(not_the_publisher.clone()));
    assert_eq!(world.call(P, NEAR, |c| c.retire_code(hash)), refused(not_the_publisher));
    let published = CodeError::Published { publisher_id: id(A) };
    assert_eq!(publish(&mut world, P, &code, 0, 20_000), Err(published));
    delete(&mut world, A).unwrap();
    assert_eq!(world.view(|c| c.get_code(hash, 0, 50_000)), Some(code.clone().into()));
    let expected = in_use(&world, hash);
    assert_eq!(delete(&mut world, A), Err(expected));

    // It goes back to the first publisher, under whom the parts are, and on to a third.
    retire(&mut world, A);
    adopt(&mut world, P, NEAR).unwrap();
    assert_eq!(world.purse(&id(A)), PURSE);
    retire(&mut world, P);
    adopt(&mut world, P, NEAR).unwrap();
    retire(&mut world, P);
    adopt(&mut world, "slow.near", NEAR).unwrap();
    assert_eq!(world.purse(&id(P)), PURSE);
    for request_id in [live, next] {
        world.call("dapp.near", NearToken::ZERO, |c| c.cancel_execution(request_id)).unwrap();
        world.settle(request_id);
        world.audit();
    }
    delete(&mut world, "slow.near").unwrap();
    assert_eq!(world.view(|c| c.get_code(hash, 0, 50_000)), Some(code.into()), "the parts first");
    delete(&mut world, "slow.near").unwrap();
    for by in [P, A, "slow.near", "dapp.near"] {
        assert_eq!(world.purse(&id(by)), PURSE, "{by}");
    }
    assert_eq!(world.usage - recent_bytes(1), empty);
}

#[test]
fn observers_see_who_publishes_and_who_retires() {
    let mut world = World::new();
    let code = module(40_000);
    let hash = Hash32::of(&code);
    publish(&mut world, P, &code, 0, 20_000).unwrap();
    publish(&mut world, P, &code, 20_000, 40_000).unwrap();
    for _ in 0..2 {
        world.call(P, NEAR, |c| c.retire_code(hash)).unwrap();
    }
    world.call("adopter.near", NEAR, |c| c.adopt_code(hash)).unwrap();
    let published = |by: &str| {
        Event::CodePublished(CodePublished { hash, publisher_id: id(by), total_bytes: 40_000 })
    };
    let retired = Event::CodeRetired(CodeRetired { hash, name: None });
    assert_eq!(world.events, [published(P), retired, published("adopter.near")]);
}
