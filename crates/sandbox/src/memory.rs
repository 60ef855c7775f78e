//! How much of the host's memory an execution may take.

use std::{io, num::NonZero};

use outlayer_guest::{
    Job,
    prepare::{meter::NATIVE_STACK_BYTES, shape::MAX_BODY_BYTES},
};
use outlayer_protocol::http::MAX_FETCHED_BYTES;

/// What a child takes beside its guest: a store, what a program uses of its stack, buffers of both
/// sides.
const FIXED_BYTES: u64 = 64 << 20;
/// What an element of a table takes.
const ELEMENT_BYTES: u64 = 16;
/// What an exchange over HTTP takes beside its guest: an answer before it is reduced, in the form
/// in which it came, was sent, read and given to a transform, and what a component makes the host
/// keep.
const EXCHANGE_BYTES: u64 = 8 * MAX_FETCHED_BYTES as u64 + (16 << 20);
/// What the compiler's own data take for each byte of a function while it is compiled.
const COMPILER_BYTES: u64 = 512;
/// What comes of each byte of code, and stays until all of the module is compiled. Whole programs
/// take half of it.
const COMPILED_BYTES: u64 = 64;

/// The most threads that compile a module.
const MAX_COMPILER_THREADS: usize = 4;

/// How many threads compile a module: one for each core, within bounds, because each takes memory.
pub(crate) fn compiler_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_COMPILER_THREADS)
}

/// The most of the host's memory that an execution of `job` takes: the guest's memories and tables,
/// what one call hands to the host (at most twice the guest's memory), input, output, logs,
/// journal, plan and transcript on both sides, and its code if that must be compiled. With HTTP, a
/// second instance may reduce an answer.
pub(crate) fn needed(job: &Job<'_>, must_compile: bool) -> u64 {
    let code_bytes = if must_compile { job.code.bytes().len() as u64 } else { 0 };
    // One function for each thread.
    let at_once = code_bytes.min((MAX_BODY_BYTES * compiler_threads()) as u64);
    let limits = job.limits;
    let streams = [limits.output_bytes, limits.log_bytes, limits.journal_bytes, limits.plan_bytes]
        .into_iter()
        .map(u64::from)
        .fold(job.input.len() as u64, u64::saturating_add);
    let transcript = job.http.map_or(0, |http| u64::from(http.access.max_bytes));
    let streams = streams.saturating_add(transcript);
    let (instances, exchange) = if job.http.is_some() { (2, EXCHANGE_BYTES) } else { (1, 0) };
    limits
        .memory_bytes
        .saturating_mul(3)
        .saturating_add(u64::from(limits.table_elements).saturating_mul(ELEMENT_BYTES))
        .saturating_mul(instances)
        .saturating_add(exchange)
        .saturating_add(streams.saturating_mul(4))
        .saturating_add(at_once.saturating_mul(COMPILER_BYTES))
        .saturating_add(code_bytes.saturating_mul(COMPILED_BYTES))
        .saturating_add(FIXED_BYTES)
}

/// The address space of a stack, which counts against a child's bound as a whole. Only what a guest
/// uses of it becomes memory. A guest that runs without pools has one made for it.
pub(crate) const STACK_ADDRESSES: u64 = NATIVE_STACK_BYTES as u64 + (2 << 20);

/// Lets a child have `most` bytes.
#[cfg(target_os = "linux")]
pub(crate) fn limit(pid: u32, most: u64) -> io::Result<()> {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("it has no process id"))?;
    // A child has the same hard limit as its parent, which nobody may raise.
    let maximum = getrlimit(Resource::Data).maximum;
    let current = Some(maximum.map_or(most, |maximum| maximum.min(most)));
    prlimit(Some(pid), Resource::Data, Rlimit { current, maximum })?;
    Ok(())
}

/// The memory that a process may write to and shares with nobody.
#[cfg(target_os = "linux")]
pub(crate) fn data_bytes(pid: u32) -> io::Result<u64> {
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages = pages.split_whitespace().nth(5).and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| io::Error::other("the kernel does not say what it has"))?;
    Ok(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// This system does not say.
#[cfg(not(target_os = "linux"))]
pub(crate) fn data_bytes(_: u32) -> io::Result<u64> {
    Ok(0)
}

/// This system has no bound for a process's memory that leaves its addresses alone.
#[cfg(not(target_os = "linux"))]
pub(crate) fn limit(_: u32, _: u64) -> io::Result<()> {
    Ok(())
}
