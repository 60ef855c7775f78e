//! What the functions that plan check and pay for, however their arguments are passed.

use outlayer_protocol::plan::MAX_DEPENDENCIES;

use crate::{call::HostCall, stop::Stop, verdict::reason, work::Work};

/// Opens a call that plans a promise: so many bytes name its receiver, so many list the `count`
/// promises that it waits for.
pub(super) fn open_promise(
    call: &mut impl HostCall,
    receiver_bytes: u64,
    list_bytes: u64,
    count: u64,
) -> Result<(), Stop> {
    call.enter()?;
    call.charge(Work::Read(receiver_bytes))?;
    call.charge(Work::Read(list_bytes))?;
    call.charge(Work::Promise(count))
}

/// Opens a call that plans a call of a function.
pub(super) fn open_call(
    call: &mut impl HostCall,
    method_bytes: u64,
    args_bytes: u64,
    deposit_bytes: u64,
) -> Result<(), Stop> {
    call.enter()?;
    call.charge(Work::Read(method_bytes))?;
    call.charge(Work::Read(args_bytes))?;
    call.charge(Work::Read(deposit_bytes))?;
    call.charge(Work::PlannedCall(method_bytes.saturating_add(args_bytes)))
}

/// Opens a call that plans a transfer.
pub(super) fn open_transfer(call: &mut impl HostCall, deposit_bytes: u64) -> Result<(), Stop> {
    call.enter()?;
    call.charge(Work::Read(deposit_bytes))?;
    call.charge(Work::PlannedTransfer)
}

/// The promises that another one waits for. More than there may be are not copied.
pub(super) fn dependencies(numbers: impl ExactSizeIterator<Item = u32>) -> Result<Vec<u32>, Stop> {
    if numbers.len() > MAX_DEPENDENCIES {
        return Err(Stop::Trap(reason::TOO_MANY_DEPENDENCIES));
    }
    Ok(numbers.collect())
}
