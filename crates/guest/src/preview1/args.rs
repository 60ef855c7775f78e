//! Arguments and environment variables.

use super::errno::{Errno, SUCCESS};
use crate::{
    call::MemoryCall, host::Host, memory, stop::Stop, verdict::reason::ARGUMENTS_TOO_LARGE,
    work::Work,
};

/// Writes the arguments: a pointer for each at `pointers`, and their texts one after the other at
/// `texts`.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn args_get(call: &mut impl MemoryCall, pointers: u32, texts: u32) -> Result<Errno, Stop> {
    write::<Arguments>(call, pointers, texts)
}

/// Writes how many arguments there are, and how many bytes their texts have.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn args_sizes_get(call: &mut impl MemoryCall, count: u32, bytes: u32) -> Result<Errno, Stop> {
    write_sizes::<Arguments>(call, count, bytes)
}

/// As [`args_get`], for the environment variables.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn environ_get(call: &mut impl MemoryCall, pointers: u32, texts: u32) -> Result<Errno, Stop> {
    write::<Variables>(call, pointers, texts)
}

/// As [`args_sizes_get`], for the environment variables.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn environ_sizes_get(
    call: &mut impl MemoryCall,
    count: u32,
    bytes: u32,
) -> Result<Errno, Stop> {
    write_sizes::<Variables>(call, count, bytes)
}

/// A list of texts. Each text is given in its parts, which lie one after the other in memory.
trait Texts {
    fn of(host: &Host) -> impl Iterator<Item = [&str; 4]>;
}

/// The arguments, each ending with a NUL.
enum Arguments {}

impl Texts for Arguments {
    fn of(host: &Host) -> impl Iterator<Item = [&str; 4]> {
        host.program.args.iter().map(|arg| [arg, "", "", "\0"])
    }
}

/// The environment variables as `NAME=value`, each ending with a NUL.
enum Variables {}

impl Texts for Variables {
    fn of(host: &Host) -> impl Iterator<Item = [&str; 4]> {
        host.environment().iter().map(|(name, value)| [name.as_str(), "=", value, "\0"])
    }
}

/// How many texts there are, and how many bytes they have together.
fn sizes<T: Texts>(host: &Host) -> Result<(u32, u32), Stop> {
    let too_large = |_| Stop::Trap(ARGUMENTS_TOO_LARGE);
    let length = |text: [&str; 4]| text.iter().map(|part| part.len()).sum::<usize>();
    let count = u32::try_from(T::of(host).count()).map_err(too_large)?;
    let bytes = u32::try_from(T::of(host).map(length).sum::<usize>()).map_err(too_large)?;
    Ok((count, bytes))
}

fn write_sizes<T: Texts>(
    call: &mut impl MemoryCall,
    count: u32,
    bytes: u32,
) -> Result<Errno, Stop> {
    call.enter()?;
    let (memory, host) = call.memory()?;
    let (number, length) = sizes::<T>(host)?;
    memory::write(memory, count, &number.to_le_bytes())?;
    memory::write(memory, bytes, &length.to_le_bytes())?;
    Ok(SUCCESS)
}

fn write<T: Texts>(call: &mut impl MemoryCall, pointers: u32, texts: u32) -> Result<Errno, Stop> {
    let (count, bytes) = sizes::<T>(call.host())?;
    call.enter()?;
    call.charge(Work::Write(u64::from(count) * 4 + u64::from(bytes)))?;
    let (memory, host) = call.memory()?;
    let (mut pointer, mut text_at) = (pointers, texts);
    for text in T::of(host) {
        memory::write(memory, pointer, &text_at.to_le_bytes())?;
        for part in text {
            memory::write(memory, text_at, part.as_bytes())?;
            text_at = memory::offset(text_at, u32::try_from(part.len()).unwrap_or(u32::MAX))?;
        }
        pointer = memory::offset(pointer, 4)?;
    }
    Ok(SUCCESS)
}
