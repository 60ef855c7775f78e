//! Every guest that is built from source is executed again and again, of every kind and under both
//! meters: in this process and in others, compiled now or before, with pools and without, optimised
//! and not. Everything about its execution stays the same.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use outlayer_executor::{
    Code, ENGINE_VERSION, Execution, Executor, ExecutorConfig, Job, NEAR_CONFIG_VERSION,
    SnapshotError,
};
use outlayer_integration_tests::{
    artifacts,
    guests::{self, request},
};
use outlayer_protocol::{
    CodeRef, Compute, ExecutionRecord, ExecutionRequest, GuestKind, Hash32, NearToken, Status,
    config::Config, machine::LiveRequest, pricing::quote,
};

/// How many times each guest is executed.
const REPLAYS: usize = 100;
/// How many times it is executed in each of the other ways.
const MORE: usize = 5;

/// Guests with inputs for each way in which they end. Each is built as a module and as a component.
const GUESTS: &[(&str, &str)] = &[
    ("big", "5000"),
    ("context", ""),
    ("echo", "text \u{0} and more"),
    ("exit", "0"),
    ("exit", "3"),
    (
        "key-value",
        concat!(
            r#"[{"op": "get", "key": "name"}, {"op": "set", "key": "k", "value": "v"}, "#,
            r#"{"op": "increment", "key": "n"}, {"op": "remove", "key": "name"}, "#,
            r#"{"op": "get", "key": "absent"}]"#
        ),
    ),
    ("offline", ""),
    ("random-ark", ""),
    ("random-ark", r#"{"seed": 42}"#),
    ("spin", ""),
    ("trap", "unreachable"),
    ("trap", "panic"),
    ("trap", "recurse"),
    ("trap", "allocate"),
];

/// Contracts as guests: the contract, its method, and the input.
const CONTRACTS: &[(&str, &str, &str)] = &[
    (
        "example_counter",
        "new",
        concat!(
            r#"{"outlayer": "outlayer.near", "#,
            r#""code": "0707070707070707070707070707070707070707070707070707070707070707"}"#
        ),
    ),
    ("example_counter", "new", "{}"),
    ("fixture_dapp", "answers", r#"{"asker": "alice.near"}"#),
    ("outlayer_contract", "no_such_method", ""),
];

/// The value of a key that the guests find in storage.
fn stored(key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
    Ok(match key {
        b"name" => Some(b"Ada".to_vec()),
        b"n" => Some(b"41".to_vec()),
        _ => None,
    })
}

/// A request with everything that its execution needs.
struct Case {
    name: String,
    code: Vec<u8>,
    request: ExecutionRequest,
    live: LiveRequest,
}

/// An execution, and the digest of its record.
#[derive(Clone, Debug, PartialEq)]
struct Replayed {
    execution: Execution,
    digest: Hash32,
}

impl Case {
    fn new(name: String, code: Vec<u8>, mut request: ExecutionRequest) -> Result<Self> {
        let code_ref = CodeRef { hash: Hash32::of(&code), url: None };
        request.code = code_ref.clone().into();
        request.limits.output_bytes = 64 << 10;
        // A method of a contract that is not payable fails when there is a deposit.
        let context = guests::context(NearToken::from_near(0))?;
        let config = Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION);
        let byte_cost = NearToken::from_yoctonear(10_000_000_000_000_000_000);
        let quote = quote(&config, &request, None, 100, byte_cost)?;
        let (pinned, data_id) = (code_ref.into(), Hash32::default());
        let live = LiveRequest::accept(&config, &request, pinned, context, quote, data_id)?;
        Ok(Self { name, code, request, live })
    }

    fn run(&self, executor: &Executor) -> Result<Replayed> {
        let job = Job::of_request(Code::of(&self.code), &self.request, &self.live.context);
        let execution = executor.execute(&job, &mut stored)?;
        let response = execution.clone().into_response(self.live.context.request_id);
        let digest = ExecutionRecord::new(&self.live, &response).digest();
        Ok(Replayed { execution, digest })
    }
}

fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (guest, input) in GUESTS {
        let component = format!("{guest}.component");
        for (file, gas) in [(*guest, false), (*guest, true), (&component, false)] {
            let mut asked = request(Hash32::default(), *input);
            // Some guests end at these limits.
            asked.limits.compute =
                if gas { Compute::Gas(4_000_000_000_000) } else { Compute::Fuel(5_000_000) };
            asked.limits.memory_bytes = 16 << 20;
            let name = format!("{file} {input:?} {}", asked.limits.compute.meter());
            cases.push(Case::new(name, artifacts::wasm(file)?, asked)?);
        }
    }
    for (contract, method, input) in CONTRACTS {
        let mut asked = request(Hash32::default(), *input);
        asked.kind = Some(GuestKind::Near);
        asked.args = vec![(*method).to_owned()];
        asked.limits.compute = Compute::Gas(100_000_000_000_000);
        // NEAR gives every contract this much memory, whatever it declares.
        asked.limits.memory_bytes = 128 << 20;
        cases.push(Case::new(format!("{contract}.{method}"), artifacts::wasm(contract)?, asked)?);
    }
    Ok(cases)
}

fn run_all(
    cases: &[Case],
    config: ExecutorConfig,
    times: usize,
) -> Result<(Executor, Vec<Replayed>)> {
    let executor = Executor::new(config)?;
    let mut results = Vec::new();
    for case in cases {
        let first = case.run(&executor).with_context(|| case.name.clone())?;
        for _ in 1..times {
            ensure!(case.run(&executor)? == first, "{} differs from itself", case.name);
        }
        results.push(first);
    }
    Ok((executor, results))
}

/// Set in the processes that the test starts: the folder of compiled code, or empty for none.
const CHILD: &str = "OUTLAYER_TEST_REPLAY_CACHE";

fn digests(results: &[Replayed]) -> String {
    let lines: Vec<_> = results
        .iter()
        .map(|replayed| {
            // The digest binds everything about the execution, logs and storage by their hashes.
            format!("digest {} {:?}", replayed.digest, replayed.execution.used)
        })
        .collect();
    lines.join("\n")
}

/// What each process does that the test below starts. By itself it tests nothing.
#[test]
fn in_a_process_of_its_own() -> Result<()> {
    let Some(dir) = std::env::var_os(CHILD) else { return Ok(()) };
    let cache_dir = (!dir.is_empty()).then(|| PathBuf::from(dir));
    let (executor, results) =
        run_all(&cases()?, ExecutorConfig { cache_dir, ..ExecutorConfig::default() }, 2)?;
    println!("\n{}", digests(&results));
    println!("compiled {}", executor.cache_counts().compiled);
    Ok(())
}

/// The digests of the executions in another process, and how many modules it compiled.
fn elsewhere(cache_dir: Option<&Path>) -> Result<(String, u64)> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", "determinism::in_a_process_of_its_own", "--nocapture"])
        .env(CHILD, cache_dir.unwrap_or(Path::new("")))
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("digest ")).collect();
    let compiled = text.lines().find_map(|line| line.strip_prefix("compiled "));
    Ok((lines.join("\n"), compiled.context("how many were compiled")?.parse()?))
}

#[test]
fn a_hundred_replays_of_every_guest_are_identical() -> Result<()> {
    let cases = cases()?;
    let (_, expected) = run_all(&cases, ExecutorConfig::default(), REPLAYS)?;
    for status in [Status::Completed, Status::OutOfFuel, Status::OutOfGas, Status::StackOverflow] {
        assert!(
            expected.iter().any(|one| one.execution.status == status),
            "{status:?} is among them"
        );
    }
    assert!(expected.iter().any(|one| !one.execution.journal.is_empty()));
    let counter = expected.iter().zip(&cases).find(|(_, case)| case.name == "example_counter.new");
    assert_eq!(counter.context("the contract")?.0.execution.status, Status::Completed);

    let folder = tempfile::tempdir()?;
    let kept = |config: ExecutorConfig| ExecutorConfig {
        cache_dir: Some(folder.path().join("compiled")),
        ..config
    };
    let default = ExecutorConfig::default;
    let pools = |places| ExecutorConfig { pool: Some(places), ..default() };
    for (how, config) in [
        ("compiled for each execution", ExecutorConfig { cache_bytes: 0, ..default() }),
        ("kept in the folder", kept(default())),
        ("from the folder", kept(default())),
        ("pools", pools(1)),
        ("pools, from the folder", kept(pools(2))),
        ("not optimised", ExecutorConfig { optimize: false, ..default() }),
        ("not optimised, pools", ExecutorConfig { optimize: false, ..pools(1) }),
    ] {
        let times = if config.cache_bytes == 0 { 1 } else { MORE };
        let (_, results) = run_all(&cases, config, times)?;
        for ((case, result), expected) in cases.iter().zip(&results).zip(&expected) {
            assert_eq!(result, expected, "{}, {how}", case.name);
        }
    }

    let here = digests(&expected);
    let (cold, compiled) = elsewhere(None)?;
    assert_eq!(cold, here, "another process");
    assert!(compiled > 0);
    let (warm, compiled) = elsewhere(Some(&folder.path().join("compiled")))?;
    assert_eq!((warm, compiled), (here, 0), "another process, from the folder");
    Ok(())
}
