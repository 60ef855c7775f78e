//! What is modelled: a request, who sits on its seats, and what its executions give.

use std::{ops::Range, sync::Arc};

use outlayer_protocol::{
    AccountId, CodeRef, Compute, Config, EngineVersion, ExecutionContext, ExecutionRecord,
    ExecutionRequest, ExecutionResponse, Hash32, NearToken, ReadEntry, ResponsePart, Status,
    commitment::{SALT_BYTES, Salt, commitment},
    machine::{self, LiveRequest},
    pricing::{least_fee, protocol_share, quote, response_fee},
    random_seed,
    reserve::MOST_ID_BYTES,
    upload::MIN_PART_BYTES,
};

/// The height at which the request is made.
pub(crate) const REQUESTED: u64 = 1_000;
const REQUEST_ID: u64 = 7;
const BYTE_COST: NearToken = NearToken::from_yoctonear(10_000_000_000_000_000_000);

/// Whether a worker follows the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Party {
    /// It executes, commits to what comes out, reveals it, and submits it.
    Honest,
    /// It does whatever the adversary wants, together with all others of its kind.
    Faulty,
}

/// A seat, by the workers that were drawn for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Seat {
    pub(crate) holder: Party,
    pub(crate) successor: Option<Party>,
}

impl Seat {
    /// Whether the adversary may ever use the seat.
    fn is_in_reach(self) -> bool {
        self.holder == Party::Faulty || self.successor == Some(Party::Faulty)
    }
}

/// A part of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    First,
    Second,
    /// All of it at once, as a part.
    Only,
}

/// What a digest or a body is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Content {
    /// What an execution on the storage of the round gives.
    Truth,
    /// What all faulty workers would rather have.
    Lie,
}

/// How the body of an answer reaches the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// In one call, and it is taken.
    Small,
    /// In one call. Once, readers have a key that it writes, and it is told to wait.
    Waits,
    /// In two parts or in one, and every worker that may send parts sends some.
    InParts,
}

/// How the receipts arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// What honest workers send lands in its phase, and a resumed yield calls back in time.
    Lands,
    /// Anything may be late, or never arrive.
    Any,
}

/// What a worker is paid, without the protocol's share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wages {
    pub(crate) submit: u128,
    pub(crate) close: u128,
    pub(crate) cancelled: u128,
}

/// What an execution gives.
#[derive(Clone, Debug)]
struct Answer {
    response: ExecutionResponse,
    digest: Hash32,
    output_hash: Hash32,
    /// The first half, the second one, and all of it.
    parts: [ResponsePart; 3],
}

/// A request, its seats, and the power of the adversary.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) approvals: u8,
    pub(crate) spares: u8,
    /// How many seats the adversary has. Where receipts land, a seat is its own when it is the
    /// holder; the seats of honest holders may have faulty successors besides. Where they may not
    /// land, it is its own when it is the holder or the successor.
    pub(crate) faulty: u8,
    pub(crate) network: Network,
    /// How often a key that the execution reads may change.
    pub(crate) conflicts: u8,
    /// How many rounds have time to end, however late each of them does.
    pub(crate) windows: u8,
    pub(crate) body: Body,
    template: LiveRequest,
    /// The truth of each round, with its digest.
    truths: Vec<Answer>,
    lie: Answer,
    ids: Vec<AccountId>,
    outsider: AccountId,
    /// The secrets of each round, by worker.
    salts: Vec<Vec<Salt>>,
}

impl Scenario {
    pub(crate) fn new(
        (approvals, spares, faulty): (u8, u8, u8),
        network: Network,
        (conflicts, windows): (u8, u8),
        body: Body,
    ) -> Self {
        let mut config = Config::new(EngineVersion(1), 84);
        let code = serde_json::json!({ "code": { "hash": Hash32::of(b"code") } });
        let mut request: ExecutionRequest = serde_json::from_value(code).unwrap();
        (request.approvals, request.spares) = (approvals, spares);
        // The key that the execution reads, and one that it might write.
        let writes = u32::from(body == Body::Waits);
        request.limits = request.limits.with_storage(1, writes, 0);
        // The truth takes all that the request allows, so it costs all that is attached.
        let output_bytes = if body == Body::InParts { 2 * MIN_PART_BYTES } else { 5 };
        request.limits.output_bytes = output_bytes;
        // The shortest window that such a request is taken with, for each of these rounds.
        config.yield_timeout_blocks =
            config.agreement_blocks(&request.limits, request.http_limits()) * u64::from(windows);
        let quote = quote(&config, &request, Some(&id("dapp")), MOST_ID_BYTES, BYTE_COST).unwrap();
        let context = ExecutionContext {
            request_id: REQUEST_ID,
            contract_id: id("outlayer"),
            block_height: REQUESTED,
            block_timestamp: 1_763_942_400_000_000_000,
            epoch_height: 16,
            random_seed: random_seed(REQUEST_ID, &[9; 32]),
            signer_id: id("alice"),
            predecessor_id: id("dapp"),
            // Not a yocto more than is asked for.
            attached_deposit: quote.total,
        };
        let code = CodeRef { hash: Hash32::of(b"code"), url: None };
        let (pinned, data_id) = (code.into(), Hash32::of(b""));
        let template =
            LiveRequest::accept(&config, &request, pinned, context, quote, data_id).unwrap();
        let answer = |response: ExecutionResponse| {
            let digest = ExecutionRecord::new(&template, &response).digest();
            let output_hash = Hash32::of(&response.output);
            let whole = borsh::to_vec(&response).unwrap();
            let part = |range: Range<usize>| ResponsePart {
                request_id: REQUEST_ID,
                digest,
                total_bytes: whole.len() as u32,
                offset: range.start as u32,
                bytes: whole[range].into(),
            };
            let (half, all) = (whole.len() / 2, whole.len());
            let parts = [0..half, half..all, 0..all].map(part);
            Answer { response, digest, output_hash, parts }
        };
        let lie = ExecutionResponse {
            request_id: REQUEST_ID,
            status: Status::Completed,
            // As long as the truth, so that sending it costs the same.
            output: vec![b'l'; output_bytes as usize].into(),
            used: Compute::Fuel(2_000),
            reads: Vec::new(),
            journal: Vec::new(),
            log_hash: Hash32::of(b""),
            transcript: Default::default(),
            plan: Default::default(),
        };
        let truth = |round| ExecutionResponse {
            output: vec![b't'; output_bytes as usize].into(),
            used: request.limits.compute,
            reads: vec![ReadEntry { key: "k".into(), value_hash: Some(Hash32::of(&[round])) }],
            ..lie.clone()
        };
        let workers = 2 * (approvals + spares);
        let salt = |round, worker| {
            let mut salt = [round; SALT_BYTES];
            salt[0] = worker;
            salt
        };
        Self {
            approvals,
            spares,
            faulty,
            network,
            conflicts,
            windows,
            body,
            truths: (0..=conflicts).map(truth).map(answer).collect(),
            lie: answer(lie.clone()),
            template,
            ids: (0..workers).map(|n| id(&format!("worker-{n}"))).collect(),
            outsider: id("outsider"),
            salts: (0..=conflicts)
                .map(|round| (0..=workers).map(|worker| salt(round, worker)).collect())
                .collect(),
        }
    }

    pub(crate) fn seats(&self) -> usize {
        usize::from(self.approvals + self.spares)
    }

    /// The worker that registered but was not drawn, by the number that follows those drawn.
    pub(crate) fn outsider(&self) -> usize {
        self.ids.len()
    }

    /// The account of a worker: the holders of the seats come first, then their successors, then
    /// the outsider.
    pub(crate) fn id(&self, worker: usize) -> &AccountId {
        self.ids.get(worker).unwrap_or(&self.outsider)
    }

    pub(crate) fn worker(&self, id: &AccountId) -> usize {
        self.ids.iter().position(|one| one == id).unwrap_or(self.outsider())
    }

    pub(crate) fn requester(&self) -> &AccountId {
        &self.template.context.predecessor_id
    }

    pub(crate) fn deposit(&self) -> u128 {
        self.template.deposit().as_yoctonear()
    }

    fn answer(&self, content: Content, round: u32) -> &Answer {
        match content {
            Content::Truth => &self.truths[round as usize],
            Content::Lie => &self.lie,
        }
    }

    pub(crate) fn body(&self, content: Content, round: u32) -> &ExecutionResponse {
        &self.answer(content, round).response
    }

    /// The same with the hash of its output, which takes long to compute.
    pub(crate) fn submitted(&self, content: Content, round: u32) -> machine::Body<'_> {
        let Answer { response, output_hash, .. } = self.answer(content, round);
        machine::Body { response, output_hash: *output_hash }
    }

    pub(crate) fn part(&self, content: Content, round: u32, part: Part) -> &ResponsePart {
        &self.answer(content, round).parts[part as usize]
    }

    pub(crate) fn digest(&self, content: Content, round: u32) -> Hash32 {
        self.answer(content, round).digest
    }

    /// The secret of a worker in a round.
    pub(crate) fn salt(&self, worker: usize, round: u32) -> &Salt {
        &self.salts[round as usize][worker]
    }

    pub(crate) fn commitment(&self, worker: usize, content: Content, round: u32) -> Hash32 {
        let digest = self.digest(content, round);
        commitment(&digest, self.id(worker), round, self.salt(worker, round))
    }

    fn net(&self, amount: NearToken) -> u128 {
        let protocol = protocol_share(amount, self.template.terms.protocol_share_bps);
        amount.as_yoctonear() - protocol.as_yoctonear()
    }

    /// What a share of a settled answer is worth to a worker.
    pub(crate) fn share(&self, content: Content) -> u128 {
        let (prices, request) = (&self.template.terms.prices, &self.template);
        let body = self.body(content, 0);
        self.net(response_fee(prices, &request.into(), body).unwrap().share)
    }

    pub(crate) fn wages(&self) -> Wages {
        let (prices, asked) = (&self.template.terms.prices, (&self.template).into());
        let fee = response_fee(prices, &asked, self.body(Content::Truth, 0)).unwrap();
        Wages {
            submit: self.net(fee.submit),
            close: self.net(fee.close),
            cancelled: self.net(least_fee(prices, &asked).unwrap()),
        }
    }

    /// The request as it is accepted, where the first `successors` seats have one.
    pub(crate) fn request(&self, successors: usize) -> LiveRequest {
        let mut request = self.template.clone();
        let agreement = request.agreement.as_mut().unwrap();
        agreement.drawn = self.ids[..self.seats() + successors].to_vec();
        request
    }

    /// Whether the adversary has seats enough to settle a lie.
    pub(crate) fn may_lie(&self) -> bool {
        self.faulty >= self.approvals
    }

    /// Every way to sit on the seats, but for the order of like ones: only the first seats have
    /// successors.
    pub(crate) fn seatings(&self) -> Vec<Arc<[Seat]>> {
        let mut all = Vec::new();
        for successors in 0..=self.seats() {
            self.seat_next(successors, &mut Vec::new(), &mut all);
        }
        all
    }

    fn seat_next(&self, successors: usize, taken: &mut Vec<Seat>, all: &mut Vec<Arc<[Seat]>>) {
        if taken.len() == self.seats() {
            let is_faulty = |seat: &&Seat| match self.network {
                Network::Lands => seat.holder == Party::Faulty,
                Network::Any => seat.is_in_reach(),
            };
            if taken.iter().filter(is_faulty).count() == usize::from(self.faulty) {
                all.push(taken.clone().into());
            }
            return;
        }
        let (with, last) = (taken.len() < successors, taken.last().copied());
        let parties = [Party::Honest, Party::Faulty];
        for holder in parties {
            for successor in parties.map(Some).into_iter().chain([None]) {
                let seat = Seat { holder, successor };
                let in_order = taken.len() == successors || last.is_none_or(|last| last <= seat);
                if successor.is_some() == with && in_order {
                    taken.push(seat);
                    self.seat_next(successors, taken, all);
                    taken.pop();
                }
            }
        }
    }
}

fn id(name: &str) -> AccountId {
    format!("{name}.near").parse().unwrap()
}
