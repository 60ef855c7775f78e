//! Questions to the engine: whether it computes what it must, and how fast.

use std::time::{Duration, Instant};

use outlayer_guest::{Code, Engine, EngineId, Fault, Job, SnapshotError};
use outlayer_protocol::{
    Compute, EngineVersion, ExecutionContext, Hash32, NearToken, ResourceLimits, Status,
    window::Window,
};

use super::Finding;

/// A guest that computes for a while, reads a key, writes one, and uses the log and the output. Its
/// text is beside it.
const GUEST: &[u8] = include_bytes!("self_test.wasm");
/// What the guest reads.
const INPUT: &[u8] = b"self-test";
/// A guest that never ends.
const SPIN: &[u8] = include_bytes!("spin.wasm");

/// The digests of what [`GUEST`] does under fuel and under gas, by engine version. Those of a
/// version that was released stay, because another program may serve it beside this one.
const EXPECTED: [(EngineVersion, [&str; 2]); 1] = [(
    EngineVersion(2),
    [
        "cc6fca3a37d8c9e9c8c6c730c7ecb172e89e325a7ddbc665dfa62f6abe7d7ccb",
        "23b97a94e9627efbea3a8abed30eeac33b328ec1fef0dad3d0a47b4665a17303",
    ],
)];

fn context() -> Option<ExecutionContext> {
    let account = "self-test.near".parse().ok()?;
    Some(ExecutionContext {
        request_id: 1,
        contract_id: account,
        block_height: 1,
        block_timestamp: 1_000_000_000,
        epoch_height: 1,
        random_seed: Hash32([7; 32]),
        signer_id: "signer.near".parse().ok()?,
        predecessor_id: "caller.near".parse().ok()?,
        attached_deposit: NearToken::from_yoctonear(1),
    })
}

const LIMITS: [Compute; 2] = [Compute::Fuel(50_000_000), Compute::Gas(50_000_000_000_000)];

fn execute(
    engine: &dyn Engine,
    code: &[u8],
    compute: Compute,
) -> Result<outlayer_guest::Execution, Fault> {
    let context = context().ok_or_else(|| Fault::engine("the self-test has no context"))?;
    let limits =
        ResourceLimits { compute, ..ResourceLimits::default() }.with_storage(4, 4, 1 << 10);
    let job = Job { input: INPUT, ..Job::new(Code::of(code), &limits, &context) };
    engine.execute(&job, &mut |key: &[u8]| {
        Ok::<_, SnapshotError>((key == b"k").then(|| b"value".to_vec()))
    })
}

/// The digest of everything that an execution yields.
fn digest(execution: outlayer_guest::Execution) -> String {
    let logs = execution.logs.clone();
    let bytes = borsh::to_vec(&(execution.into_response(1), logs)).unwrap_or_default();
    Hash32::of(&bytes).to_string()
}

/// Whether `engine`, which has this name, computes what its version must, to the unit, under both
/// meters. It blocks for as long as two small executions take. Of a version that this build does
/// not know, it is only seen that guests run.
pub fn self_test(engine: &dyn Engine, id: EngineId) -> Finding {
    const CHECK: &str = "engine";
    let version = id.version;
    let expected = EXPECTED.iter().find(|(known, _)| *known == version);
    let expected = expected.map(|(_, digests)| digests);
    if expected.is_none() && id == EngineId::OWN {
        let found = format!("no digest is known for {version}");
        return Finding::fail(CHECK, found, "This build is broken: install a release.");
    }
    for (place, compute) in LIMITS.into_iter().enumerate() {
        let found = match execute(engine, GUEST, compute) {
            Ok(execution) => digest(execution),
            Err(fault) => {
                let advice = "Guests cannot be run here. The log, and what `outlayer doctor` says \
                              of the sandbox, tell more.";
                return Finding::fail(CHECK, format!("{version}: {fault}"), advice);
            }
        };
        let expected = expected.and_then(|digests| digests.get(place));
        if let Some(expected) = expected.filter(|expected| found != **expected) {
            return Finding::fail(
                CHECK,
                format!("{version} gave {found} under {compute}, expected {expected}"),
                "Do not serve with this program: its answers would be wrong. Reinstall it, and \
                 check the machine's memory and processor.",
            );
        }
    }
    if expected.is_none() {
        let found = format!("{version} runs guests; this program does not know its digests");
        let advice = "Ask the program that has this engine, with an `outlayer doctor` of its own.";
        return Finding::warn(CHECK, found, advice);
    }
    Finding::ok(CHECK, format!("{version} gives the expected digests"))
}

/// How much fuel the measurement burns.
const SPIN_FUEL: u64 = 400_000_000;

/// How fast this machine is, beside the time that the contract allows. It blocks for as long as the
/// measurement takes: half a second where all is well.
pub fn speed(engine: &dyn Engine, window: &Window) -> Finding {
    const CHECK: &str = "speed";
    // Compiles, and starts a process where the engine has none yet.
    let warm = execute(engine, SPIN, Compute::Fuel(1_000));
    let began = Instant::now();
    let execution = warm.and_then(|_| execute(engine, SPIN, Compute::Fuel(SPIN_FUEL)));
    let took = began.elapsed();
    match execution {
        Ok(execution) if execution.status == Status::OutOfFuel => {}
        Ok(execution) => {
            let found = format!("a guest that never ends gave {:?}", execution.status);
            return Finding::fail(CHECK, found, "This build is broken: install a release.");
        }
        Err(fault) => return Finding::fail(CHECK, fault.to_string(), "See the line above."),
    }
    judge(took, window.speed(1).nanos_per_kilofuel)
}

fn judge(took: Duration, allowed: u32) -> Finding {
    let nanos = took.as_nanos() * 1_000 / u128::from(SPIN_FUEL);
    let found = format!("1,000 units of fuel take {nanos} ns; the contract allows {allowed} ns");
    if nanos > u128::from(allowed) {
        let advice = "Requests near their limits would come too late here. Give the worker a \
                      faster processor, or a processor of its own.";
        Finding::fail("speed", found, advice)
    } else if nanos * 2 > u128::from(allowed) {
        let advice = "There is little room: other programs on this machine may make it too slow.";
        Finding::warn("speed", found, advice)
    } else {
        Finding::ok("speed", found)
    }
}

#[cfg(test)]
mod tests {
    use outlayer_executor::{Executor, ExecutorConfig};

    use super::*;
    use crate::checks::Level;

    #[test]
    fn the_guests_are_what_their_texts_say() {
        for (name, bytes) in [("self_test", GUEST), ("spin", SPIN)] {
            let path = format!("{}/src/checks/{name}.wat", env!("CARGO_MANIFEST_DIR"));
            let assembled = wat::parse_file(&path).unwrap();
            if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
                std::fs::write(path.replace(".wat", ".wasm"), &assembled).unwrap();
            }
            assert!(bytes == assembled, "{name}.wasm is another; UPDATE_SNAPSHOTS=1 writes it");
        }
    }

    #[test]
    fn this_engine_gives_the_expected_digests_and_the_guest_does_what_the_test_is_for() {
        let engine = Executor::new(ExecutorConfig::default()).unwrap();
        let execution = execute(&engine, GUEST, LIMITS[0]).unwrap();
        assert_eq!(execution.status, Status::Completed);
        assert_eq!(execution.logs, b"value");
        assert_eq!((execution.reads.len(), execution.journal.len()), (1, 1));
        assert_eq!(execution.output.len(), 8);
        let found = self_test(&engine, EngineId::OWN);
        assert_eq!(found.level, Level::Ok, "{found:?}");
    }

    #[test]
    fn an_engine_that_computes_anything_else_fails() {
        struct Off(Executor);
        impl Engine for Off {
            fn execute(
                &self,
                job: &Job<'_>,
                snapshot: &mut dyn outlayer_guest::Snapshot,
            ) -> Result<outlayer_guest::Execution, Fault> {
                let mut execution = self.0.execute(job, snapshot)?;
                execution.used = Compute::Fuel(execution.used.amount() + 1);
                Ok(execution)
            }
        }
        let off = Off(Executor::new(ExecutorConfig::default()).unwrap());
        let found = self_test(&off, EngineId::OWN);
        assert_eq!(found.level, Level::Fail, "{found:?}");
        // Of an engine that this build does not know, nothing can be said but that it runs.
        let other = EngineId { version: EngineVersion(1_000), ..EngineId::OWN };
        let unknown = self_test(&off, other);
        assert_eq!(unknown.level, Level::Warn, "{unknown:?}");
        assert!(found.advice.unwrap().contains("answers would be wrong"));
    }

    #[test]
    fn speed_is_judged_by_what_the_contract_allows() {
        let per_kilofuel = |nanos: u64| Duration::from_nanos(nanos * SPIN_FUEL / 1_000);
        assert_eq!(judge(per_kilofuel(1_000), 6_000).level, Level::Ok);
        assert_eq!(judge(per_kilofuel(4_000), 6_000).level, Level::Warn);
        assert_eq!(judge(per_kilofuel(7_000), 6_000).level, Level::Fail);
    }
}
