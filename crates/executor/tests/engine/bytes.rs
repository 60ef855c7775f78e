//! Whatever the bytes, there is a verdict, and it is the same with pools as without. A fault is the
//! host's own trouble, which no guest can cause.
//!
//! Guests run on a thread with a small stack, as a host may have. The short form of the random part
//! runs with the other tests; `OUTLAYER_BYTES_CASES=N` makes N cases of each kind, from the seed
//! `OUTLAYER_BYTES_SEED` on. A case that fails is written to the system's temporary folder.

mod composed;
mod crafted;
mod mutated;

use std::{
    env, fs,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use outlayer_executor::{Execution, Executor, ExecutorConfig};
use outlayer_protocol::{Compute, Hash32, Status};

use crate::common::{Run, corpus};

/// What a thread has that executes guests here. An ordinary one has four times as much.
const STACK_BYTES: usize = 512 << 10;
/// Cases that take longer are named, for those who look.
const SLOW: Duration = Duration::from_secs(2);
/// Longer than any guest here takes, however loaded the machine is.
const DEADLINE: Duration = Duration::from_secs(600);

const FUEL: Compute = Compute::Fuel(20_000_000);
const GAS: Compute = Compute::Gas(5_000_000_000_000);

fn executors() -> &'static [Executor; 2] {
    static EXECUTORS: OnceLock<[Executor; 2]> = OnceLock::new();
    EXECUTORS.get_or_init(|| {
        [None, Some(1)].map(|pool| {
            let config = ExecutorConfig { pool, deadline: DEADLINE, ..ExecutorConfig::default() };
            Executor::new(config).unwrap()
        })
    })
}

/// Runs `code` under both meters, with pools and without. Each must give a verdict, and the pools
/// the same as none.
fn verdicts(name: &str, code: &[u8]) -> [Execution; 2] {
    [FUEL, GAS].map(|compute| {
        let mut run = Run::bytes(code.to_vec()).input("input").limits(|limits| {
            limits.compute = compute;
            limits.memory_bytes = 128 << 20;
        });
        run.args = vec!["run".to_owned()];
        verdict(name, run)
    })
}

/// Runs a guest with pools and without.
fn verdict(name: &str, run: Run) -> Execution {
    // One execution at a time, because there is one place in the pools.
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let began = Instant::now();
    let [alone, pooled] = executors().each_ref().map(|executor| run.clone().on(executor));
    if began.elapsed() > SLOW {
        println!("{name}: {:?}", began.elapsed());
    }
    if alone.is_err() || alone != pooled {
        let hash = Hash32::of(&run.code).to_string();
        let file = env::temp_dir().join(format!("bytes-{}.wasm", &hash[..16]));
        fs::write(&file, &run.code).unwrap();
        let meter = run.limits.compute.meter();
        let (alone, pooled) = (short(&alone), short(&pooled));
        panic!("{name} ({}) in {meter}: {alone}, with pools {pooled}", file.display());
    }
    alone.unwrap()
}

fn short(ended: &Result<Execution, outlayer_executor::Fault>) -> String {
    match ended {
        Ok(execution) => format!("{:?}, {:?}", execution.status, execution.used),
        Err(fault) => format!("a fault: {fault}"),
    }
}

/// Checks how one of the cases ended: the beginning of its status.
fn ended(seen: &[(String, Status)], name: &str, expected: &str) {
    let (_, status) = seen.iter().find(|(seen, _)| seen == name).unwrap();
    let found = format!("{status:?}");
    assert!(found.starts_with(expected), "{name}: {found}");
}

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let small = thread::Builder::new().stack_size(STACK_BYTES);
    small.spawn(test).unwrap().join().unwrap();
}

#[test]
fn crafted_modules_have_a_verdict() {
    on_a_small_stack(|| {
        for (name, code) in crafted::modules() {
            verdicts(&name, &code);
        }
    });
}

#[test]
fn crafted_contracts_have_a_verdict() {
    on_a_small_stack(|| {
        let mut seen = Vec::new();
        for (name, code) in crafted::contracts() {
            let [_, gas] = verdicts(&name, &code);
            seen.push((name, gas.status));
        }
        let too_large = "InvalidModule { reason: \"an instance of the contract is larger";
        ended(&seen, "100001 globals", too_large);
        ended(&seen, "20000 globals", "Completed");
    });
}

#[test]
fn crafted_components_have_a_verdict() {
    on_a_small_stack(|| {
        let mut seen = Vec::new();
        for (name, code) in composed::components() {
            let [fuel, _] = verdicts(&name, &code);
            seen.push((name, fuel.status));
        }
        for (name, expected) in [
            ("2 instances with 63 tables", "Completed"),
            (
                "2 instances with 64 tables",
                "InvalidModule { reason: \"a component's instances have",
            ),
            (
                "3 instances with 99 tables",
                "InvalidModule { reason: \"a component's instances have",
            ),
            (
                "3 components with 99 tables",
                "InvalidModule { reason: \"a component's instances have",
            ),
            ("100000 globals", "Completed"),
            ("handles without end", "Trapped { reason: \"too many resources at once\" }"),
            ("streams without end", "Trapped { reason: \"too many resources at once\" }"),
            (
                "resources of another without end",
                "Trapped { reason: \"too many resources at once\" }",
            ),
            ("lending", "Completed"),
            (
                "giving twice",
                "Trapped { reason: \"a value that the component model does not allow\"",
            ),
            (
                "string of 16 at 0, string-encoding=utf8",
                "Trapped { reason: \"a value that the component model does not allow\"",
            ),
        ] {
            ended(&seen, name, expected);
        }
    });
}

#[test]
fn a_corpus_of_guests_ends_the_same_with_pools() {
    on_a_small_stack(|| {
        for (name, run) in corpus::guests() {
            verdict(&name, run);
        }
        for (name, run) in crafted::programs() {
            let execution = verdict(name, run);
            assert_eq!(execution.status, Status::Completed, "{name}");
        }
    });
}

/// How many random cases of each kind there are, and the first seed.
fn cases(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| Some(env::var(name).ok()?.parse::<u64>().unwrap());
    let first = number("OUTLAYER_BYTES_SEED").unwrap_or_default();
    first..first + number("OUTLAYER_BYTES_CASES").unwrap_or(default)
}

fn random(kind: &'static str, default: u64, make: fn(u64) -> Option<Vec<u8>>) {
    on_a_small_stack(move || {
        let began = Instant::now();
        let (mut made, mut run) = (0, 0);
        for seed in cases(default) {
            let Some(code) = make(seed) else { continue };
            let executions = verdicts(&format!("{kind} {seed}"), &code);
            made += 1;
            let is_run = |execution: &Execution| {
                !matches!(
                    execution.status,
                    Status::InvalidModule { .. } | Status::LimitExceeded { .. }
                )
            };
            run += u32::from(executions.iter().any(is_run));
        }
        println!("{kind}: {made} cases, of which {run} were run, in {:?}", began.elapsed());
        assert!(made > 0 && run > 0, "{kind}: {made} cases, of which {run} were run");
    });
}

#[test]
fn generated_modules_have_a_verdict() {
    random("generated module", 30, mutated::generated_module);
}

#[test]
fn generated_components_have_a_verdict() {
    random("generated component", 60, mutated::generated_component);
}

#[test]
fn mutated_modules_have_a_verdict() {
    random("mutated module", 200, mutated::module);
}

#[test]
fn mutated_components_have_a_verdict() {
    random("mutated component", 100, mutated::component);
}

#[test]
fn mutated_contracts_have_a_verdict() {
    random("mutated contract", 200, mutated::contract);
}
