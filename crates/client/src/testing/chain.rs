//! A chain with one OutLayer contract on it, behind a fake node. Requests move by the protocol's
//! own state machine.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use near_primitives::{
    action::Action,
    transaction::{SignedTransaction, Transaction},
};
use outlayer_protocol::{
    Bytes, Config, ExecutionResponse, Hash32, NearToken, RequestId, ResumePayload, Settlement,
    index::PendingEntry,
    machine::{Body, Delivery, Input, Phase, Step, Taken},
    methods,
    storage::{StorageCheck, first_conflict},
    views::{RequestView, WorkerView},
};
use serde_json::{Value, json};

use super::{
    Answer, FakeNode, executed, header, invalid_nonce, request_view, view_bytes, view_result,
};

/// The account of the only registered worker.
pub const WORKER: &str = "worker.near";

/// The chain's state. A staged response is settled when its request is looked at for the third
/// time.
pub struct Chain {
    /// The terms under which requests are accepted.
    config: Config,
    /// The nonce of the worker's access key.
    nonce: u64,
    /// Requests that are not settled yet, with their inputs.
    pub live: BTreeMap<RequestId, RequestView>,
    staged: HashMap<RequestId, (ExecutionResponse, u32)>,
    /// What the callers received, in the order of settlement.
    pub settled: Vec<Settlement>,
    /// The requester's namespace.
    pub storage: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Published code, by the hash under which it is found. A test may publish other bytes.
    pub codes: HashMap<String, Vec<u8>>,
    /// Runs once, before the next submission is looked at.
    pub before_resolve: Option<fn(&mut Chain)>,
    /// How many submissions are told to wait for readers.
    pub waits: u32,
    /// The messages of refused submissions.
    pub refused: Vec<String>,
}

impl Chain {
    /// A chain without requests, whose contract has the configuration `config`.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            nonce: 0,
            live: BTreeMap::new(),
            staged: HashMap::new(),
            settled: Vec::new(),
            storage: BTreeMap::new(),
            codes: HashMap::new(),
            before_resolve: None,
            waits: 0,
            refused: Vec::new(),
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

    fn answer(&mut self, method: &str, params: &Value) -> Answer {
        match (method, params["request_type"].as_str()) {
            ("block", _) => {
                Answer::Result(json!({ "author": "v.near", "header": header(), "chunks": [] }))
            }
            ("query", Some("view_access_key")) => Answer::Result(json!({
                "nonce": self.nonce, "permission": "FullAccess", "block_height": 100,
                "block_hash": "11111111111111111111111111111111"
            })),
            ("query", Some("call_function")) => {
                let args: Bytes = serde_json::from_value(params["args_base64"].clone()).unwrap();
                let args: Value = serde_json::from_slice(&args).unwrap();
                if params["method_name"] == methods::PENDING_INDEX {
                    let entries = self.live.values().map(|view| PendingEntry::from(&view.request));
                    return view_bytes(&borsh::to_vec(&entries.collect::<Vec<_>>()).unwrap());
                }
                view_result(&self.view(params["method_name"].as_str().unwrap(), &args))
            }
            ("send_tx", _) => self.send(params),
            other => panic!("unexpected {other:?}"),
        }
    }

    fn view(&mut self, method: &str, args: &Value) -> Value {
        match method {
            methods::LIST_WORKERS => json!([WorkerView {
                worker_id: WORKER.parse().unwrap(),
                earnings: NearToken::from_yoctonear(0),
                settled: 0,
                lost: 0,
                suspended: false,
                metadata: String::new(),
            }]),
            methods::GET_REQUEST => {
                let id = args["request_id"].as_u64().unwrap();
                self.settle_when_due(id);
                json!(self.live.get(&id))
            }
            methods::GET_CODE_INFO => {
                let hash = args["hash"].as_str().unwrap();
                json!(self.codes.get(hash).map(|bytes| json!({
                    "hash": hash, "publisher_id": "p.near",
                    "total_bytes": bytes.len(), "published_bytes": bytes.len()
                })))
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

    fn settle_when_due(&mut self, id: RequestId) {
        let Some((body, looks)) = self.staged.get_mut(&id) else {
            return;
        };
        *looks += 1;
        if *looks < 3 {
            return;
        }
        let body = body.clone();
        let request = self.live.remove(&id).unwrap().request;
        let Phase::Staged { digest, .. } = request.phase else { panic!("not staged") };
        let payload = ResumePayload::Digest(digest).encode();
        let staged = Some((&body, StorageCheck::Fits));
        let deliver = Input::Deliver(Delivery::Resumed { payload: payload.into(), staged });
        let Ok(Step::Settled(settlement, _)) = request.step(deliver) else { panic!("not settled") };
        self.staged.remove(&id);
        self.settled.push(settlement);
    }

    fn send(&mut self, params: &Value) -> Answer {
        let encoded: Bytes = serde_json::from_value(params["signed_tx_base64"].clone()).unwrap();
        let signed: SignedTransaction = borsh::from_slice(&encoded).unwrap();
        let hash = signed.get_hash();
        let Transaction::V0(transaction) = signed.transaction else {
            panic!("expected a V0 transaction")
        };
        if transaction.nonce <= self.nonce {
            return invalid_nonce(transaction.nonce, self.nonce);
        }
        self.nonce = transaction.nonce;
        let [Action::FunctionCall(call)] = transaction.actions.as_slice() else {
            panic!("expected one call")
        };
        assert_eq!(call.method_name, methods::RESOLVE_EXECUTION);
        let body: ExecutionResponse = borsh::from_slice(&call.args).unwrap();
        if let Some(hook) = self.before_resolve.take() {
            hook(self);
        }
        match self.resolve(&body) {
            Ok(taken) => executed(&hash, Ok(&serde_json::to_vec(&taken).unwrap())),
            Err(message) => {
                self.refused.push(message.clone());
                executed(&hash, Err(&message))
            }
        }
    }

    fn resolve(&mut self, body: &ExecutionResponse) -> Result<Taken, String> {
        let id = body.request_id;
        let view = self.live.get(&id).ok_or("no such request")?;
        let storage = match first_conflict(&body.reads, |key| {
            self.storage.get(key).map(|value| Hash32::of(value))
        }) {
            Some(key) => StorageCheck::Conflict(key.clone()),
            None if self.waits > 0 => {
                self.waits -= 1;
                StorageCheck::ReadLocked { closable: Vec::new() }
            }
            None => StorageCheck::Fits,
        };
        let worker_id = WORKER.parse().unwrap();
        let input =
            Input::Resolve { worker_id: &worker_id, body: Body::of(body), storage, height: 100 };
        let step = view.request.clone().step(input);
        let step = step.map_err(|refusal| refusal.code().panic_text(&refusal))?;
        let taken = step.taken();
        let Step::Live(request, _) = step else { panic!("a submission settles nothing") };
        self.live.insert(id, RequestView { request: *request, input: view.input.clone() });
        if taken == Taken::Staged {
            self.staged.insert(id, (body.clone(), 0));
        }
        Ok(taken)
    }
}
