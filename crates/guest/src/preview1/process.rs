//! The end of the process, signals, scheduling, randomness.

use super::errno::{Errno, NOTSUP, SUCCESS};
use crate::{
    call::{HostCall, MemoryCall},
    memory,
    stop::Stop,
    work::Work,
};

/// Ends the execution with an exit code.
///
/// # Errors
/// Always a [`Stop`]: the exit, or an exceeded limit.
pub fn proc_exit(call: &mut impl HostCall, code: u32) -> Result<(), Stop> {
    call.enter()?;
    Err(Stop::Exit(code))
}

/// Fails: there are no signals.
///
/// # Errors
/// A [`Stop`] for an exceeded limit.
pub fn proc_raise(call: &mut impl HostCall) -> Result<Errno, Stop> {
    call.enter()?;
    Ok(NOTSUP)
}

/// Does nothing: there is no other thread.
///
/// # Errors
/// A [`Stop`] for an exceeded limit.
pub fn sched_yield(call: &mut impl HostCall) -> Result<Errno, Stop> {
    call.enter()?;
    Ok(SUCCESS)
}

/// Fills a buffer with random bytes.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn random_get(call: &mut impl MemoryCall, buffer: u32, length: u32) -> Result<Errno, Stop> {
    call.enter()?;
    call.charge(Work::Random(length.into()))?;
    let (memory, host) = call.memory()?;
    host.random.fill(memory::bytes_mut(memory, buffer, length)?);
    Ok(SUCCESS)
}
