//! Requests and responses of every size, and what they cost.

use near_primitives::action::Action;
use near_vm_runner::logic::{ReturnData, VMOutcome, types::PromiseResult};
use outlayer_protocol::{
    Bytes, Compute, Config, EngineVersion, ExecutionRequest, ExecutionResponse, Hash32,
    JournalEntry, NearToken, Outcome, ReadEntry, RequestId, ResponseFormat, ResponsePart,
    Settlement, Status,
    limits::MAX_KEY_BYTES,
    machine::LiveRequest,
    methods,
    record::{ExecutionRecord, commitment},
    request::CodeRef,
    storage::journal_bytes,
    upload::MIN_PART_BYTES,
    views::RequestView,
};
use serde_json::{Value, json};

use crate::vm::{CONTRACT, Call, MOST, Vm};

/// The most keys that a configuration can let a request read or write.
pub(crate) const KEYS: u32 = 256;
pub(crate) const DAPP: &str = "dapp.near";
pub(crate) const NEAR: u128 = 10u128.pow(24);
const PUBLISHED: &[u8] = b"a published module";

/// The gas of the calls of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// The gas that `estimate_gas` says a request needs.
    pub(crate) estimated: u64,
    /// What `request_execution` used, the callback's gas included.
    pub(crate) requested: u64,
    /// What `request_execution` burned itself.
    pub(crate) request: u64,
    /// What the call burned that submitted the response, or its last part.
    pub(crate) resolve: u64,
    /// The gas that was set aside for the callback.
    pub(crate) reserved: u64,
    /// What the callback used, its promises included.
    pub(crate) settle: u64,
    /// The gas that the refund's own callback burned.
    pub(crate) refund: u64,
    /// What all workers have earned together, in yoctoNEAR, less the price of the gas of their
    /// calls at 10^8 yoctoNEAR for a unit.
    pub(crate) won: i128,
}

pub(crate) fn call<'a>(by: &'a str, method: &'a str, args: Value) -> Call<'a> {
    let input = args.to_string().into_bytes();
    Call { by, method, input, deposit: 0, gas: MOST, result: None, receivers: &[] }
}

fn view(vm: &mut Vm, method: &str, args: Value) -> Value {
    let ReturnData::Value(value) = vm.call(call("anyone.near", method, args)).return_data else {
        panic!("{method} returns nothing")
    };
    serde_json::from_slice(&value).unwrap()
}

/// A name of a worker that is as long as it can be.
fn worker(n: u32) -> String {
    format!("{n:02}{}.near", "w".repeat(57))
}

/// A contract with 21 workers, a funded namespace and a published module.
pub(crate) fn contract(config: &Config) -> Vm {
    let mut vm = Vm::new();
    vm.call(call(
        "owner.near",
        methods::NEW,
        json!({ "owner_id": "owner.near", "config": config }),
    ));
    for n in 0..21 {
        let args = json!({ "worker_id": worker(n) });
        vm.call(Call { deposit: 1, ..call("owner.near", methods::REGISTER_WORKER, args) });
    }
    vm.call(Call { deposit: 100 * NEAR, ..call(DAPP, methods::STORAGE_DEPOSIT, json!({})) });
    let total = u32::try_from(PUBLISHED.len()).unwrap();
    let input = borsh::to_vec(&(Hash32::of(PUBLISHED), total, 0u32, PUBLISHED)).unwrap();
    vm.call(Call { input, deposit: NEAR, ..call(DAPP, methods::PUBLISH_CODE, json!({})) });
    vm
}

/// A configuration that allows more keys than the default one, and so needs a higher base fee.
pub(crate) fn config() -> Config {
    let mut config = Config::new(EngineVersion(1), 84);
    config.bounds.limits.storage_reads = KEYS;
    config.bounds.limits.storage_writes = KEYS;
    config.bounds.approvals = 7;
    config.prices.base_fee = NearToken::from_millinear(35);
    config
}

/// A request that may use nothing but its input. A scenario allows what it needs.
pub(crate) fn request(input: usize) -> ExecutionRequest {
    let url = Some("https://code.example/guest.wasm".to_owned());
    let code = CodeRef { hash: Hash32::of(PUBLISHED), url };
    let mut request = ExecutionRequest::new(code, vec![b'i'; input]);
    request.limits.output_bytes = 0;
    request.limits.journal_bytes = 0;
    request.limits.storage_reads = 0;
    request.limits.storage_writes = 0;
    request
}

/// A request that may use exactly what a response does.
pub(crate) fn request_for(body: &ExecutionResponse) -> ExecutionRequest {
    let count = |count: usize| u32::try_from(count).unwrap();
    let mut request = request(0);
    request.limits.output_bytes = count(body.output.len());
    request.limits.journal_bytes = u32::try_from(journal_bytes(&body.journal)).unwrap();
    request.limits.storage_reads = count(body.reads.len());
    request.limits.storage_writes = count(body.journal.len());
    request
}

/// A response that uses nothing but `output` bytes of output.
pub(crate) fn answer(output: usize) -> ExecutionResponse {
    ExecutionResponse {
        request_id: 0,
        status: Status::Completed,
        output: vec![b'o'; output].into(),
        used: Compute::Fuel(1_000),
        reads: Vec::new(),
        journal: Vec::new(),
        log_hash: Hash32::of(b""),
    }
}

/// The longest key. All of them fit into the largest journal together.
fn key(n: u32) -> Bytes {
    Bytes([&n.to_be_bytes()[..], &[7; MAX_KEY_BYTES as usize - 4]].concat())
}

fn value(bytes: u32) -> Bytes {
    Bytes(vec![1; bytes as usize])
}

/// A response that reads `count` keys; `found` gives the size of the value of each, if it has one.
pub(crate) fn reads(count: u32, found: impl Fn(u32) -> Option<u32>) -> ExecutionResponse {
    let hash = |n| found(n).map(|bytes| Hash32::of(&value(bytes)));
    let reads = (0..count).map(|n| ReadEntry { key: key(n), value_hash: hash(n) }).collect();
    ExecutionResponse { reads, ..answer(0) }
}

/// A response that writes a value of the size that `written` gives, or removes the key.
pub(crate) fn writes(
    keys: impl IntoIterator<Item = u32>,
    written: impl Fn(u32) -> Option<u32>,
) -> ExecutionResponse {
    let entry = |n| JournalEntry { key: key(n), value: written(n).map(value) };
    ExecutionResponse { journal: keys.into_iter().map(entry).collect(), ..answer(0) }
}

/// A response that reads empty values and writes them again.
pub(crate) fn both(count: u32) -> ExecutionResponse {
    let reads = reads(count, |_| Some(0)).reads;
    ExecutionResponse { reads, ..writes(0..count, |_| Some(0)) }
}

/// The arguments and the gas of the last call of `method` that the contract has promised.
fn promised(vm: &Vm, method: &str) -> (Vec<u8>, u64) {
    let actions = vm.chain.made.receipts.iter().flat_map(|receipt| &receipt.actions);
    let mut calls = actions.filter_map(|action| match action {
        Action::FunctionCall(call) if call.method_name == method => Some(call),
        _ => None,
    });
    let call = calls.next_back().unwrap();
    (call.args.clone(), call.gas.as_gas())
}

/// Requests, responds and settles. Where several workers must agree, they all do.
pub(crate) fn settle(
    vm: &mut Vm,
    request: &ExecutionRequest,
    body: &ExecutionResponse,
) -> Measured {
    run(vm, request, body, 21)
}

/// As [`settle`], but only as many workers as are needed commit to the truth; the others lie.
pub(crate) fn settle_disputed(
    vm: &mut Vm,
    request: &ExecutionRequest,
    body: &ExecutionResponse,
) -> Measured {
    run(vm, request, body, request.approvals.into())
}

/// How large each part is. The smallest parts are the most expensive to settle.
const PART: usize = MIN_PART_BYTES as usize;

/// Submits a response, in parts where it is too large for one call. Gives the outcome of the last
/// call, which submits it, and the gas that the other calls burned.
fn submit(
    vm: &mut Vm,
    request_id: RequestId,
    submitter: &str,
    body: &ExecutionResponse,
) -> (VMOutcome, u64) {
    let input = borsh::to_vec(body).unwrap();
    if input.len() <= PART {
        return (
            vm.call(Call { input, ..call(submitter, methods::RESOLVE_EXECUTION, json!({})) }),
            0,
        );
    }
    let live = view(vm, methods::GET_REQUEST, json!({ "request_id": request_id }));
    let live: LiveRequest = serde_json::from_value::<RequestView>(live).unwrap().request;
    let digest = ExecutionRecord::new(&live, body).digest();
    let (mut offset, mut burned) = (0, Vec::new());
    for bytes in input.chunks(PART) {
        let total_bytes = u32::try_from(input.len()).unwrap();
        let part = ResponsePart { request_id, digest, total_bytes, offset, bytes: bytes.into() };
        offset += u32::try_from(bytes.len()).unwrap();
        let input = borsh::to_vec(&part).unwrap();
        burned.push(vm.call(Call { input, ..call(submitter, methods::STAGE_RESPONSE, json!({})) }));
    }
    let last = burned.pop().unwrap();
    (last, burned.iter().map(|part| part.burnt_gas.as_gas()).sum())
}

fn run(vm: &mut Vm, request: &ExecutionRequest, body: &ExecutionResponse, honest: u32) -> Measured {
    let args = json!({ "request": request });
    let estimated = view(vm, methods::ESTIMATE_GAS, args.clone());
    let estimated: u64 = estimated
        .as_str()
        .map_or_else(|| estimated.as_u64().unwrap(), |text| text.parse().unwrap());
    let made =
        vm.call(Call { deposit: 1_000 * NEAR, ..call(DAPP, methods::REQUEST_EXECUTION, args) });
    let (args, reserved) = promised(vm, methods::ON_EXECUTION_RESPONSE);
    let ids: Value = serde_json::from_slice(&args).unwrap();
    let request_id = ids["request_id"].as_u64().unwrap();
    let body = ExecutionResponse { request_id, ..body.clone() };
    let (submitter, mut own_gas) = (worker(0), 0);
    let earnings = |vm: &mut Vm| -> u128 {
        let found = view(vm, methods::GET_FUNDS, json!({}));
        found["earnings"].as_str().unwrap().parse().unwrap()
    };
    let before = earnings(vm);

    if request.approvals > 1 {
        let live = view(vm, methods::GET_REQUEST, json!({ "request_id": request_id }));
        let live: LiveRequest = serde_json::from_value::<RequestView>(live).unwrap().request;
        let digest = ExecutionRecord::new(&live, &body).digest();
        for n in 0..u32::from(request.approvals) * 3 {
            let digest = if n < honest { digest } else { Hash32::of(b"a lie") };
            let worker = worker(n);
            let commitment = commitment(&digest, &worker.parse().unwrap());
            let args = json!({ "request_id": request_id, "commitment": commitment });
            let committed = vm.call(call(&worker, methods::COMMIT_EXECUTION, args));
            own_gas += committed.burnt_gas.as_gas();
        }
    }
    let (resolved, parts_gas) = submit(vm, request_id, &submitter, &body);
    own_gas += parts_gas;
    own_gas += resolved.burnt_gas.as_gas();

    let payload = vm.chain.made.resumes.last().unwrap().data.clone();
    let settled = vm.call(Call {
        input: args,
        gas: reserved,
        result: Some(PromiseResult::Successful(payload.into())),
        receivers: &[DAPP],
        ..call(CONTRACT, methods::ON_EXECUTION_RESPONSE, json!({}))
    });
    let ReturnData::Value(returned) = &settled.return_data else {
        panic!("{:?}", settled.return_data)
    };
    let settlement: Settlement = match request.response_format {
        ResponseFormat::Json => serde_json::from_slice(returned).unwrap(),
        ResponseFormat::Borsh => borsh::from_slice(returned).unwrap(),
    };
    assert_eq!(settlement.outcome, Outcome::Completed { output: body.output });
    let price = i128::from(own_gas) * 100_000_000;
    let won = i128::try_from(earnings(vm) - before).unwrap() - price;

    // The more expensive way: the refund bounces, and its payer has no bounced refund yet.
    let (args, gas) = promised(vm, methods::ON_REFUND);
    let result = Some(PromiseResult::Failed);
    let refund =
        vm.call(Call { input: args, gas, result, ..call(CONTRACT, methods::ON_REFUND, json!({})) });
    let payer = request.refund_to.as_ref().map_or(DAPP, |id| id.as_str());
    vm.call(Call { deposit: 1, ..call(payer, methods::CLAIM, json!({})) });
    Measured {
        estimated,
        requested: made.used_gas.as_gas(),
        request: made.burnt_gas.as_gas(),
        resolve: resolved.burnt_gas.as_gas(),
        reserved,
        settle: settled.used_gas.as_gas(),
        refund: refund.burnt_gas.as_gas(),
        won,
    }
}
