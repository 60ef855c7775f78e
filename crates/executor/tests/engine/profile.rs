//! A profile says what each function paid, and changes nothing.

use outlayer_executor::{Execution, NoProfile, Profile, fuel};
use outlayer_protocol::{Compute, GuestKind, Meter, Status};

use crate::common::{Run, components, corpus, executor, invalid};

/// What the executor says of a guest that it profiles, and what comes of the execution if it runs.
fn profile(run: &Run) -> (Option<Execution>, Result<Profile, NoProfile>) {
    let mut found = None;
    let execution = run.clone().run_by(|job, storage| {
        Ok(match executor().profile(job, storage)? {
            Ok((execution, profile)) => {
                found = Some(Ok(profile));
                execution
            }
            Err(no_profile) => {
                found = Some(Err(no_profile));
                Execution::without_running(job, invalid("no profile"))
            }
        })
    });
    let found = found.unwrap();
    (found.is_ok().then(|| execution.unwrap()), found)
}

#[test]
fn each_function_pays_for_its_own_operators() {
    let mut run = Run::wat(
        r#"(module (memory (export "memory") 1 3)
            (func $work (param i32) (loop $l (br_if $l
                (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
            (func $copy (param i32)
                (memory.fill (i32.const 0) (i32.const 0) (local.get 0)))
            (func $never)
            (func (export "_start") (call $work (i32.const 1000)) (call $copy (i32.const 500))
                (drop (memory.grow (i32.const 1)))))"#,
    );
    let (execution, found) = profile(&run);
    let (execution, profile) = (execution.unwrap(), found.unwrap());
    assert_eq!(execution, run.run());
    let found: Vec<_> = profile.functions.iter().map(|f| (&f.function[..], f.fuel)).collect();
    assert_eq!(
        found,
        [
            ("work", fuel::ENTRY + 5 * 1_000),
            ("copy", fuel::ENTRY + 3 + fuel::BULK + 500),
            ("function 3", fuel::ENTRY + 2 + 2 + 1 + fuel::MEMORY_GROW),
        ]
    );
    assert_eq!(profile.host, fuel::MEMORY_GROW_PAGE);
    let sum: u64 = profile.functions.iter().map(|function| function.fuel).sum();
    assert_eq!(execution.used, Compute::Fuel(sum + profile.host));
}

#[test]
fn a_guest_that_traps_has_a_profile_and_one_that_is_rejected_has_not() {
    let run = Run::start("(loop $l (br $l))").fuel(100_000);
    let (execution, found) = profile(&run);
    assert_eq!(execution.unwrap().status, Status::OutOfFuel);
    assert_eq!(found.unwrap().functions.len(), 1);
    for (run, kind, meter) in [
        (components::wasi(""), GuestKind::WasiP2, Meter::Fuel),
        (
            corpus::curious().limits(|l| l.compute = Compute::Gas(1 << 40)),
            GuestKind::WasiP1,
            Meter::Gas,
        ),
    ] {
        assert_eq!(profile(&run).1, Err(NoProfile::Kind(kind, meter)));
    }
    let none = Run::start("").limits(|limits| limits.instances = 0);
    let expected = none.clone().run().status;
    assert_eq!(profile(&none).1, Err(NoProfile::Rejected(expected)));
    let (_, rejected) = profile(&Run::bytes(b"#!/bin/sh".to_vec()));
    assert!(matches!(rejected, Err(NoProfile::Rejected(Status::InvalidModule { .. }))));
}
