//! Requests and responses of every size, and what they cost.

use near_primitives::action::Action;
use near_vm_runner::logic::{ReturnData, VMOutcome, types::PromiseResult};
use outlayer_protocol::{
    Bytes, Compute, Config, EngineVersion, ExecutionRequest, ExecutionResponse, Hash32,
    JournalEntry, Outcome, ReadEntry, RequestId, ResponseFormat, ResponsePart, SecretRef,
    Settlement, Status,
    agreement::REVEAL_BLOCKS,
    claims::MOST_CLAIMS,
    commitment::{Salt, commitment},
    limits::MAX_KEY_BYTES,
    machine::LiveRequest,
    methods,
    pricing::{Asked, LEAST_GAS_PRICE, answer_gas, may_be_created},
    record::ExecutionRecord,
    request::{CodeRef, CodeSource},
    response::Answer,
    secrets::{MAX_RECIPIENTS, MAX_SECRETS, MAX_TERMS_BYTES, SecretEntry, SecretTerms, entry_key},
    storage::journal_bytes,
    upload::MIN_PART_BYTES,
    views::RequestState,
};
use serde_json::{Value, json};

use crate::vm::{CONTRACT, Call, MOST, Vm};

/// The most keys that a configuration can let a request read or write.
pub(crate) const KEYS: u32 = 256;
pub(crate) const DAPP: &str = "dapp.near";
pub(crate) const NEAR: u128 = 10u128.pow(24);
pub(crate) const PUBLISHED: &[u8] = b"a published module";

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
    /// What all calls from the request to the settlement computed, in the units by which a chunk is
    /// filled: as many as gas, but more for an access to storage.
    pub(crate) compute: u64,
    /// The gas that the refund's own callback burned.
    pub(crate) refund: u64,
    /// What sending the response burned in all its calls, what NEAR charges for them included.
    pub(crate) submit: u64,
    /// What the model says of that at most.
    pub(crate) submit_model: u64,
    /// What the dearest commitment, reveal or claim burned, what NEAR charges for it included.
    pub(crate) commit: u64,
    /// What the model says of that at most.
    pub(crate) commit_model: u64,
    /// What the call burned that closed the shares, what NEAR charges for it included; 0 where
    /// there was none.
    pub(crate) close: u64,
    /// What [`answer_gas`] says of it.
    pub(crate) close_model: u64,
    /// The least that an honest worker has won, in yoctoNEAR: what it was paid, less its gas at
    /// twice NEAR's lowest price.
    pub(crate) won: i128,
}

pub(crate) fn call<'a>(by: &'a str, method: &'a str, args: Value) -> Call<'a> {
    let input = args.to_string().into_bytes();
    Call { by, method, input, deposit: 0, gas: MOST, result: None, receivers: &[] }
}

fn view(vm: &mut Vm, method: &str, args: Value) -> Value {
    let ReturnData::Value(value) = vm.view(call("anyone.near", method, args)).return_data else {
        panic!("{method} returns nothing")
    };
    serde_json::from_slice(&value).unwrap()
}

/// A name of a worker that is as long as it can be.
pub(crate) fn worker(n: u32) -> String {
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
    // Workers are drawn from the next block on.
    vm.height += 1;
    vm.call(Call { deposit: 100 * NEAR, ..call(DAPP, methods::STORAGE_DEPOSIT, json!({})) });
    let total = u32::try_from(PUBLISHED.len()).unwrap();
    let input = borsh::to_vec(&(Hash32::of(PUBLISHED), total, 0u32, PUBLISHED)).unwrap();
    vm.call(Call { input, deposit: NEAR, ..call(DAPP, methods::PUBLISH_CODE, json!({})) });
    vm
}

/// Keeps the largest secrets that there can be, and gives a request for all that it may have of
/// them.
pub(crate) fn with_secrets(vm: &mut Vm) -> ExecutionRequest {
    let mut terms = SecretTerms {
        version: 1,
        commitment: Hash32::default(),
        code_hash: Hash32::of(PUBLISHED),
        access: vec![DAPP.parse().unwrap()],
        hosts: Vec::new(),
        recipients: (0..MAX_RECIPIENTS).map(|n| worker(n).parse().unwrap()).collect(),
    };
    while outlayer_codec::to_vec(&terms).len() + 68 <= MAX_TERMS_BYTES {
        let other = format!("{:064x}", terms.access.len());
        terms.access.insert(0, other.parse().unwrap());
    }
    let sealed = vec![vec![1; 3_700].into(); MAX_RECIPIENTS as usize];
    let entry = Bytes::from(SecretEntry { terms, sealed }.encode());
    let mut request = request(0);
    for n in 0..MAX_SECRETS {
        let name = format!("{n}{}", "S".repeat(200));
        let args = json!({ "key": Bytes::from(entry_key(&name)), "value": entry });
        vm.call(Call { deposit: NEAR, ..call(DAPP, methods::STORAGE_SET, args) });
        request.secrets.push(SecretRef { owner_id: None, name });
    }
    request
}

/// A configuration that allows more keys than the default one.
pub(crate) fn config() -> Config {
    let mut config = Config::new(EngineVersion(1), 84);
    config.bounds.limits.storage_reads = KEYS;
    config.bounds.limits.storage_writes = KEYS;
    config.bounds.limits.plan_bytes = 64 << 10;
    config.bounds.approvals = 7;
    config
}

/// The published module at a URL.
pub(crate) fn code_at(url: String) -> CodeSource {
    CodeRef { hash: Hash32::of(PUBLISHED), url: Some(url) }.into()
}

/// A request that may use nothing but its input. A scenario allows what it needs.
pub(crate) fn request(input: usize) -> ExecutionRequest {
    let code = code_at("https://code.example/guest.wasm".to_owned());
    let mut request = ExecutionRequest::new(code, vec![b'i'; input]);
    request.limits = request.limits.with_storage(0, 0, 0);
    request.limits.output_bytes = 0;
    request
}

/// A request that may use exactly what a response does.
pub(crate) fn request_for(body: &ExecutionResponse) -> ExecutionRequest {
    let count = |count: usize| u32::try_from(count).unwrap();
    let mut request = request(0);
    request.limits.output_bytes = count(body.output.len());
    let journal_bytes = u32::try_from(journal_bytes(&body.journal)).unwrap();
    let (reads, writes) = (count(body.reads.len()), count(body.journal.len()));
    request.limits = request.limits.with_storage(reads, writes, journal_bytes);
    request.limits.plan_bytes = count(body.plan.len());
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
        transcript: Default::default(),
        plan: Default::default(),
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
    run(vm, request, body, request.seats(), None, None)
}

/// As [`settle`], but only as many workers as are needed commit to the truth. The others lie.
pub(crate) fn settle_disputed(
    vm: &mut Vm,
    request: &ExecutionRequest,
    body: &ExecutionResponse,
) -> Measured {
    run(vm, request, body, request.approvals, None, None)
}

/// What the workers do that have not revealed before the settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// All reveal, and the last reveal closes the shares.
    All,
    /// All but one reveal, and then the shares are closed.
    AllButOne,
    /// None reveals, and the shares stay open.
    None,
}

/// As [`settle`], but only as many workers as are needed reveal before the settlement.
pub(crate) fn settle_early(
    vm: &mut Vm,
    request: &ExecutionRequest,
    body: &ExecutionResponse,
    late: Late,
) -> Measured {
    run(vm, request, body, request.seats(), Some(late), None)
}

/// As [`settle`], after a round of the holders of the seats that was void, because `stale` read
/// what no key has. Then their successors execute, so that most workers are paid.
pub(crate) fn settle_after_void(
    vm: &mut Vm,
    request: &ExecutionRequest,
    stale: &ExecutionResponse,
    body: &ExecutionResponse,
) -> Measured {
    run(vm, request, body, request.seats(), None, Some(stale))
}

fn void_round(vm: &mut Vm, holders: &[String], stale: &ExecutionResponse) {
    let request_id = stale.request_id;
    let digest = ExecutionRecord::new(&live(vm, request_id), stale).digest();
    for holder in holders {
        let commitment = commitment(&digest, &holder.parse().unwrap(), 0, &SALT);
        let args = json!({ "request_id": request_id, "round": 0, "commitment": commitment });
        signed(vm, holder, methods::COMMIT_EXECUTION, args.to_string().into_bytes());
    }
    for holder in holders {
        let salt = Bytes::from(&SALT[..]);
        let args = json!({ "request_id": request_id, "digest": digest, "salt": salt });
        signed(vm, holder, methods::REVEAL_EXECUTION, args.to_string().into_bytes());
    }
    submit(vm, request_id, &holders[0], stale);
    let agreement = live(vm, request_id).agreement.unwrap();
    assert_eq!((agreement.round, agreement.voided.len()), (1, holders.len()));
    vm.height += agreement.turn_blocks;
}

/// The salt of all commitments.
const SALT: Salt = [7; 16];

/// How large each part is. The smallest parts are the most expensive to settle.
const PART: usize = MIN_PART_BYTES as usize;

/// A call that a worker signs. Gives its outcome, and all the gas that it and its promises burn.
fn signed(vm: &mut Vm, worker: &str, method: &str, input: Vec<u8>) -> (VMOutcome, u64) {
    let gas = vm.gas_of_signing(method, &input);
    let outcome = vm.step(Call { input, ..call(worker, method, json!({})) });
    // What its promises burn later is paid for by the signer too.
    let gas = gas + outcome.used_gas.as_gas();
    (outcome, gas)
}

pub(crate) fn live(vm: &mut Vm, request_id: RequestId) -> LiveRequest {
    let live = view(vm, methods::GET_REQUEST, json!({ "request_id": request_id }));
    serde_json::from_value::<RequestState>(live).unwrap().live().unwrap().request
}

/// Submits a response, in parts where it is too large for one call. Gives the outcome of the last
/// call, which submits it, and the gas that all calls burned.
fn submit(
    vm: &mut Vm,
    request_id: RequestId,
    submitter: &str,
    body: &ExecutionResponse,
) -> (VMOutcome, u64) {
    let input = borsh::to_vec(body).unwrap();
    let digest = ExecutionRecord::new(&live(vm, request_id), body).digest();
    if input.len() <= PART {
        let answer = Answer { response: body.clone(), digest, salt: None };
        let input = borsh::to_vec(&answer).unwrap();
        return signed(vm, submitter, methods::RESOLVE_EXECUTION, input);
    }
    let total_bytes = u32::try_from(input.len()).unwrap();
    let (mut offset, mut burned, mut last) = (0, 0, None);
    for bytes in input.chunks(PART) {
        let part = ResponsePart { request_id, digest, total_bytes, offset, bytes: bytes.into() };
        offset += u32::try_from(bytes.len()).unwrap();
        let input = borsh::to_vec(&part).unwrap();
        let (outcome, gas) = signed(vm, submitter, methods::STAGE_RESPONSE, input);
        burned += gas;
        last = Some(outcome);
    }
    (last.unwrap(), burned)
}

/// What a worker has earned so far.
fn earnings(vm: &mut Vm, worker: &str) -> u128 {
    let found = view(vm, methods::GET_WORKER, json!({ "worker_id": worker }));
    found["earnings"].as_str().unwrap().parse().unwrap()
}

fn run(
    vm: &mut Vm,
    request: &ExecutionRequest,
    body: &ExecutionResponse,
    honest: u8,
    early: Option<Late>,
    stale: Option<&ExecutionResponse>,
) -> Measured {
    let payer = request.refund_to.as_ref().map_or(DAPP, |id| id.as_str());
    let new_payer = may_be_created(Some(&payer.parse().unwrap()));
    let asked = Asked { new_payer, ..Asked::of(&config(), request) };
    let args = json!({ "request": request });
    let estimated = view(vm, methods::ESTIMATE_GAS, args.clone());
    let estimated: u64 = estimated
        .as_str()
        .map_or_else(|| estimated.as_u64().unwrap(), |text| text.parse().unwrap());
    let computed = vm.compute;
    let made =
        vm.step(Call { deposit: 1_000 * NEAR, ..call(DAPP, methods::REQUEST_EXECUTION, args) });
    let (args, reserved) = promised(vm, methods::ON_EXECUTION_RESPONSE);
    let ids: Value = serde_json::from_slice(&args).unwrap();
    let request_id = ids["request_id"].as_u64().unwrap();
    let body = ExecutionResponse { request_id, ..body.clone() };
    let mut drawn: Vec<_> = match live(vm, request_id).agreement {
        Some(agreement) => agreement.drawn.iter().map(ToString::to_string).collect(),
        None => vec![worker(0)],
    };
    if let Some(stale) = stale {
        let holders = usize::from(request.seats());
        void_round(vm, &drawn[..holders], &ExecutionResponse { request_id, ..stale.clone() });
        drawn.rotate_left(holders);
    }
    let round = u32::from(stale.is_some());
    let honest = &drawn[..honest.into()];
    let before: Vec<_> = honest.iter().map(|id| earnings(vm, id)).collect();
    let mut burned = vec![0; honest.len()];

    let (mut commit, mut close, mut late) = (0, 0, Vec::new());
    if request.approvals > 1 {
        let digest = ExecutionRecord::new(&live(vm, request_id), &body).digest();
        let digest_of = |n| if n < honest.len() { digest } else { Hash32::of(b"a lie") };
        let seats = || drawn.iter().take(request.seats().into()).enumerate();
        let commits = seats().map(|(n, worker)| {
            let commitment = commitment(&digest_of(n), &worker.parse().unwrap(), round, &SALT);
            let args =
                json!({ "request_id": request_id, "round": round, "commitment": commitment });
            (n, methods::COMMIT_EXECUTION, args)
        });
        let reveals = seats().map(|(n, _)| {
            let (digest, salt) = (digest_of(n), Bytes::from(&SALT[..]));
            let args = json!({ "request_id": request_id, "digest": digest, "salt": salt });
            (n, methods::REVEAL_EXECUTION, args)
        });
        let mut all: Vec<_> = commits.chain(reveals).collect();
        if early.is_some() {
            late = all.split_off(usize::from(request.seats() + request.approvals));
        }
        for (n, method, args) in all {
            let (_, gas) = signed(vm, &drawn[n], method, args.to_string().into_bytes());
            commit = commit.max(gas);
            if let Some(own) = burned.get_mut(n) {
                *own += gas;
            }
        }
    }
    if asked.takes_claims {
        // The one that answers is the last to claim, and the claims of the others expire.
        for n in (0..u32::try_from(MOST_CLAIMS).unwrap()).rev() {
            let input = json!({ "request_id": request_id }).to_string().into_bytes();
            let (_, gas) = signed(vm, &worker(n), methods::CLAIM_EXECUTION, input);
            commit = commit.max(gas);
            burned[0] += if n == 0 { gas } else { 0 };
        }
        vm.height += live(vm, request_id).claims.unwrap().turn_blocks;
    }
    let (resolved, submit) = submit(vm, request_id, &honest[0], &body);
    burned[0] += submit;

    let payload = vm.chain.made.resumes.last().unwrap().data.clone();
    let settled = vm.step(Call {
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
    assert_eq!(settlement.outcome, Outcome::of_response(&body));
    let last = late.pop();
    if early == Some(Late::None) {
        late.clear();
        burned.clear();
    }
    for (n, method, args) in late {
        let (_, gas) = signed(vm, &drawn[n], method, args.to_string().into_bytes());
        (commit, burned[n]) = (commit.max(gas), burned[n] + gas);
    }
    if let Some((n, method, args)) = last.as_ref().filter(|_| early == Some(Late::All)) {
        // It reveals and closes.
        close = signed(vm, &drawn[*n], method, args.to_string().into_bytes()).1;
        burned[*n] += close;
    }
    if early == Some(Late::AllButOne) {
        // The last worker has committed, and earns nothing for it.
        burned.pop();
        vm.height += REVEAL_BLOCKS;
        let closer = worker(20);
        let before = earnings(vm, &closer);
        let input = json!({ "request_id": request_id }).to_string().into_bytes();
        close = signed(vm, &closer, methods::CLOSE, input).1;
        let price = u128::from(close) * LEAST_GAS_PRICE.as_yoctonear();
        assert!(earnings(vm, &closer) - before >= price, "closing costs {close}");
    }
    let won = honest.iter().zip(before).zip(burned).map(|((id, before), gas)| {
        let price = u128::from(gas) * LEAST_GAS_PRICE.as_yoctonear();
        i128::try_from(earnings(vm, id) - before).unwrap() - i128::try_from(price).unwrap()
    });
    let won = won.min().unwrap_or_default();
    let data_bytes = (body.output.len() + body.plan.len()) as u64 + journal_bytes(&body.journal);
    let submit_model = answer_gas::submit(&asked, data_bytes) + answer_gas::PER_BYTE * data_bytes;

    // The more expensive way: the refund bounces, and its payer has no bounced refund yet.
    let (args, gas) = promised(vm, methods::ON_REFUND);
    let result = Some(PromiseResult::Failed);
    let refund =
        vm.call(Call { input: args, gas, result, ..call(CONTRACT, methods::ON_REFUND, json!({})) });
    vm.call(Call { deposit: 1, ..call(payer, methods::CLAIM, json!({})) });
    Measured {
        estimated,
        requested: made.used_gas.as_gas(),
        request: made.burnt_gas.as_gas(),
        resolve: resolved.burnt_gas.as_gas(),
        reserved,
        settle: settled.used_gas.as_gas(),
        compute: vm.compute - computed,
        refund: refund.burnt_gas.as_gas(),
        submit,
        submit_model,
        commit,
        commit_model: answer_gas::agree(&asked) / 2 + answer_gas::claim(&asked),
        close,
        close_model: answer_gas::close(&asked),
        won,
    }
}
