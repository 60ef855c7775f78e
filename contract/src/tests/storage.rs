//! Namespaces: who may change them, who pays, and how requests meet in them.

use near_sdk::NearToken;
use outlayer_protocol::{
    Bytes, ExecutionResponse, Outcome, RefusalCode, RequestId,
    limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES},
    machine::{Reason, Taken},
    pricing::{Asked, least_fee},
    storage::{CLOSED_BLOCKS, StorageError},
    views::StorageBalance,
};

use super::world::*;
use crate::{Closed, ContractError, Lock, NamespaceError, StorageBalanceBounds, store::Prefix};

const W: &str = "worker.near";
const DAPP: &str = "dapp.near";
const ONE: NearToken = NearToken::from_yoctonear(1);

fn world() -> World {
    let mut world = World::new();
    world.owner(|c| c.register_worker(id(W), None));
    world
}

fn funded() -> World {
    let mut world = world();
    world.deposit_storage(DAPP, NearToken::from_near(1));
    world
}

fn set(
    world: &mut World,
    by: &str,
    deposit: NearToken,
    key: &str,
    value: &str,
) -> Result<(), ContractError> {
    // What the requests cost that may read the namespace comes on top.
    let deposit = deposit.saturating_add(world.view(|c| c.get_change_fee(id(by))));
    let result = world.call(by, deposit, |c| c.storage_set(key.into(), value.into()));
    world.audit();
    result
}

fn get(world: &mut World, key: &str) -> Option<Bytes> {
    world.view(|c| c.storage_get(id(DAPP), key.into()))
}

fn body(
    request_id: RequestId,
    reads: &[(&str, Option<&str>)],
    writes: &[(&str, Option<&str>)],
) -> ExecutionResponse {
    ExecutionResponse {
        reads: reads.iter().map(|(key, value)| read(key, *value)).collect(),
        journal: writes.iter().map(|(key, value)| write(key, *value)).collect(),
        ..answer(request_id, "done")
    }
}

fn balance(world: &mut World, of: &str) -> Option<StorageBalance> {
    world.view(|c| c.storage_balance_of(id(of)))
}

#[test]
fn bytes_are_charged_and_freed_to_the_last_one() {
    let mut world = world();
    let min = world.view(|c| c.storage_balance_bounds()).min;
    let error =
        world.call(DAPP, min.saturating_sub(ONE), |c| c.storage_deposit(None, None)).unwrap_err();
    let expected = NamespaceError::Registration { found: min.saturating_sub(ONE), needed: min };
    assert_eq!(error, expected.into());
    let empty = world.usage;
    world.deposit_storage(DAPP, NearToken::from_near(1));
    let fresh = balance(&mut world, DAPP).unwrap();
    for (key, value) in [("a", "1"), ("bb", "22"), ("ccc", ""), ("a", "a longer one"), ("bb", "")] {
        set(&mut world, DAPP, NearToken::ZERO, key, value).unwrap();
        assert_eq!(get(&mut world, key), Some(value.into()));
    }
    assert!(balance(&mut world, DAPP).unwrap().available < fresh.available);
    for (key, there) in [("a", true), ("a", false), ("ccc", true), ("zzz", false), ("bb", true)] {
        assert_eq!(world.call(DAPP, NearToken::ZERO, |c| c.storage_remove(key.into())), Ok(there));
        assert_eq!(get(&mut world, key), None);
        world.audit();
    }
    assert_eq!(balance(&mut world, DAPP), Some(fresh));
    assert_eq!(world.call(DAPP, ONE, |c| c.storage_unregister(None)), Ok(true));
    world.deliver_transfers();
    assert_eq!((world.usage, world.purse(&id(DAPP))), (empty, PURSE));
    world.audit();
}

#[test]
fn a_value_is_refused_when_its_bytes_are_not_paid_for_or_out_of_bounds() {
    let mut world = world();
    let error = set(&mut world, DAPP, ONE, "key", "value").unwrap_err();
    assert!(matches!(error, ContractError::Namespace(NamespaceError::Unpaid { .. })), "{error}");
    assert_eq!(balance(&mut world, DAPP), None, "nothing is left of it");
    set(&mut world, DAPP, NearToken::from_millinear(10), "key", "value").unwrap();

    let long = "k".repeat(MAX_KEY_BYTES as usize + 1);
    let error = StorageError::KeyBytes { found: 257 };
    assert_eq!(
        set(&mut world, DAPP, ONE, &long, "v").unwrap_err(),
        NamespaceError::Storage(error).into()
    );
    let large = "v".repeat(MAX_VALUE_BYTES as usize + 1);
    let error = StorageError::ValueBytes { found: 65_537 };
    assert_eq!(
        set(&mut world, DAPP, ONE, "k", &large).unwrap_err(),
        NamespaceError::Storage(error).into()
    );
    let error =
        world.call("other.near", NearToken::ZERO, |c| c.storage_remove("key".into())).unwrap_err();
    assert_eq!(error, NamespaceError::NotRegistered { account_id: id("other.near") }.into());
    assert_eq!(get(&mut world, &"k".repeat(5_000)), None);
}

#[test]
fn keys_page_and_stay_listed_whatever_is_removed() {
    let mut world = funded();
    let names: Vec<_> = (0..7).map(|n| format!("key {n}")).collect();
    for name in &names {
        set(&mut world, DAPP, NearToken::ZERO, name, "x").unwrap();
    }
    world.deposit_storage("dapp.near2", NearToken::from_near(1));
    set(&mut world, "dapp.near2", NearToken::ZERO, "of another", "x").unwrap();
    for gone in [&names[2], &names[6], &names[0]] {
        world.call(DAPP, NearToken::ZERO, |c| c.storage_remove(gone.as_str().into())).unwrap();
        world.audit();
    }
    let mut listed = Vec::new();
    for from in [0, 2, 4] {
        listed.extend(world.view(|c| c.storage_keys(id(DAPP), from, 2)));
    }
    listed.sort();
    assert_eq!(listed, [1, 3, 4, 5].map(|n: usize| names[n].as_str().into()));
    let many = world.view(|c| c.storage_get_many(id(DAPP), vec!["key 1".into(), "key 2".into()]));
    assert_eq!(many, [Some("x".into()), None]);
}

#[test]
fn what_no_byte_needs_is_withdrawn() {
    let mut world = funded();
    set(&mut world, DAPP, NearToken::ZERO, "key", "value").unwrap();
    let StorageBalance { total, available } = balance(&mut world, DAPP).unwrap();
    let error = world.call(DAPP, NearToken::ZERO, |c| c.storage_withdraw(None)).unwrap_err();
    assert_eq!(error, ContractError::OneYocto { found: NearToken::ZERO });
    let above = available.saturating_add(ONE);
    let error = world.call(DAPP, ONE, |c| c.storage_withdraw(Some(above))).unwrap_err();
    assert_eq!(error, NamespaceError::Withdrawal { found: above, available }.into());
    world.call(DAPP, ONE, |c| c.storage_withdraw(Some(yocto(5)))).unwrap();
    let left = world.call(DAPP, ONE, |c| c.storage_withdraw(None)).unwrap();
    assert_eq!(
        left,
        StorageBalance { total: total.saturating_sub(available), available: NearToken::ZERO }
    );
    world.deliver_transfers();
    world.audit();
    assert_eq!(world.purse(&id(DAPP)), PURSE.saturating_sub(left.total));
    let error = world.call("other.near", ONE, |c| c.storage_withdraw(None)).unwrap_err();
    assert_eq!(error, NamespaceError::NotRegistered { account_id: id("other.near") }.into());
}

#[test]
fn registering_only_gives_the_rest_back() {
    let mut world = world();
    let min = world.view(|c| c.storage_balance_bounds()).min;
    let near = NearToken::from_near(1);
    let balance =
        world.call("friend.near", near, |c| c.storage_deposit(Some(id(DAPP)), Some(true))).unwrap();
    assert_eq!(balance.total, min);
    world.call("friend.near", near, |c| c.storage_deposit(Some(id(DAPP)), Some(true))).unwrap();
    world.deliver_transfers();
    assert_eq!(world.purse(&id("friend.near")), PURSE.saturating_sub(min));
    world.audit();
}

#[test]
fn a_namespace_with_keys_is_closed_by_force_only() {
    let mut world = funded();
    assert_eq!(world.call("other.near", ONE, |c| c.storage_unregister(None)), Ok(false));
    for key in ["a", "b", "c"] {
        set(&mut world, DAPP, NearToken::ZERO, key, "x").unwrap();
    }
    let error = world.call(DAPP, ONE, |c| c.storage_unregister(Some(false))).unwrap_err();
    assert_eq!(error, NamespaceError::NotEmpty { account_id: id(DAPP), keys: 3 }.into());
    assert_eq!(world.call(DAPP, ONE, |c| c.storage_unregister(Some(true))), Ok(true));
    world.deliver_transfers();
    world.audit();
    assert_eq!(world.purse(&id(DAPP)), PURSE);
    assert!(world.namespace(&id(DAPP)).is_empty());
}

#[test]
fn a_namespace_is_emptied_in_steps() {
    let mut world = funded();
    let names: Vec<_> = (0..7).map(|n| format!("key {n}")).collect();
    for name in &names {
        set(&mut world, DAPP, NearToken::ZERO, name, "x").unwrap();
    }
    for (limit, left) in [(3, 4), (0, 4), (1, 3)] {
        let cleared = world.call(DAPP, NearToken::ZERO, |c| c.storage_clear(limit));
        assert_eq!(cleared, Ok(left));
        world.audit();
        assert_eq!(world.namespace(&id(DAPP)).len(), left as usize);
    }
    // A key that is locked stays, and so do all others of the call.
    let reader = world.request(DAPP, &request("a"));
    world.resolve(W, &body(reader, &[("key 0", Some("x"))], &[])).unwrap();
    let fee = world.view(|c| c.get_change_fee(id(DAPP)));
    let error = world.call(DAPP, NearToken::ZERO, |c| c.storage_clear(9)).unwrap_err();
    assert_eq!(error, NamespaceError::LiveReaders { found: NearToken::ZERO, needed: fee }.into());
    let error = world.call(DAPP, fee, |c| c.storage_clear(9)).unwrap_err();
    assert_eq!(error.code(), RefusalCode::KeyLocked);
    assert_eq!(world.namespace(&id(DAPP)).len(), 3);
    world.settle(reader);
    assert_eq!(world.call(DAPP, NearToken::ZERO, |c| c.storage_clear(u32::MAX)), Ok(0));
    world.audit();
    let StorageBalance { total, .. } = balance(&mut world, DAPP).unwrap();
    assert_eq!(total, NearToken::from_near(1));
    let error = world.call("other.near", NearToken::ZERO, |c| c.storage_clear(1)).unwrap_err();
    assert_eq!(error.code(), RefusalCode::NotRegistered);
}

#[test]
fn what_one_request_writes_the_next_one_reads() {
    let mut world = funded();
    let first = world.request(DAPP, &request("a"));
    world.resolve(W, &body(first, &[("k", None)], &[("k", Some("1")), ("l", Some("x"))])).unwrap();
    assert_eq!(get(&mut world, "k"), None, "nothing is written before the callback");
    assert_eq!(world.settle(first).outcome, Outcome::Completed { output: "done".into() });
    assert_eq!(get(&mut world, "k"), Some("1".into()));
    world.audit();
    let second = world.request(DAPP, &request("b"));
    world.resolve(W, &body(second, &[("k", Some("1"))], &[("k", Some("2")), ("l", None)])).unwrap();
    world.settle(second);
    world.audit();
    assert_eq!((get(&mut world, "k"), get(&mut world, "l")), (Some("2".into()), None));
}

#[test]
fn two_requests_over_one_key_cannot_lose_an_update() {
    let mut world = funded();
    set(&mut world, DAPP, NearToken::ZERO, "count", "0").unwrap();
    let (first, second) = (world.request(DAPP, &request("a")), world.request(DAPP, &request("b")));
    world.resolve(W, &body(first, &[("count", Some("0"))], &[("count", Some("1"))])).unwrap();
    // Both requests were executed on the same snapshot.
    let stale = body(second, &[("count", Some("0"))], &[("count", Some("1"))]);
    let locked = refusal(second, Reason::KeyLocked { key: "count".into() });
    assert_eq!(world.resolve(W, &stale).unwrap_err(), locked);
    world.settle(first);
    let changed = refusal(second, Reason::ReadConflict { key: "count".into() });
    assert_eq!(world.resolve(W, &stale).unwrap_err(), changed);
    world.resolve(W, &body(second, &[("count", Some("1"))], &[("count", Some("2"))])).unwrap();
    assert!(matches!(world.settle(second).outcome, Outcome::Completed { .. }));
    assert_eq!(get(&mut world, "count"), Some("2".into()));
    world.audit();
}

#[test]
fn requests_that_touch_different_keys_or_namespaces_never_meet() {
    let mut world = funded();
    world.deposit_storage("other.near", NearToken::from_near(1));
    let ids = [(DAPP, "a"), (DAPP, "b"), ("other.near", "a")]
        .map(|(by, key)| (world.request(by, &request("x")), key));
    for (request_id, key) in ids {
        world.resolve(W, &body(request_id, &[(key, None)], &[(key, Some("v"))])).unwrap();
        world.audit();
    }
    for (request_id, _) in ids {
        assert!(matches!(world.settle(request_id).outcome, Outcome::Completed { .. }));
    }
}

#[test]
fn readers_of_a_key_are_not_in_each_others_way_and_a_writer_waits_for_the_last_of_them() {
    let mut world = funded();
    set(&mut world, DAPP, NearToken::ZERO, "config", "v").unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|input| world.request(DAPP, &request(input)));
    // Both requests read the key, and each writes a key of its own.
    for (request_id, own) in [(a, "a"), (b, "b")] {
        let body = body(request_id, &[("config", Some("v"))], &[(own, Some("done"))]);
        world.resolve(W, &body).unwrap();
        world.audit();
    }
    let writer = body(c, &[], &[("config", Some("w"))]);
    let by = |by| NamespaceError::Locked { key: "config".into(), by };
    let direct = |world: &mut World| set(world, DAPP, NearToken::ZERO, "config", "x");
    for readers in [2, 1] {
        assert_eq!(world.resolve(W, &writer), Ok(Taken::Wait));
        let closed = Some(Closed { by: c, until: world.height + CLOSED_BLOCKS });
        let error = direct(&mut world).unwrap_err();
        assert_eq!(error, by(Lock::Readers { count: readers, closed }).into());
        assert!(error.to_string().contains("locked until"), "{error}");
        let settled = if readers == 2 { a } else { b };
        assert!(matches!(world.settle(settled).outcome, Outcome::Completed { .. }));
        world.audit();
    }
    // Now the writer has the key alone, and a reader has to wait.
    world.resolve(W, &writer).unwrap();
    assert_eq!(direct(&mut world).unwrap_err(), by(Lock::Writer(c)).into());
    let d = world.request(DAPP, &request("d"));
    let reader = body(d, &[("config", Some("v"))], &[]);
    let locked = refusal(d, Reason::KeyLocked { key: "config".into() });
    assert_eq!(world.resolve(W, &reader).unwrap_err(), locked);
    world.settle(c);
    // What the reader read has changed. It is executed again, and no update is lost.
    let changed = refusal(d, Reason::ReadConflict { key: "config".into() });
    assert_eq!(world.resolve(W, &reader).unwrap_err(), changed);
    world.resolve(W, &body(d, &[("config", Some("w"))], &[])).unwrap();
    assert!(matches!(world.settle(d).outcome, Outcome::Completed { .. }));
    world.audit();
}

/// What a writer and the readers of its key meet when there is a new reader in every block, each
/// settled two blocks after its answer. The writer's worker comes again every `returns` blocks.
/// Gives how many blocks the writer waits until its answer is taken, if it ever is, and how many of
/// the readers of 100 blocks are told to wait.
fn one_reader_a_block(returns: Option<usize>) -> (Option<usize>, usize) {
    let mut world = funded();
    set(&mut world, DAPP, NearToken::ZERO, "config", "v").unwrap();
    let writer = world.request(DAPP, &request("writer"));
    let write = body(writer, &[], &[("config", Some("v"))]);
    let mut staged = Vec::new();
    let (mut taken, mut refused) = (None, 0);
    for block in 0..100 {
        world.height += 1;
        staged.retain(|(request_id, due)| {
            if *due <= block {
                world.settle(*request_id);
            }
            *due > block
        });
        let reader = world.request(DAPP, &request("reader"));
        match world.resolve(W, &body(reader, &[("config", Some("v"))], &[])) {
            Ok(_) => staged.push((reader, block + 2)),
            Err(_) => refused += 1,
        }
        // The first readers are there before the writer.
        let comes = |every: usize| block >= 5 && (block - 5) % every == 0;
        if taken.is_none() && comes(returns.unwrap_or(usize::MAX)) {
            match world.resolve(W, &write) {
                Ok(Taken::Staged) => {
                    staged.push((writer, block + 2));
                    taken = Some(block - 5);
                }
                found => assert_eq!(found, Ok(Taken::Wait)),
            }
        }
    }
    world.audit();
    (taken, refused)
}

/// The documentation of `CLOSED_BLOCKS` has these numbers for several values of it.
#[test]
fn a_writer_that_comes_again_within_the_closed_time_waits_once_and_costs_readers_little() {
    let found = [Some(1), Some(3), Some(6), Some(12), Some(30), None].map(one_reader_a_block);
    println!("{CLOSED_BLOCKS}: {found:?}");
    let expected =
        [(Some(2), 3), (Some(3), 4), (Some(6), 7), (Some(12), 13), (None, 38), (None, 19)];
    assert_eq!(found, expected);
}

#[test]
fn one_reader_a_block_does_not_keep_a_writer_out() {
    let mut world = funded();
    set(&mut world, DAPP, NearToken::ZERO, "config", "v").unwrap();
    let writer = world.request(DAPP, &request("writer"));
    let write = body(writer, &[("config", Some("v"))], &[("config", Some("w"))]);
    // In each block a new reader is staged before the one of the block before is settled, so the
    // key is never free of readers by itself.
    let read = |world: &mut World| {
        let reader = world.request(DAPP, &request("reader"));
        let result = world.resolve(W, &body(reader, &[("config", Some("v"))], &[]));
        world.audit();
        (reader, result)
    };
    let (mut last, result) = read(&mut world);
    assert_eq!(result, Ok(Taken::Staged));
    // The account itself does not get through between its own readers, and is refused without a
    // note. What it wants to write, it has a guest write.
    for _ in 0..3 {
        world.height += 1;
        let (reader, result) = read(&mut world);
        assert_eq!(result, Ok(Taken::Staged));
        world.settle(last);
        last = reader;
        let error = set(&mut world, DAPP, NearToken::ZERO, "config", "w").unwrap_err();
        assert_eq!(error.code(), RefusalCode::KeyLocked);
    }
    assert_eq!(world.resolve(W, &write), Ok(Taken::Wait));
    let mut refused = Vec::new();
    for block in 1.. {
        assert!(block < 5, "the writer starves");
        world.height += 1;
        let (reader, result) = read(&mut world);
        let locked = refusal(reader, Reason::KeyLocked { key: "config".into() });
        assert_eq!(result.unwrap_err(), locked, "a new reader waits for the writer");
        refused.push(reader);
        if last != writer {
            assert!(matches!(world.settle(last).outcome, Outcome::Completed { .. }));
            world.audit();
            last = writer;
        }
        if world.resolve(W, &write).unwrap() == Taken::Staged {
            break;
        }
    }
    assert!(matches!(world.settle(writer).outcome, Outcome::Completed { .. }));
    world.audit();
    assert_eq!(world.entries(Prefix::Lock).count(), 0);
    for reader in refused {
        world.resolve(W, &body(reader, &[("config", Some("w"))], &[])).unwrap();
        world.settle(reader);
    }
    world.audit();
}

#[test]
fn a_key_is_closed_to_readers_for_a_bounded_time_and_then_open_as_long() {
    let mut world = funded();
    set(&mut world, DAPP, NearToken::ZERO, "k", "v").unwrap();
    let [writer, other] = ["a", "b"].map(|input| world.request(DAPP, &request(input)));
    let write = |request_id| body(request_id, &[], &[("k", Some("w"))]);
    let read = |world: &mut World| {
        let reader = world.request(DAPP, &request("reader"));
        (reader, world.resolve(W, &body(reader, &[("k", Some("v"))], &[])))
    };
    let (first, result) = read(&mut world);
    result.unwrap();
    assert_eq!(world.resolve(W, &write(writer)), Ok(Taken::Wait));
    let until = world.height + CLOSED_BLOCKS;
    world.settle(first);
    world.audit();
    assert_eq!(world.entries(Prefix::Lock).count(), 1, "the key stays closed without readers");
    world.height = until - 1;
    assert!(matches!(reason(read(&mut world).1), Reason::KeyLocked { .. }));
    world.height = until;
    let (reader, result) = read(&mut world);
    assert_eq!(result, Ok(Taken::Staged), "the writer has not come");
    // Now the readers have their time, whichever writer asks.
    for request_id in [writer, other] {
        world.height = until + CLOSED_BLOCKS - 1;
        assert_eq!(world.resolve(W, &write(request_id)), Ok(Taken::Wait));
        read(&mut world).1.unwrap();
        world.audit();
    }
    world.height += 1;
    assert_eq!(world.resolve(W, &write(other)), Ok(Taken::Wait));
    assert!(matches!(reason(read(&mut world).1), Reason::KeyLocked { .. }));
    // A reader that was there before is settled as ever. Whoever waits opens the key when it ends.
    assert!(matches!(world.settle(reader).outcome, Outcome::Completed { .. }));
    world.audit();
    for request_id in [writer, other] {
        world.call(DAPP, NearToken::ZERO, |c| c.cancel_execution(request_id)).unwrap();
        world.settle(request_id);
        world.audit();
    }
    read(&mut world).1.unwrap();
    world.audit();
}

#[test]
fn of_two_that_read_what_the_other_writes_one_waits() {
    let mut world = funded();
    let [a, b] = ["a", "b"].map(|input| world.request(DAPP, &request(input)));
    world.resolve(W, &body(a, &[("x", None), ("y", None)], &[("x", Some("1"))])).unwrap();
    let skewed = body(b, &[("x", None), ("y", None)], &[("y", Some("1"))]);
    let locked = refusal(b, Reason::KeyLocked { key: "x".into() });
    assert_eq!(world.resolve(W, &skewed).unwrap_err(), locked);
    world.settle(a);
    let changed = refusal(b, Reason::ReadConflict { key: "x".into() });
    assert_eq!(world.resolve(W, &skewed).unwrap_err(), changed);
}

#[test]
fn the_balances_are_those_of_near_contract_standards() {
    use near_contract_standards::storage_management as standard;
    let (total, available) = (yocto(u128::MAX), yocto(7));
    let ours = serde_json::to_string(&StorageBalance { total, available }).unwrap();
    let theirs = standard::StorageBalance { total, available };
    assert_eq!(ours, serde_json::to_string(&theirs).unwrap());
    for max in [None, Some(yocto(9))] {
        let ours = serde_json::to_string(&StorageBalanceBounds { min: available, max }).unwrap();
        let theirs = standard::StorageBalanceBounds { min: available, max };
        assert_eq!(ours, serde_json::to_string(&theirs).unwrap());
    }
}

#[test]
fn a_locked_key_is_not_written_directly_and_free_after_settlement_and_sweep() {
    let mut world = funded();
    for swept in [false, true] {
        let request_id = world.request(DAPP, &request("x"));
        world.resolve(W, &body(request_id, &[("read", None)], &[("written", Some("v"))])).unwrap();
        for key in ["read", "written"] {
            let by = match key {
                "read" => Lock::Readers { count: 1, closed: None },
                _ => Lock::Writer(request_id),
            };
            let locked = NamespaceError::Locked { key: key.into(), by };
            assert_eq!(
                set(&mut world, DAPP, NearToken::ZERO, key, "mine").unwrap_err(),
                locked.clone().into()
            );
            let error =
                world.call(DAPP, NearToken::ZERO, |c| c.storage_remove(key.into())).unwrap_err();
            assert_eq!(error, locked.into());
        }
        set(&mut world, DAPP, NearToken::ZERO, "free", "mine").unwrap();
        if swept {
            let data_id = world.live(request_id).data_id.0;
            world.lose(&data_id);
            world.height += 400;
            world.call(DAPP, NearToken::ZERO, |c| c.sweep_expired(request_id)).unwrap();
            world.deliver_transfers();
        } else {
            world.settle(request_id);
            let forced = world.call(DAPP, ONE, |c| c.storage_unregister(Some(true)));
            assert_eq!(forced, Ok(true));
            world.deliver_transfers();
            world.deposit_storage(DAPP, NearToken::from_near(1));
        }
        for key in ["read", "written"] {
            set(&mut world, DAPP, NearToken::ZERO, key, "mine").unwrap();
            world.call(DAPP, NearToken::ZERO, |c| c.storage_remove(key.into())).unwrap();
        }
    }
}

#[test]
fn a_change_pays_for_the_live_requests_that_may_read_it_or_waits() {
    let mut world = funded();
    set(&mut world, DAPP, NearToken::ZERO, "k", "v").unwrap();
    let fee = |world: &mut World| world.view(|c| c.get_change_fee(id(DAPP)));
    assert_eq!(fee(&mut world), NearToken::ZERO);
    let mut blind = request("reads nothing");
    blind.limits.storage_reads = 0;
    world.request(DAPP, &blind);
    world.request("other.near", &request("of another namespace"));
    assert_eq!(fee(&mut world), NearToken::ZERO);
    world.call(DAPP, NearToken::ZERO, |c| c.storage_remove("none".into())).unwrap();

    let readers = ["x", "y"].map(|input| world.request(DAPP, &request(input)));
    let needed = readers
        .map(|one| world.live(one).terms.max_fee)
        .into_iter()
        .fold(NearToken::ZERO, NearToken::saturating_add);
    assert_eq!(fee(&mut world), needed);
    let found = needed.saturating_sub(ONE);
    let refused = NamespaceError::LiveReaders { found, needed };
    let error = world.call(DAPP, found, |c| c.storage_set("k".into(), "new".into())).unwrap_err();
    assert_eq!(error, refused.clone().into());
    let error = world.call(DAPP, found, |c| c.storage_remove("k".into())).unwrap_err();
    assert_eq!(error, refused.into());
    let error = world.call(DAPP, ONE, |c| c.storage_unregister(Some(true))).unwrap_err();
    assert_eq!(error, NamespaceError::LiveReaders { found: ONE, needed }.into());
    assert_eq!(get(&mut world, "k"), Some("v".into()));

    // The fee goes to the protocol, and what is attached beyond it to the deposit.
    let before = (world.view(|c| c.get_funds()).protocol, balance(&mut world, DAPP).unwrap().total);
    let deposit = needed.saturating_add(yocto(5));
    world.call(DAPP, deposit, |c| c.storage_set("k".into(), "new".into())).unwrap();
    assert_eq!(world.call(DAPP, deposit, |c| c.storage_remove("k".into())), Ok(true));
    world.audit();
    let twice = |amount: NearToken| amount.saturating_add(amount);
    let after = (world.view(|c| c.get_funds()).protocol, balance(&mut world, DAPP).unwrap().total);
    assert_eq!(after.0.saturating_sub(before.0), twice(needed));
    assert_eq!(after.1.saturating_sub(before.1), yocto(10));

    // However the readers end, the price goes with them.
    world.call(DAPP, NearToken::ZERO, |c| c.cancel_execution(readers[0])).unwrap();
    world.settle(readers[0]);
    assert_eq!(fee(&mut world), world.live(readers[1]).terms.max_fee);
    world.resolve(W, &answer(readers[1], "done")).unwrap();
    world.settle(readers[1]);
    assert_eq!(fee(&mut world), NearToken::ZERO);
    world.audit();
}

#[test]
fn a_namespace_with_a_locked_key_is_not_closed() {
    let mut world = funded();
    set(&mut world, DAPP, NearToken::ZERO, "k", "v").unwrap();
    let request_id = world.request(DAPP, &request("x"));
    world.resolve(W, &body(request_id, &[("k", Some("v"))], &[])).unwrap();
    let error = world.call(DAPP, ONE, |c| c.storage_unregister(Some(true))).unwrap_err();
    assert_eq!(error.code(), RefusalCode::LiveReaders);
    let mut blind = request("reads nothing");
    blind.limits.storage_reads = 0;
    world.settle(request_id);
    let request_id = world.request(DAPP, &blind);
    world.resolve(W, &body(request_id, &[], &[("k", None)])).unwrap();
    let error = world.call(DAPP, ONE, |c| c.storage_unregister(Some(true))).unwrap_err();
    let by = Lock::Writer(request_id);
    assert_eq!(error, NamespaceError::Locked { key: "k".into(), by }.into());
    world.audit();
}

#[test]
fn exhausted_storage_settles_as_such_and_nothing_is_half_applied() {
    let mut world = world();
    // This pays for one key, not for two.
    set(&mut world, DAPP, NearToken::from_millinear(4), "old", "v").unwrap();
    let before = world.namespace(&id(DAPP));
    let request_id = world.request(DAPP, &request("x"));
    world
        .resolve(W, &body(request_id, &[], &[("a", Some("1")), ("b", Some("2")), ("old", None)]))
        .unwrap();
    let settlement = world.settle(request_id);
    assert_eq!(settlement.outcome, Outcome::StorageExhausted);
    let asked = Asked::of(&config(), &request("x"));
    assert!(settlement.fee > least_fee(&config().prices, &asked).unwrap());
    assert_eq!(world.namespace(&id(DAPP)), before);
    world.audit();
    // Bytes that the journal frees count.
    let request_id = world.request(DAPP, &request("x"));
    world.resolve(W, &body(request_id, &[], &[("new", Some("v")), ("old", None)])).unwrap();
    assert!(matches!(world.settle(request_id).outcome, Outcome::Completed { .. }));
    world.audit();
}

#[test]
fn without_a_namespace_a_journal_is_exhausted_unless_it_keeps_nothing() {
    let mut world = world();
    let request_id = world.request(DAPP, &request("x"));
    world.resolve(W, &body(request_id, &[("k", None)], &[("k", Some(""))])).unwrap();
    assert_eq!(world.settle(request_id).outcome, Outcome::StorageExhausted);
    let request_id = world.request(DAPP, &request("x"));
    world.resolve(W, &body(request_id, &[], &[("k", None)])).unwrap();
    assert!(matches!(world.settle(request_id).outcome, Outcome::Completed { .. }));
    world.audit();
}

#[test]
fn money_taken_out_while_a_response_waits_exhausts_it() {
    let mut world = funded();
    let request_id = world.request(DAPP, &request("x"));
    world.resolve(W, &body(request_id, &[], &[("k", Some("v"))])).unwrap();
    world.call(DAPP, ONE, |c| c.storage_withdraw(None)).unwrap();
    assert_eq!(world.settle(request_id).outcome, Outcome::StorageExhausted);
    world.audit();
}

#[test]
fn bytes_are_counted_to_the_last_one_before_they_are_written() {
    let mut world = world();
    world.deposit_storage(DAPP, NearToken::from_near(1));
    let before = balance(&mut world, DAPP).unwrap().available;
    set(&mut world, DAPP, NearToken::ZERO, "key", "value").unwrap();
    let price = before.saturating_sub(balance(&mut world, DAPP).unwrap().available);
    world.call(DAPP, NearToken::ZERO, |c| c.storage_remove("key".into())).unwrap();

    // First just enough for the key, then one yoctoNEAR too little.
    let keep = |world: &mut World, left: NearToken| {
        let free = balance(world, DAPP).unwrap().available;
        world.call(DAPP, ONE, |c| c.storage_withdraw(Some(free.saturating_sub(left)))).unwrap();
    };
    keep(&mut world, price);
    set(&mut world, DAPP, NearToken::ZERO, "key", "value").unwrap();
    world.call(DAPP, NearToken::ZERO, |c| c.storage_remove("key".into())).unwrap();
    let written = body(0, &[], &[("key", Some("value"))]);
    let request_id = world.request(DAPP, &request("x"));
    world.resolve(W, &ExecutionResponse { request_id, ..written.clone() }).unwrap();
    assert!(matches!(world.settle(request_id).outcome, Outcome::Completed { .. }));
    assert_eq!(balance(&mut world, DAPP).unwrap().available, NearToken::ZERO);

    world.call(DAPP, NearToken::ZERO, |c| c.storage_remove("key".into())).unwrap();
    keep(&mut world, price.saturating_sub(ONE));
    let error = set(&mut world, DAPP, NearToken::ZERO, "key", "value").unwrap_err();
    assert!(matches!(error, ContractError::Namespace(NamespaceError::Unpaid { .. })), "{error}");
    let request_id = world.request(DAPP, &request("x"));
    world.resolve(W, &ExecutionResponse { request_id, ..written }).unwrap();
    assert_eq!(world.settle(request_id).outcome, Outcome::StorageExhausted);
}

#[test]
fn large_values_are_overwritten_and_accounted_for_like_small_ones() {
    let mut world = funded();
    for bytes in [8_192, 8_193, 3, 30_000, 0] {
        let value = "v".repeat(bytes);
        set(&mut world, DAPP, NearToken::ZERO, "k", &value).unwrap();
        assert_eq!(get(&mut world, "k"), Some(value.as_str().into()));
        assert_eq!(world.view(|c| c.storage_keys(id(DAPP), 0, 9)), ["k".into()]);
    }
}

#[test]
fn several_keys_are_set_all_or_none_with_one_deposit() {
    let mut world = world();
    let entries = |keys: &[(&str, &str)]| -> Vec<(Bytes, Bytes)> {
        keys.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    let deposit = NearToken::from_millinear(50);
    let both = entries(&[("a", "one"), ("b", "two")]);
    world.call(DAPP, deposit, |c| c.storage_set_many(both.clone())).unwrap();
    world.audit();
    assert_eq!(world.namespace(&id(DAPP)), both.into_iter().collect());
    assert_eq!(balance(&mut world, DAPP).map(|balance| balance.total), Some(deposit));

    // A key that is given twice has its last value.
    let twice = entries(&[("a", "three"), ("a", "four")]);
    world.call(DAPP, NearToken::ZERO, |c| c.storage_set_many(twice)).unwrap();
    world.audit();

    let before = world.storage.clone();
    let (long, large) = ("k".repeat(257), "v".repeat(10_000));
    for wrong in [(long.as_str(), "x"), ("", "x"), ("c", large.as_str())] {
        let set = entries(&[("a", "five"), wrong]);
        let error = world.call(DAPP, NearToken::ZERO, |c| c.storage_set_many(set)).unwrap_err();
        assert!(matches!(error, ContractError::Namespace(_)), "{error}");
        assert_eq!(world.storage, before);
    }
    let expected = entries(&[("a", "four"), ("b", "two")]).into_iter().collect();
    assert_eq!(world.namespace(&id(DAPP)), expected);

    // A lock on one of them is enough.
    let request_id = world.request(DAPP, &request("x"));
    let body = ExecutionResponse { reads: vec![read("b", Some("two"))], ..answer(request_id, "") };
    world.resolve(W, &body).unwrap();
    let set = entries(&[("a", "six"), ("b", "seven")]);
    let fee = world.view(|c| c.get_change_fee(id(DAPP)));
    let error = world.call(DAPP, fee, |c| c.storage_set_many(set.clone())).unwrap_err();
    assert!(matches!(error, ContractError::Namespace(NamespaceError::Locked { .. })), "{error}");
    world.settle(request_id);
    assert_eq!(world.namespace(&id(DAPP)), expected);

    // The fee is due once, however many keys are set, and all of it.
    world.request(DAPP, &request("x"));
    let needed = world.view(|c| c.get_change_fee(id(DAPP)));
    assert!(!needed.is_zero());
    let found = needed.saturating_sub(ONE);
    let error = world.call(DAPP, found, |c| c.storage_set_many(set.clone())).unwrap_err();
    assert_eq!(error, NamespaceError::LiveReaders { found, needed }.into());
    let (before, total) = (world.view(|c| c.get_funds()).protocol, balance(&mut world, DAPP));
    world.call(DAPP, needed, |c| c.storage_set_many(set.clone())).unwrap();
    world.audit();
    assert_eq!(world.view(|c| c.get_funds()).protocol, before.saturating_add(needed));
    assert_eq!(balance(&mut world, DAPP).map(|one| one.total), total.map(|one| one.total));
    assert_eq!(world.namespace(&id(DAPP)), set.into_iter().collect());
}
