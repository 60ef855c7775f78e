//! A chain with one OutLayer contract on it, behind a fake node. Requests move by the protocol's
//! own state machine.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use near_primitives::{
    action::Action,
    hash::CryptoHash,
    transaction::{SignedTransaction, Transaction},
};
use outlayer_protocol::{
    AccountId, Agreement, Bytes, Claims, Config, ExecutionResponse, Hash32, NearToken, RefusalCode,
    RequestId, ResumePayload, Settlement,
    index::{PendingEntry, PendingPage},
    machine::{
        Body, Delivery, Effect, Input, LiveRequest, OpenShares, Phase, SharesStep, Step, Taken,
    },
    methods, response,
    storage::{StorageCheck, first_conflict},
    views::{RequestState, RequestView, WorkerView},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Answer, FakeNode, executed, header_at, invalid_nonce, nonce_too_large, request_view, status,
    unknown_transaction, view_bytes_at,
};

/// The account of the only registered worker.
pub const WORKER: &str = "worker.near";

/// The chain's state.
pub struct Chain {
    /// The terms under which requests are accepted.
    config: Config,
    /// The nonces of access keys.
    nonces: HashMap<String, u64>,
    /// What the transactions returned that were executed.
    outcomes: HashMap<CryptoHash, Result<Vec<u8>, String>>,
    /// What the worker's account has.
    pub balance: NearToken,
    /// The height of the newest block. Every transaction makes a block.
    pub height: u64,
    /// Whether every look at the newest block makes one, so that time passes for who waits.
    pub time_passes: bool,
    /// The requests that the worker is executing. No time passes meanwhile: how many blocks come
    /// during an execution would depend on how busy the machine is.
    pub executing: BTreeSet<RequestId>,
    /// Requests that are not settled yet, with their inputs.
    pub live: BTreeMap<RequestId, RequestView>,
    /// How often the index is read until a request is settled whose yield was resumed.
    pub looks: u32,
    /// The requests as they were made, when a view of a single one shows them so: a node behind the
    /// same address that lags.
    pub stale: BTreeMap<RequestId, RequestView>,
    /// The requests whose yields were resumed, and how often the index was read since.
    resumed: HashMap<RequestId, (Option<ExecutionResponse>, u32)>,
    /// The open shares of settled requests.
    pub shares: BTreeMap<RequestId, OpenShares>,
    /// What the callers received, in the order of settlement.
    pub settled: Vec<Settlement>,
    /// Who was paid, in the order of payment.
    pub paid: Vec<AccountId>,
    /// The requester's namespace.
    pub storage: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Published code, by the hash under which it is found. A test may publish other bytes.
    pub codes: HashMap<String, Vec<u8>>,
    /// Runs once, before the next submission is looked at.
    pub before_resolve: Option<fn(&mut Chain)>,
    /// Runs once, before the next claim is looked at.
    pub before_claim: Option<fn(&mut Chain)>,
    /// How many submissions are told to wait for readers.
    pub waits: u32,
    /// The registered workers.
    pub workers: Vec<AccountId>,
    /// What the node makes of a request before it shows it: a node may lie.
    pub shown: Option<fn(&mut RequestView)>,
    /// The methods that the contract was called with, by the account that called.
    pub calls: Vec<(AccountId, String)>,
    /// The messages of refused calls.
    pub refused: Vec<String>,
    /// The transactions that were sent, in the order in which each was seen first.
    pub signed: Vec<SignedCall>,
}

/// A transaction that was sent to the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCall {
    /// Its hash. The same transaction may be sent several times.
    pub hash: CryptoHash,
    /// The method that it calls.
    pub method: String,
    /// The arguments of the call.
    pub args: Vec<u8>,
    /// Whether it can never be executed, because its nonce is used up.
    pub is_void: bool,
}

#[derive(Deserialize)]
struct PageArgs {
    from_index: usize,
    limit: usize,
}

#[derive(Deserialize)]
struct IndexArgs {
    from_id: RequestId,
    limit: usize,
}

#[derive(Deserialize)]
struct ClaimArgs {
    request_id: RequestId,
}

#[derive(Deserialize)]
struct CommitArgs {
    request_id: RequestId,
    round: u32,
    commitment: Hash32,
}

#[derive(Deserialize)]
struct RevealArgs {
    request_id: RequestId,
    digest: Hash32,
    salt: Bytes,
}

#[derive(Deserialize)]
struct CloseArgs {
    request_id: RequestId,
}

fn json_args<T: DeserializeOwned>(args: &[u8]) -> T {
    serde_json::from_slice(args).unwrap()
}

impl Chain {
    /// A chain without requests, whose contract has the configuration `config`.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            nonces: HashMap::new(),
            balance: NearToken::from_near(10),
            height: 100,
            time_passes: false,
            executing: BTreeSet::new(),
            live: BTreeMap::new(),
            looks: 3,
            stale: BTreeMap::new(),
            resumed: HashMap::new(),
            shares: BTreeMap::new(),
            settled: Vec::new(),
            paid: Vec::new(),
            storage: BTreeMap::new(),
            codes: HashMap::new(),
            before_resolve: None,
            before_claim: None,
            waits: 0,
            workers: vec![WORKER.parse().unwrap()],
            shown: None,
            outcomes: HashMap::new(),
            calls: Vec::new(),
            refused: Vec::new(),
            signed: Vec::new(),
        }
    }

    /// Puts the chain behind a node.
    pub async fn start(self) -> (FakeNode, Arc<Mutex<Chain>>) {
        let chain = Arc::new(Mutex::new(self));
        let shared = Arc::clone(&chain);
        let answer =
            move |method: &str, params: &Value| shared.lock().unwrap().answer(method, params);
        (FakeNode::start(answer).await, chain)
    }

    /// Adds a request for `code`, which is published.
    pub fn ask(&mut self, id: RequestId, code: &[u8]) {
        let hash = Hash32::of(code);
        self.codes.insert(hash.to_string(), code.to_vec());
        let mut view = request_view(&self.config, id, "input");
        view.request.code.hash = hash;
        self.live.insert(id, view);
    }

    /// Adds a request for `code` whose execution may take so long that workers claim it.
    pub fn ask_long(&mut self, id: RequestId, code: &[u8]) {
        self.ask(id, code);
        let request = &mut self.live.get_mut(&id).unwrap().request;
        let turn_blocks = self.config.turn_blocks(&request.limits, request.http_limits());
        request.claims = Some(Claims { turn_blocks, made: Vec::new() });
        request.context.block_height = self.height;
        request.terms.deadline = self.height + self.config.yield_timeout_blocks;
    }

    /// Adds a request for `code` on whose answer `approvals` of these workers must agree, the
    /// holders of the seats and then their successors.
    pub fn ask_several(
        &mut self,
        id: RequestId,
        code: &[u8],
        (approvals, seats): (u8, u8),
        drawn: &[&str],
    ) {
        self.ask(id, code);
        let request = &mut self.live.get_mut(&id).unwrap().request;
        let drawn = drawn.iter().map(|id| id.parse().unwrap()).collect();
        let turn_blocks = self.config.turn_blocks(&request.limits, request.http_limits());
        request.agreement = Some(Agreement::new(approvals, seats, turn_blocks, drawn, self.height));
        // Every seat is paid a share.
        request.terms.max_fee = request.deposit();
    }

    /// What the node answers.
    pub fn answer(&mut self, method: &str, params: &Value) -> Answer {
        match (method, params["request_type"].as_str()) {
            ("block", _) => {
                let height = params["block_id"].as_u64().unwrap_or_else(|| {
                    // While something is to be settled, there are blocks.
                    let passes = self.time_passes && self.executing.is_empty();
                    let passes = passes || !self.resumed.is_empty();
                    self.height += u64::from(passes);
                    self.height
                });
                let header = header_at(height);
                Answer::Result(json!({ "author": "v.near", "header": header, "chunks": [] }))
            }
            ("status", _) => Answer::Result(status("testnet", &CryptoHash::default(), self.height)),
            ("query", Some("view_account")) => Answer::Result(json!({
                "amount": self.balance.as_yoctonear().to_string(), "locked": "0",
                "code_hash": "11111111111111111111111111111111", "storage_usage": 200,
                "storage_paid_at": 0, "block_height": 100,
                "block_hash": "11111111111111111111111111111111"
            })),
            ("query", Some("view_access_key")) => Answer::Result(json!({
                "nonce": self.nonces.get(params["public_key"].as_str().unwrap()).unwrap_or(&0),
                "permission": "FullAccess", "block_height": 100,
                "block_hash": "11111111111111111111111111111111"
            })),
            ("query", Some("call_function")) => {
                let args: Bytes = serde_json::from_value(params["args_base64"].clone()).unwrap();
                if params["method_name"] == methods::PENDING_INDEX {
                    self.settle_all_due();
                    let IndexArgs { from_id, limit } = json_args(&args);
                    let entries = self.live.values().map(|view| PendingEntry::from(&view.request));
                    let entries = entries.filter(|entry| entry.request_id >= from_id).take(limit);
                    let entries: Vec<_> = entries.collect();
                    let last = entries.last().map_or(from_id, |entry| entry.request_id);
                    let next_id =
                        self.live.range(last.saturating_add(1)..).next().map(|one| *one.0);
                    let page = PendingPage { entries, next_id };
                    return view_bytes_at(&borsh::to_vec(&page).unwrap(), self.height);
                }
                if params["method_name"] == methods::SHARES_INDEX {
                    let PageArgs { from_index, limit } = json_args(&args);
                    let shares: Vec<_> =
                        self.shares.values().skip(from_index).take(limit).collect();
                    return view_bytes_at(&borsh::to_vec(&shares).unwrap(), self.height);
                }
                if params["method_name"] == methods::GET_REQUESTS {
                    let ids: Vec<RequestId> = borsh::from_slice(&args).unwrap();
                    let views: Vec<_> = ids.into_iter().map(|id| self.shown(id)).collect();
                    return view_bytes_at(&borsh::to_vec(&views).unwrap(), self.height);
                }
                let args: Value = serde_json::from_slice(&args).unwrap();
                let id = args["request_id"].as_u64();
                let stale = id.and_then(|id| self.stale.get(&id)).cloned();
                if let Some(stale) = stale.filter(|_| params["method_name"] == methods::GET_REQUEST)
                {
                    let height = stale.request.context.block_height;
                    let state = json!(RequestState::Live(Box::new(stale))).to_string();
                    return view_bytes_at(state.as_bytes(), height);
                }
                let value = self.view(params["method_name"].as_str().unwrap(), &args);
                view_bytes_at(value.to_string().as_bytes(), self.height)
            }
            ("send_tx", _) => self.send(params),
            ("tx", _) => self.outcome(&params["tx_hash"].as_str().unwrap().parse().unwrap()),
            other => panic!("unexpected {other:?}"),
        }
    }

    fn view(&mut self, method: &str, args: &Value) -> Value {
        match method {
            methods::LIST_WORKERS => {
                let view = |worker_id: &AccountId| WorkerView {
                    worker_id: worker_id.clone(),
                    earnings: NearToken::from_yoctonear(0),
                    settled: 0,
                    lost: 0,
                    missed: 0,
                    suspended: false,
                    metadata: String::new(),
                };
                json!(self.workers.iter().map(view).collect::<Vec<_>>())
            }
            methods::GET_REQUEST => {
                json!(match self.shown(args["request_id"].as_u64().unwrap()) {
                    Some(view) => RequestState::Live(Box::new(view)),
                    None => RequestState::Settled,
                })
            }
            methods::GET_SHARES => json!(self.shares.get(&args["request_id"].as_u64().unwrap())),
            methods::GET_CODE_INFO => {
                let hash = args["hash"].as_str().unwrap();
                json!(self.codes.get(hash).map(|bytes| json!({
                    "hash": hash, "publisher_id": "p.near",
                    "total_bytes": bytes.len(), "published_bytes": bytes.len()
                })))
            }
            methods::RECENT_CODE => {
                let from = usize::try_from(args["from"].as_u64().unwrap()).unwrap();
                let hashes = self.codes.keys().map(|hash| json!({ "hash": hash, "url": null }));
                json!({
                    "next": self.codes.len(),
                    "code": hashes.skip(from).collect::<Vec<_>>(),
                })
            }
            methods::GET_CODE => json!(
                self.codes.get(args["hash"].as_str().unwrap()).map(|bytes| Bytes(bytes.clone()))
            ),
            methods::STORAGE_GET => {
                let key: Bytes = serde_json::from_value(args["key"].clone()).unwrap();
                json!(self.storage.get(&key.0).map(|value| Bytes(value.clone())))
            }
            other => panic!("unexpected view {other}"),
        }
    }

    /// The request as the node shows it.
    fn shown(&self, id: RequestId) -> Option<RequestView> {
        let mut view = self.live.get(&id).cloned();
        if let (Some(view), Some(lie)) = (&mut view, self.shown) {
            lie(view);
        }
        view
    }

    /// Settles the requests whose yield was resumed before the index was last read.
    fn settle_all_due(&mut self) {
        let mut due = Vec::new();
        for (id, (_, looks)) in &mut self.resumed {
            *looks += 1;
            if *looks >= self.looks {
                due.push(*id);
            }
        }
        due.into_iter().for_each(|id| self.settle(id));
    }

    /// Settles a request whose yield was resumed.
    pub fn settle(&mut self, id: RequestId) {
        let (body, _) = self.resumed.remove(&id).unwrap();
        let request = self.live.remove(&id).unwrap().request;
        let payload = match request.phase {
            Phase::Staged { digest, .. } => ResumePayload::Digest(digest),
            Phase::Disputing { .. } => ResumePayload::Dispute,
            _ => panic!("not resumed"),
        };
        let staged = body.as_ref().map(|body| (body, StorageCheck::Fits));
        let delivery = Delivery::Resumed { payload: payload.encode().into(), staged };
        let deliver = Input::Deliver { delivery, height: self.height };
        let Ok(Step::Settled(settlement, effects)) = request.step(deliver) else {
            panic!("not settled")
        };
        self.carry_out(&effects);
        self.settled.push(settlement);
    }

    fn carry_out(&mut self, effects: &[Effect<'_>]) {
        for effect in effects {
            match effect {
                Effect::PayWorker(_, worker_id, _) => self.paid.push(worker_id.clone()),
                Effect::KeepShares(shares) => {
                    self.shares.insert(shares.request_id, (**shares).clone());
                }
                Effect::DropShares(id) => {
                    self.shares.remove(id);
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, params: &Value) -> Answer {
        let encoded: Bytes = serde_json::from_value(params["signed_tx_base64"].clone()).unwrap();
        let signed: SignedTransaction = borsh::from_slice(&encoded).unwrap();
        let hash = signed.get_hash();
        let Transaction::V0(transaction) = signed.transaction else {
            panic!("expected a V0 transaction")
        };
        let [Action::FunctionCall(call)] = transaction.actions.as_slice() else {
            panic!("expected one call")
        };
        // As a node does (`ACCESS_KEY_NONCE_RANGE_MULTIPLIER`), so that a nonce which somebody lied
        // about does not use up all others.
        let upper_bound = self.height.saturating_mul(1_000_000);
        if transaction.nonce >= upper_bound {
            return nonce_too_large(transaction.nonce, upper_bound);
        }
        let used = self.nonces.entry(transaction.public_key.to_string()).or_default();
        let is_void = transaction.nonce <= *used;
        if !self.signed.iter().any(|signed| signed.hash == hash) {
            let (method, args) = (call.method_name.clone(), call.args.clone());
            self.signed.push(SignedCall { hash, method, args, is_void });
        }
        if is_void {
            return invalid_nonce(transaction.nonce, *used);
        }
        *used = transaction.nonce;
        let returned = self.call(transaction.signer_id.as_str(), &call.method_name, &call.args);
        self.outcomes.insert(hash, returned);
        self.outcome(&hash)
    }

    /// What became of a transaction. One that was sent too late for its nonce is not known.
    fn outcome(&self, hash: &CryptoHash) -> Answer {
        match self.outcomes.get(hash) {
            Some(Ok(value)) => executed(hash, Ok(value)),
            Some(Err(message)) => executed(hash, Err(message)),
            None => Answer::Error(unknown_transaction(hash)),
        }
    }

    /// Calls a method of the contract as the worker `by`, in a block of its own. Gives what the
    /// method returns.
    ///
    /// # Errors
    /// The text of the refusal.
    pub fn call(&mut self, by: &str, method: &str, args: &[u8]) -> Result<Vec<u8>, String> {
        self.height += 1;
        let by: AccountId = by.parse().unwrap();
        self.calls.push((by.clone(), method.to_owned()));
        let called = match method {
            methods::RESOLVE_EXECUTION => {
                let answer = borsh::from_slice(args).unwrap();
                let taken = self.resolve(&by, &answer);
                taken.map(|taken| serde_json::to_vec(&taken).unwrap())
            }
            methods::RESOLVE_MANY => {
                let answers: Vec<response::Answer> = borsh::from_slice(args).unwrap();
                let codes: Vec<_> = answers
                    .iter()
                    .map(|answer| match self.resolve(&by, answer) {
                        Ok(Taken::Wait) => json!(Taken::WAIT),
                        Ok(_) => Value::Null,
                        Err(message) => {
                            self.refused.push(message.clone());
                            json!(RefusalCode::find(&message).unwrap().as_str())
                        }
                    })
                    .collect();
                Ok(json!(codes).to_string().into_bytes())
            }
            methods::CLAIM_EXECUTION => {
                if let Some(hook) = self.before_claim.take() {
                    hook(self);
                }
                let ClaimArgs { request_id } = json_args(args);
                let input = Input::Claim { worker_id: &by, height: self.height };
                self.step(request_id, input).map(|_| Vec::new())
            }
            methods::COMMIT_EXECUTION => {
                let CommitArgs { request_id, round, commitment } = json_args(args);
                let height = self.height;
                let input = Input::Commit { worker_id: &by, round, commitment, height };
                self.step(request_id, input).map(|_| Vec::new())
            }
            methods::REVEAL_EXECUTION => self.reveal(&by, json_args(args)).map(|()| Vec::new()),
            methods::CLOSE => self.close(&by, json_args(args)).map(|()| Vec::new()),
            other => panic!("unexpected call of {other}"),
        };
        called.inspect_err(|message| self.refused.push(message.clone()))
    }

    fn reveal(&mut self, by: &AccountId, args: RevealArgs) -> Result<(), String> {
        let RevealArgs { request_id, digest, salt } = args;
        let salt = &salt.0.try_into().unwrap();
        if let Some(shares) = self.shares.get(&request_id).cloned() {
            let step = shares.reveal(by, digest, salt, self.height);
            return self.take_shares(step.map_err(|refusal| refusal.code().panic_text(&refusal))?);
        }
        let height = self.height;
        self.step(request_id, Input::Reveal { worker_id: by, digest, salt, height }).map(|_| ())
    }

    fn close(&mut self, by: &AccountId, args: CloseArgs) -> Result<(), String> {
        let CloseArgs { request_id } = args;
        if let Some(shares) = self.shares.get(&request_id).cloned() {
            let step = shares.close(Some(by), self.height);
            return self.take_shares(step.map_err(|refusal| refusal.code().panic_text(&refusal))?);
        }
        let height = self.height;
        self.step(request_id, Input::Close { closer: Some(by), height }).map(|_| ())
    }

    fn take_shares(&mut self, step: SharesStep) -> Result<(), String> {
        match step {
            SharesStep::Open(shares, effects) => {
                self.shares.insert(shares.request_id, *shares);
                self.carry_out(&effects);
            }
            SharesStep::Closed(effects) => self.carry_out(&effects),
        }
        Ok(())
    }

    fn resolve(&mut self, by: &AccountId, answer: &response::Answer) -> Result<Taken, String> {
        if let Some(hook) = self.before_resolve.take() {
            hook(self);
        }
        let response::Answer { response, digest, salt } = answer;
        let storage = match first_conflict(&response.reads, |key| {
            self.storage.get(key).map(|value| Hash32::of(value))
        }) {
            Some(key) => StorageCheck::Conflict(key.clone()),
            None if self.waits > 0 => {
                self.waits -= 1;
                StorageCheck::ReadLocked { closable: Vec::new() }
            }
            None => StorageCheck::Fits,
        };
        let (worker_id, digest, salt, height) = (by, *digest, salt.as_ref(), self.height);
        let body = Body::of(response);
        let input = Input::Resolve { worker_id, digest, salt, body, storage, height };
        self.step(response.request_id, input)
    }

    /// Takes a step of a live request that settles nothing.
    fn step(&mut self, id: RequestId, input: Input<'_>) -> Result<Taken, String> {
        let unknown = || RefusalCode::UnknownRequest.panic_text(&"no such request");
        let view = self.live.get(&id).ok_or_else(unknown)?;
        let body = match &input {
            Input::Resolve { body, .. } => Some(body.response.clone()),
            _ => None,
        };
        let step = view.request.clone().step(input);
        let step = step.map_err(|refusal| refusal.code().panic_text(&refusal))?;
        let taken = step.taken();
        let Step::Live(request, effects) = step else { panic!("such a step settles nothing") };
        let resumes = effects.iter().any(|effect| matches!(effect, Effect::Resume { .. }));
        let request: LiveRequest = *request;
        let input = view.input.clone();
        self.live.insert(id, RequestView { request, input });
        if resumes {
            self.resumed.insert(id, (body, 0));
        }
        Ok(taken)
    }
}
