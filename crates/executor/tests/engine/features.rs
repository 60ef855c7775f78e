//! The newer parts of WebAssembly under fuel: they do what the specification says, and cost what
//! they cost, whatever a guest does with them.

mod growth;
pub(crate) mod memories;
pub(crate) mod preview0;
mod relaxed;
mod tail_calls;

use outlayer_protocol::{Compute, ResourceLimits, Status};

use crate::common::Run;

/// More than any of these guests uses, but for those without end.
const PLENTY: u64 = 1_000_000_000;

/// What a guest uses that must complete, twice the same.
fn used(run: &Run) -> u64 {
    let mut run = run.clone().fuel(PLENTY);
    let execution = run.run();
    assert_eq!(execution.status, Status::Completed);
    assert_eq!(run.run(), execution);
    execution.used.amount()
}

/// A guest of these items without end is stopped by its fuel, and is billed for all of it.
fn ends_by_its_fuel(run: Run) {
    const FUEL: u64 = 3_000_000;
    let execution = run.fuel(FUEL).run();
    assert_eq!(execution.status, Status::OutOfFuel);
    assert_eq!(execution.used, Compute::Fuel(FUEL));
}

/// Under gas, NEAR's rules decide, which know nothing of this.
fn is_invalid_under_gas(run: &Run) {
    let gas = |limits: &mut ResourceLimits| limits.compute = Compute::Gas(1_000_000_000_000);
    let status = run.clone().limits(gas).run().status;
    assert!(matches!(status, Status::InvalidModule { .. }), "{status:?}");
}
