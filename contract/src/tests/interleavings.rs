//! The invariants over random histories with several dApps, workers and publishers, an owner,
//! accounts that vanish, and callbacks that fail. The books and the state are audited after every
//! receipt. In the end no money is stuck.

use std::collections::BTreeMap;

use near_sdk::NearToken;
use outlayer_protocol::{
    Bytes, ExecutionResponse, Hash32, OnRefusal, Outcome, RequestId, Settlement, Status,
    limits::Meter,
    record::ExecutionRecord,
    request::{CodeRef, ResponseFormat},
    response::Answer,
    storage::ReadEntry,
    upload::MIN_PART_BYTES,
};
use proptest::prelude::*;

use super::world::*;
use crate::{Contract, ContractError, promises::CallbackArgs};

const DAPPS: [&str; 3] = ["alice.near", "bob.near", "carol.near"];
const WORKERS: [&str; 4] = ["one.near", "two.near", "three.near", "four.near"];
const KEYS: [&str; 3] = ["a", "b", "c"];
const PAYER: &str = "payer.near";
const CODE: &[u8] = b"a module that is published";
/// Bytes of an output that comes in two parts.
const LARGE: u32 = 300_000;
const ZERO: NearToken = NearToken::ZERO;
const HEIR: &str = "heir.near";

/// A module that is published in two parts.
fn large_code() -> Vec<u8> {
    vec![5; 20_000]
}

#[derive(Clone, Debug)]
enum Act {
    Request { dapp: usize, approvals: u8, published: bool, payer: bool, large: bool, excess: u64 },
    Commit { worker: usize, pick: usize, lie: bool },
    Reveal { worker: usize, pick: usize, lie: bool, with_body: bool },
    Close { who: usize, pick: usize },
    Resolve { worker: usize, pick: usize, kind: usize, read: usize, write: usize },
    Part { worker: usize, pick: usize, kind: usize, what: usize },
    Cancel { dapp: usize, pick: usize },
    Deliver { pick: usize },
    Lose { pick: usize },
    Sweep { pick: usize },
    Wait { blocks: u64 },
    Transfers,
    Storage { dapp: usize, what: usize, key: usize, amount: u64 },
    Publish { dapp: usize },
    Unpublish { dapp: usize },
    Withdraw { who: usize },
    Govern { what: usize, worker: usize },
    Vanish { who: usize },
    Gift { from: usize, to: usize, only: bool },
    CodePart { dapp: usize, second: bool, wrong: bool },
    Retire { dapp: usize },
    Stranger { who: usize, what: usize },
    Handover { what: usize },
    Upgrade { what: usize },
    Race { pick: usize },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (n, pick) = (|most: usize| 0..most, || 0..20usize);
    let act = prop_oneof![
        4 => (n(3), 1u8..4, any::<bool>(), any::<bool>(), any::<bool>(), 0u64..1_000)
            .prop_map(|(dapp, approvals, published, payer, large, excess)| {
                let approvals = if approvals == 3 { 2 } else { 1 };
                Act::Request { dapp, approvals, published, payer, large, excess }
            }),
        3 => (n(4), pick(), any::<bool>())
            .prop_map(|(worker, pick, lie)| Act::Commit { worker, pick, lie }),
        3 => (n(4), pick(), any::<bool>(), any::<bool>()).prop_map(
            |(worker, pick, lie, with_body)| Act::Reveal { worker, pick, lie, with_body }
        ),
        1 => (n(8), pick()).prop_map(|(who, pick)| Act::Close { who, pick }),
        8 => (n(4), pick(), n(6), n(8), n(27)).prop_map(|(worker, pick, kind, read, write)| {
            Act::Resolve { worker, pick, kind, read, write }
        }),
        8 => (n(4), pick(), n(3), n(6))
            .prop_map(|(worker, pick, kind, what)| Act::Part { worker, pick, kind, what }),
        1 => (n(3), pick()).prop_map(|(dapp, pick)| Act::Cancel { dapp, pick }),
        5 => pick().prop_map(|pick| Act::Deliver { pick }),
        1 => pick().prop_map(|pick| Act::Lose { pick }),
        1 => pick().prop_map(|pick| Act::Sweep { pick }),
        2 => prop_oneof![1u64..10, 100u64..300].prop_map(|blocks| Act::Wait { blocks }),
        3 => Just(Act::Transfers),
        4 => (n(3), n(7), n(3), 0u64..30)
            .prop_map(|(dapp, what, key, amount)| Act::Storage { dapp, what, key, amount }),
        1 => n(3).prop_map(|dapp| Act::Publish { dapp }),
        1 => n(3).prop_map(|dapp| Act::Unpublish { dapp }),
        2 => n(9).prop_map(|who| Act::Withdraw { who }),
        2 => (n(9), n(4)).prop_map(|(what, worker)| Act::Govern { what, worker }),
        1 => n(8).prop_map(|who| Act::Vanish { who }),
        1 => (n(3), n(3), any::<bool>()).prop_map(|(from, to, only)| Act::Gift { from, to, only }),
        1 => (n(3), any::<bool>(), any::<bool>())
            .prop_map(|(dapp, second, wrong)| Act::CodePart { dapp, second, wrong }),
        1 => n(3).prop_map(|dapp| Act::Retire { dapp }),
        2 => (n(8), n(STRANGERS)).prop_map(|(who, what)| Act::Stranger { who, what }),
        1 => n(4).prop_map(|what| Act::Handover { what }),
        1 => n(3).prop_map(|what| Act::Upgrade { what }),
        1 => pick().prop_map(|pick| Act::Race { pick }),
    ];
    prop::collection::vec(act, 0..60)
}

/// All accounts but the owner's.
fn people() -> Vec<&'static str> {
    [&DAPPS[..], &WORKERS[..], &[PAYER]].concat()
}

/// How many calls only the owner or the contract itself may make.
const STRANGERS: usize = 13;

struct History {
    world: World,
    /// The account that governs.
    owner: &'static str,
    /// What the namespaces must contain, worked out independently.
    model: BTreeMap<&'static str, BTreeMap<Bytes, Bytes>>,
    /// How often each request was settled.
    settled: BTreeMap<RequestId, u32>,
    /// The responses that were staged.
    staged: BTreeMap<RequestId, ExecutionResponse>,
}

impl History {
    fn new() -> Self {
        let mut world = World::new();
        world.register(&WORKERS);
        Self {
            world,
            owner: OWNER,
            model: BTreeMap::new(),
            settled: BTreeMap::new(),
            staged: BTreeMap::new(),
        }
    }

    fn call(
        &mut self,
        by: &str,
        deposit: NearToken,
        call: impl FnOnce(&mut Contract) -> Result<(), ContractError>,
    ) -> bool {
        self.world.call(by, deposit, call).is_ok()
    }

    fn pick(&self, pick: usize) -> Option<RequestId> {
        let live: Vec<_> = self.world.live_requests().into_keys().collect();
        (!live.is_empty()).then(|| live[pick % live.len()])
    }

    fn namespace_of(&self, request_id: RequestId) -> &'static str {
        let live = self.world.live_requests();
        DAPPS.into_iter().find(|name| live[&request_id].namespace() == name).unwrap()
    }

    /// What an honest worker answers now. `read` and `write` say which keys it reads and writes.
    fn body(
        &self,
        request_id: RequestId,
        kind: usize,
        read: usize,
        write: usize,
    ) -> ExecutionResponse {
        let mut body = answer(request_id, if kind == 1 { "lie" } else { "truth" });
        if self.world.live_requests()[&request_id].limits.output_bytes == LARGE {
            body.output.0.resize(LARGE as usize, b'o');
        }
        if kind == 2 {
            body.status = Status::Trapped { reason: "unreachable".to_owned() };
            body.output = Bytes::default();
        }
        if kind == 3 {
            body.used = outlayer_protocol::Compute::Fuel(u64::MAX);
        }
        let values = self.world.namespace(&id(self.namespace_of(request_id)));
        for (bit, key) in KEYS.iter().enumerate() {
            if read >> bit & 1 == 1 {
                let value = values.get(&Bytes::from(*key)).map(|value| Hash32::of(value));
                // Kind 4 executed on a snapshot that is not true.
                let value_hash =
                    if kind == 4 { Some(Hash32::of(b"of another time")) } else { value };
                body.reads.push(ReadEntry { key: (*key).into(), value_hash });
            }
            if kind == 2 {
                continue;
            }
            match write / 3usize.pow(u32::try_from(bit).unwrap()) % 3 {
                1 => body.journal.push(super::world::write(key, None)),
                2 => body.journal.push(super::world::write(key, Some(&format!("by {request_id}")))),
                _ => {}
            }
        }
        body
    }

    fn settle(&mut self, settlement: &Settlement, namespace: &'static str, deposit: NearToken) {
        let Settlement { request_id: Some(request_id), outcome, fee, refund, held, .. } =
            settlement
        else {
            panic!("{settlement:?}")
        };
        *self.settled.entry(*request_id).or_default() += 1;
        assert_eq!(fee.saturating_add(*refund).saturating_add(*held), deposit);
        assert!(*outcome != Outcome::TimedOut || fee.is_zero());
        assert_ne!(*outcome, Outcome::StorageConflict, "locked keys cannot change");
        let body = self.staged.remove(request_id);
        if let Outcome::Completed { .. } = outcome {
            let model = self.model.entry(namespace).or_default();
            let body = body.unwrap();
            for read in &body.reads {
                assert_eq!(
                    model.get(&read.key).map(|value| Hash32::of(value)),
                    read.value_hash,
                    "a lost update"
                );
            }
            for entry in body.journal {
                match entry.value {
                    Some(value) => model.insert(entry.key, value),
                    None => model.remove(&entry.key),
                };
            }
        }
    }

    fn deliver(&mut self, data_id: &[u8; 32]) {
        self.settle_delivery(data_id, World::deliver);
    }

    fn settle_delivery(
        &mut self,
        data_id: &[u8; 32],
        deliver: fn(&mut World, &[u8; 32]) -> Settlement,
    ) {
        let live =
            self.world.live_requests().into_values().find(|request| request.data_id.0 == *data_id);
        let namespace = live.as_ref().map(|request| self.namespace_of(request.id()));
        let settlement = deliver(&mut self.world, data_id);
        match (live, namespace) {
            (Some(live), Some(namespace)) => self.settle(&settlement, namespace, live.deposit()),
            _ => assert_eq!((settlement.outcome, settlement.refund), (Outcome::TimedOut, ZERO)),
        }
    }

    /// The yields that the node would deliver now, because they were resumed or have timed out.
    fn due(&self) -> Vec<[u8; 32]> {
        let live = self.world.live_requests();
        let deadline = |data_id: &[u8; 32]| {
            live.values()
                .find(|request| request.data_id.0 == *data_id)
                .map_or(0, |request| request.terms.deadline)
        };
        let yields = self.world.yields().into_iter();
        yields
            .filter(|(id, open)| open.payload.is_some() || self.world.height > deadline(id))
            .map(|(id, _)| id)
            .collect()
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Request { dapp, approvals, published, payer, large, excess } => {
                let mut request = request("some input");
                // Two seats, or three, for four workers.
                (request.approvals, request.spares) = (approvals, u8::from(payer));
                request.refund_to = payer.then(|| id(PAYER));
                request.response_format =
                    if payer { ResponseFormat::Borsh } else { ResponseFormat::Json };
                if large {
                    request.limits.output_bytes = LARGE;
                }
                if published {
                    request.code = CodeRef { hash: Hash32::of(CODE), url: None }.into();
                }
                request.keep_result_blocks = if excess % 2 == 0 { 50 } else { 0 };
                request.on_refusal = if large { OnRefusal::Return } else { OnRefusal::Panic };
                let cost = self.world.cost(DAPPS[dapp], &request).total;
                // Sometimes a little less than is needed.
                let deposit = cost.saturating_add(yocto(excess.into())).saturating_sub(yocto(100));
                let mut refused = false;
                let called = self.call(DAPPS[dapp], deposit, |c| {
                    refused = c.ask(&request)?.is_some();
                    Ok(())
                });
                let accepted = called && !refused;
                // Most requests are older than a block before anything happens to them.
                self.world.height += u64::from(large);
                assert!(!accepted || deposit >= cost);
            }
            Act::Commit { worker, pick, lie } => {
                let Some(request_id) = self.pick(pick) else {
                    return;
                };
                let digest = if lie {
                    Hash32::of(b"lie")
                } else {
                    let live = &self.world.live_requests()[&request_id];
                    ExecutionRecord::new(live, &self.body(request_id, 0, 1, 2)).digest()
                };
                let _ = self.world.commit(WORKERS[worker], request_id, digest);
            }
            Act::Reveal { worker, pick, lie, with_body } => {
                let open: Vec<_> = self.world.shares().into_keys().collect();
                let Some(request_id) = self.pick(pick).into_iter().chain(open).last() else {
                    return;
                };
                let worker = WORKERS[worker];
                let Some(live) = self.world.live_requests().remove(&request_id) else {
                    let digest = self.world.shares()[&request_id].digest;
                    let digest = if lie { Hash32::of(b"lie") } else { digest };
                    let _ = self.world.reveal(worker, request_id, digest);
                    return;
                };
                let body = self.body(request_id, 0, 1, 2);
                let digest = ExecutionRecord::new(&live, &body).digest();
                if with_body {
                    let answer = Answer { response: body.clone(), digest, salt: Some(SALT) };
                    let taken =
                        self.call(worker, ZERO, |c| c.resolve_execution(answer).map(|_| ()));
                    if taken && self.world.live(request_id).phase.name() == "staged" {
                        self.staged.insert(request_id, body);
                    }
                } else {
                    let digest = if lie { Hash32::of(b"lie") } else { digest };
                    let _ = self.world.reveal(worker, request_id, digest);
                }
            }
            Act::Close { who, pick } => {
                let open = self.world.shares().into_keys();
                let Some(request_id) = open.chain(self.pick(pick)).next() else {
                    return;
                };
                self.call(people()[who], ZERO, |c| c.close(request_id));
            }
            Act::Resolve { worker, pick, kind, read, write } => {
                let Some(request_id) = self.pick(pick) else {
                    return;
                };
                let several = self.world.live_requests()[&request_id].approvals() > 1;
                let body = if several {
                    self.body(request_id, 0, 1, 2)
                } else {
                    self.body(request_id, kind, read, write)
                };
                let taken = self.world.resolve(WORKERS[worker], &body).is_ok();
                let live = &self.world.live_requests()[&request_id];
                if taken && live.phase.name() == "staged" {
                    self.staged.insert(request_id, body);
                }
            }
            Act::Part { worker, pick, kind, what } => {
                let Some(request_id) = self.pick(pick) else {
                    return;
                };
                let live = &self.world.live_requests()[&request_id];
                let kind = if live.approvals() > 1 { 0 } else { kind };
                let body = self.body(request_id, kind, 1, 2);
                let part = MIN_PART_BYTES as usize;
                let next = match (what, &live.upload) {
                    (0, _) | (_, None) => 0,
                    (1, _) => part,
                    (_, Some(upload)) => upload.staged_bytes as usize,
                };
                let digest = match what {
                    2 => Hash32::of(b"lie"),
                    _ => ExecutionRecord::new(live, &body).digest(),
                };
                let whole = borsh::to_vec(&body).unwrap().len();
                let range = next.min(whole)..next.min(whole) + part;
                let taken = self.world.send(WORKERS[worker], digest, &body, range).is_ok();
                let live = &self.world.live_requests()[&request_id];
                if taken && live.phase.name() == "staged" {
                    self.staged.insert(request_id, body);
                }
            }
            Act::Cancel { dapp, pick } => {
                let Some(request_id) = self.pick(pick) else {
                    return;
                };
                self.call(DAPPS[dapp], ZERO, |c| c.cancel_execution(request_id));
            }
            Act::Deliver { pick } => {
                let due = self.due();
                if !due.is_empty() {
                    self.deliver(&due[pick % due.len()]);
                }
            }
            Act::Lose { pick } => {
                let due = self.due();
                if !due.is_empty() {
                    self.world.lose(&due[pick % due.len()]);
                }
            }
            Act::Sweep { pick } => {
                let Some(request_id) = self.pick(pick) else {
                    return;
                };
                self.sweep(request_id);
            }
            Act::Wait { blocks } => self.world.height += blocks,
            Act::Transfers => self.world.deliver_transfers(),
            Act::Storage { dapp, what, key, amount } => {
                self.storage(DAPPS[dapp], what, KEYS[key], amount)
            }
            Act::Publish { dapp } => {
                let total = u32::try_from(CODE.len()).unwrap();
                self.call(DAPPS[dapp], NearToken::from_millinear(20), |c| {
                    c.publish_code(Hash32::of(CODE), total, 0, CODE.to_vec())
                });
            }
            Act::Unpublish { dapp } => {
                self.call(DAPPS[dapp], ZERO, |c| c.delete_code(Hash32::of(CODE)));
            }
            Act::Gift { from, to, only } => {
                let (to, amount) = (id(DAPPS[to]), NearToken::from_millinear(3));
                self.call(DAPPS[from], amount, |c| {
                    c.storage_deposit(Some(to), Some(only)).map(drop)
                });
            }
            Act::CodePart { dapp, second, wrong } => self.publish_part(DAPPS[dapp], second, wrong),
            Act::Retire { dapp } => {
                self.call(DAPPS[dapp], NearToken::from_millinear(2), |c| {
                    c.retire_code(Hash32::of(CODE))
                });
            }
            Act::Stranger { who, what } => self.stranger(people()[who], what),
            Act::Handover { what } => self.hand_over(what),
            Act::Upgrade { what } => self.upgrade(what),
            Act::Race { pick } => {
                // The timeout overtakes the resume.
                let due = self.due();
                if !due.is_empty() {
                    let data_id = due[pick % due.len()];
                    self.settle_delivery(&data_id, World::time_out);
                }
            }
            Act::Withdraw { who } => self.withdraw(who),
            Act::Govern { what, worker } => self.govern(what, WORKERS[worker]),
            Act::Vanish { who } => {
                let who = id(people()[who]);
                if !self.world.deleted.remove(&who) {
                    self.world.deleted.insert(who);
                }
            }
        }
    }

    fn sweep(&mut self, request_id: RequestId) {
        let live = self.world.live_requests().remove(&request_id).unwrap();
        let namespace = self.namespace_of(request_id);
        if let Ok(settlement) =
            self.world.call("anyone.near", ZERO, |c| c.sweep_expired(request_id))
        {
            assert_eq!(settlement.outcome, Outcome::TimedOut);
            self.settle(&settlement, namespace, live.deposit());
        }
    }

    fn storage(&mut self, by: &'static str, what: usize, key: &str, amount: u64) {
        let deposit = NearToken::from_micronear(u128::from(amount) * 200);
        let one = yocto(1);
        // What the live requests cost that may read the namespace. Without it the change is
        // refused while there are any.
        let fee = self.world.view(|c| c.get_change_fee(id(by)));
        match what {
            0 | 1 => {
                let paid = if what == 0 { deposit.saturating_add(fee) } else { deposit };
                if self.call(by, paid, |c| c.storage_set(key.into(), "directly".into())) {
                    self.model.entry(by).or_default().insert(key.into(), "directly".into());
                }
            }
            2 => {
                if self.call(by, fee, |c| c.storage_remove(key.into()).map(drop)) {
                    self.model.entry(by).or_default().remove(&Bytes::from(key));
                }
            }
            3 | 4 => {
                self.call(by, deposit, |c| c.storage_deposit(None, Some(what == 4)).map(drop));
            }
            5 => {
                self.call(by, one, |c| {
                    c.storage_withdraw((amount > 10).then_some(deposit)).map(drop)
                });
            }
            _ => {
                if self.call(by, one, |c| c.storage_unregister(Some(amount > 10)).map(drop)) {
                    self.model.remove(by);
                }
            }
        }
    }

    fn withdraw(&mut self, who: usize) {
        let Some(who) = people().get(who).copied() else {
            self.call(self.owner, yocto(1), |c| c.withdraw_protocol_share().map(drop));
            return;
        };
        self.call(who, yocto(1), |c| c.claim().map(drop));
        self.call(who, yocto(1), |c| c.withdraw_earnings().map(drop));
    }

    fn govern(&mut self, what: usize, worker: &str) {
        let worker = id(worker);
        let mut config = config();
        match what {
            0 => self.call(self.owner, yocto(1), |c| c.pause()),
            1 | 2 => self.call(self.owner, yocto(1), |c| c.unpause()),
            3 => self.call(self.owner, yocto(1), |c| c.remove_worker(worker)),
            4 | 5 => self.call(self.owner, yocto(1), |c| c.register_worker(worker, None)),
            6 => self.call(self.owner, yocto(1), |c| c.suspend_worker(worker, true)),
            7 => self.call(self.owner, yocto(1), |c| c.suspend_worker(worker, false)),
            _ => {
                config.protocol_share_bps = 3_333;
                self.call(self.owner, yocto(1), |c| c.set_config(config))
            }
        };
    }

    fn publish_part(&mut self, by: &str, second: bool, wrong: bool) {
        let code = large_code();
        let hash = if wrong { Hash32::of(b"other") } else { Hash32::of(&code) };
        let (offset, range) = if second { (17_000, 17_000..20_000) } else { (0, 0..17_000) };
        let part = code[range].to_vec();
        let deposit = NearToken::from_millinear(if wrong { 172 } else { 300 });
        self.call(by, deposit, |c| c.publish_code(hash, 20_000, offset, part));
    }

    /// What only the owner or the contract itself may do changes nothing when another account
    /// tries.
    fn stranger(&mut self, by: &str, what: usize) {
        let (me, before) = (id(by), self.world.storage.clone());
        let settled = CallbackArgs {
            request_id: self.pick(what).unwrap_or_default(),
            response_format: ResponseFormat::Json,
            meter: Meter::Fuel,
        };
        let taken = match what {
            0 => self.call(by, ZERO, |_| Contract::on_refund(me, NearToken::from_near(5))),
            1 => self.call(by, ZERO, |c| c.settle(&settled).map(drop)),
            2 => self.call(by, ZERO, |_| Contract::migrate().map(drop)),
            3 => self.call(by, yocto(1), |c| c.upgrade()),
            4 => self.call(by, yocto(1), |c| c.propose_upgrade(None)),
            5 => self.call(by, yocto(1), |c| c.propose_owner(me)),
            6 => self.call(by, yocto(1), |c| c.accept_owner()),
            7 => self.call(by, yocto(1), |c| c.pause()),
            8 => self.call(by, yocto(1), |c| c.unpause()),
            9 => self.call(by, yocto(1), |c| c.set_config(config())),
            10 => self.call(by, yocto(1), |c| c.register_worker(me, None)),
            11 => self.call(by, yocto(1), |c| c.suspend_worker(me, false)),
            _ => self.call(by, yocto(1), |c| c.withdraw_protocol_share().map(drop)),
        };
        assert!(!taken, "{what} by {by}");
        assert_eq!(self.world.storage, before);
    }

    /// Hands the ownership over and back, in two steps.
    fn hand_over(&mut self, what: usize) {
        let other = if self.owner == OWNER { HEIR } else { OWNER };
        match what {
            0 => self.call(self.owner, yocto(1), |c| c.propose_owner(id(other))),
            1 => self.call(self.owner, yocto(1), |c| c.propose_owner(id(self.owner))),
            _ => {
                let taken = self.call(other, yocto(1), |c| c.accept_owner());
                if taken {
                    self.owner = other;
                }
                taken
            }
        };
    }

    /// Upgrades to code of the same layout.
    fn upgrade(&mut self, what: usize) {
        let code = b"new code".to_vec();
        match what {
            0 => {
                self.call(self.owner, yocto(1), |c| {
                    c.propose_upgrade(Some(Hash32::of(b"new code")))
                });
            }
            1 => {
                self.world.input = code;
                let live: Vec<_> = self.world.live_requests().into_values().collect();
                let announced = self.world.contract().upgrade.clone();
                if self.call(self.owner, yocto(1), |c| c.upgrade()) {
                    // No request is live that was live when the upgrade was announced.
                    let earliest = announced.unwrap().from_height - 400;
                    assert!(live.iter().all(|one| one.context.block_height >= earliest));
                }
                self.world.input.clear();
            }
            _ => {
                let before = self.world.storage.clone();
                self.call(CONTRACT, ZERO, |c| Contract::migrate().map(|new| *c = new));
                assert_eq!(self.world.storage, before);
            }
        }
    }

    fn check(&self) {
        self.world.audit();
        for name in DAPPS {
            let expected = self.model.get(name).cloned().unwrap_or_default();
            assert_eq!(self.world.namespace(&id(name)), expected, "{name}");
        }
    }

    /// The money of all accounts together.
    fn total(&self) -> u128 {
        let everybody = people().into_iter().chain([OWNER, HEIR, "anyone.near"]);
        let purses: u128 = everybody.map(|name| self.world.purse(&id(name)).as_yoctonear()).sum();
        let moving: u128 =
            self.world.transfers.iter().map(|transfer| transfer.amount.as_yoctonear()).sum();
        purses + moving + self.world.balance.as_yoctonear()
    }

    /// Brings everything to its end, and everybody's money home.
    fn finish(&mut self) {
        self.world.height += 1_000;
        for data_id in self.due() {
            self.deliver(&data_id);
        }
        for request_id in self.world.live_requests().into_keys() {
            self.sweep(request_id);
        }
        for request_id in self.world.shares().into_keys() {
            assert!(self.call("anyone.near", ZERO, |c| c.close(request_id)));
        }
        self.check();
        assert!(self.world.live_requests().is_empty());
        let made = self.world.view(|c| c.next_request_id);
        assert_eq!(self.settled, (0..made).map(|request_id| (request_id, 1)).collect());
        self.world.height += 51;
        for request_id in 0..made {
            self.call("anyone.near", ZERO, |c| c.remove_result(request_id));
        }
        // First the payments that are on their way, which may bounce; then those that have bounced.
        self.world.deliver_transfers();
        self.world.deleted.clear();
        for dapp in DAPPS {
            self.call(dapp, yocto(1), |c| c.storage_unregister(Some(true)).map(drop));
            for code in [CODE, &large_code()] {
                self.call(dapp, ZERO, |c| c.delete_code(Hash32::of(code)));
            }
            self.call(dapp, ZERO, |c| c.delete_code(Hash32::of(b"other")));
        }
        for who in 0..9 {
            self.withdraw(who);
        }
        self.world.deliver_transfers();
        self.world.audit();
        assert_eq!(self.world.balance, OWN, "something is stuck");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_the_books_balance_and_nothing_is_stuck(acts in acts()) {
        let mut history = History::new();
        let total = history.total();
        for act in &acts {
            history.act(act);
            history.check();
            prop_assert_eq!(history.total(), total, "{:?}", act);
        }
        history.finish();
        prop_assert_eq!(history.total(), total);
    }
}
