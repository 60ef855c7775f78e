//! The gas of the contract's own calls, measured on its Wasm in a node's VM: what a request sets aside for its settlement is
//! enough for the largest one, and nothing becomes dearer unnoticed.
//!
//! The VM in memory charges everything but the trie's nodes: 2,280,000,000 gas for each node on the path of a key that is
//! written or removed. Bounds here leave room for [`TRIE`].

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod vm;

use near_vm_runner::logic::{mocks::mock_external::MockAction, types::PromiseResult};
use outlayer_protocol::{
    Bytes, Compute, Config, EngineVersion, ExecutionRequest, ExecutionResponse, Hash32,
    JournalEntry, Outcome, ReadEntry, ResourceLimits, ResponseFormat, Settlement, Status,
    limits::MAX_KEY_BYTES, request::CodeRef,
};
use serde_json::json;
use vm::{CONTRACT, Call, Vm};

const TERA: u64 = 1_000_000_000_000;
const MOST: u64 = 1_000 * TERA;
const WORKER: &str = "worker.near";
const DAPP: &str = "dapp.near";

/// The gas of a settlement: what was set aside, and what it took.
#[derive(Debug)]
struct Measured {
    request: u64,
    resolve: u64,
    reserved: u64,
    settle: u64,
    outcome: Outcome,
}

fn call<'a>(by: &'a str, method: &'a str, args: serde_json::Value) -> Call<'a> {
    Call {
        by,
        method,
        input: args.to_string().into_bytes(),
        deposit: 0,
        gas: MOST,
        result: None,
    }
}

fn contract(config: &Config) -> Vm {
    let mut vm = Vm::new();
    vm.expect(call(
        "owner.near",
        "new",
        json!({ "owner_id": "owner.near", "config": config }),
    ));
    vm.expect(call(
        "owner.near",
        "register_worker",
        json!({ "worker_id": WORKER }),
    ));
    let deposit = 10u128.pow(26);
    vm.expect(Call {
        deposit,
        ..call(DAPP, "storage_deposit", json!({}))
    });
    vm
}

/// What a yield was created with: its arguments, gas and data id.
fn last_yield(vm: &Vm) -> (Vec<u8>, u64) {
    let actions = vm.actions().iter().rev();
    actions
        .filter_map(|action| match action {
            MockAction::FunctionCallWeight {
                method_name,
                args,
                prepaid_gas,
                ..
            } if method_name == b"on_execution_response" => {
                Some((args.clone(), prepaid_gas.as_gas()))
            }
            _ => None,
        })
        .next()
        .unwrap()
}

fn last_payload(vm: &Vm) -> Vec<u8> {
    let actions = vm.actions().iter().rev();
    actions
        .filter_map(|action| match action {
            MockAction::YieldResume { data, .. } => Some(data.clone()),
            _ => None,
        })
        .next()
        .unwrap()
}

/// Request, answer and settlement.
fn settle(vm: &mut Vm, request: &ExecutionRequest, body: &ExecutionResponse) -> Measured {
    let args = json!({ "request": request });
    let deposit = 10u128.pow(27);
    let made = vm.expect(Call {
        deposit,
        ..call(DAPP, "request_execution", args)
    });
    let (args, reserved) = last_yield(vm);
    let id: serde_json::Value = serde_json::from_slice(&args).unwrap();
    let body = ExecutionResponse {
        request_id: id["request_id"].as_u64().unwrap(),
        ..body.clone()
    };
    let input = borsh::to_vec(&body).unwrap();
    let resolved = vm.expect(Call {
        input,
        ..call(WORKER, "resolve_execution", json!({}))
    });
    let result = Some(PromiseResult::Successful(last_payload(vm).into()));
    let callback = Call {
        input: args,
        gas: reserved,
        result,
        ..call(CONTRACT, "on_execution_response", json!({}))
    };
    let settled = vm.expect(callback);
    let near_vm_runner::logic::ReturnData::Value(value) = &settled.return_data else {
        panic!("{:?}", settled.return_data)
    };
    let settlement: Settlement = match request.response_format {
        ResponseFormat::Json => serde_json::from_slice(value).unwrap(),
        ResponseFormat::Borsh => borsh::from_slice(value).unwrap(),
    };
    Measured {
        request: made.burnt_gas.as_gas(),
        resolve: resolved.burnt_gas.as_gas(),
        reserved,
        settle: settled.used_gas.as_gas(),
        outcome: settlement.outcome,
    }
}

fn config() -> Config {
    Config::new(EngineVersion(1), 84)
}

fn request(input: usize) -> ExecutionRequest {
    let code = CodeRef {
        hash: Hash32::of(b"code"),
        url: Some("https://code.example".to_owned()),
    };
    ExecutionRequest::new(code, vec![b'i'; input])
}

fn answer(output: usize) -> ExecutionResponse {
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

fn key(n: u32) -> Bytes {
    Bytes([&n.to_be_bytes()[..], &[7; MAX_KEY_BYTES as usize - 4]].concat())
}

fn print(name: &str, measured: &Measured) {
    let tera = |gas: u64| format!("{}.{:02}", gas / TERA, gas % TERA / 10_000_000_000);
    let Measured {
        request,
        resolve,
        reserved,
        settle,
        outcome,
    } = measured;
    println!(
        "{name}: request {}, resolve {}, settlement {} of {} ({})",
        tera(*request),
        tera(*resolve),
        tera(*settle),
        tera(*reserved),
        outcome.name()
    );
}

#[test]
fn measure() {
    let mut vm = contract(&config());
    print("empty", &settle(&mut vm, &request(0), &answer(0)));
    print(
        "1 KB output",
        &settle(&mut vm, &request(100), &answer(1_024)),
    );
    let mut large = request(256 << 10);
    large.limits.output_bytes = 256 << 10;
    print("256 KB", &settle(&mut vm, &large, &answer(256 << 10)));
    large.response_format = ResponseFormat::Borsh;
    print("256 KB borsh", &settle(&mut vm, &large, &answer(256 << 10)));

    let mut keys = request(0);
    keys.limits.storage_reads = 256;
    keys.limits.storage_writes = 256;
    keys.limits.journal_bytes = 64 << 10;
    keys.limits.output_bytes = 0;
    let value = |n: u32| Some(Bytes(vec![1; if n == 0 { 100 } else { 0 }]));
    let write = ExecutionResponse {
        journal: (0..255)
            .map(|n| JournalEntry {
                key: key(n),
                value: value(n),
            })
            .collect(),
        ..answer(0)
    };
    print("255 new keys", &settle(&mut vm, &keys, &write));
    let hash = |n: u32| value(n).map(|value| Hash32::of(&value));
    let read = ExecutionResponse {
        reads: (0..255)
            .map(|n| ReadEntry {
                key: key(n),
                value_hash: hash(n),
            })
            .collect(),
        ..answer(0)
    };
    print("255 reads", &settle(&mut vm, &keys, &read));
    let remove = ExecutionResponse {
        journal: (0..255)
            .map(|n| JournalEntry {
                key: key(n),
                value: None,
            })
            .collect(),
        ..answer(0)
    };
    print("255 removals", &settle(&mut vm, &keys, &remove));
    let absent = ExecutionResponse {
        reads: (0..255)
            .map(|n| ReadEntry {
                key: key(n),
                value_hash: None,
            })
            .collect(),
        ..answer(0)
    };
    print("255 absent", &settle(&mut vm, &keys, &absent));

    let one = |value: Option<usize>| ExecutionResponse {
        journal: vec![JournalEntry {
            key: key(0),
            value: value.map(|bytes| Bytes(vec![1; bytes])),
        }],
        ..answer(0)
    };
    let mut single = request(0);
    single.limits = ResourceLimits {
        storage_writes: 1,
        journal_bytes: 64 << 10,
        ..single.limits
    };
    print("60 KB value", &settle(&mut vm, &single, &one(Some(60_000))));
    print("60 KB again", &settle(&mut vm, &single, &one(Some(60_000))));
    print("60 KB removed", &settle(&mut vm, &single, &one(None)));
}
