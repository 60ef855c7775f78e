//! Clocks.

use super::errno::{Errno, INVAL, SUCCESS};
use crate::{
    call::MemoryCall,
    host::{CLOCK_STEP_NANOS, Clock},
    memory,
    stop::Stop,
};

/// A clock of preview 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockId {
    Realtime,
    /// Monotonic time. The CPU times of process and thread are the same.
    Monotonic,
}

impl ClockId {
    pub(super) fn from_raw(id: u32) -> Result<Self, Errno> {
        match id {
            0 => Ok(Self::Realtime),
            1..=3 => Ok(Self::Monotonic),
            _ => Err(INVAL),
        }
    }

    fn read(self, clock: &mut Clock) -> u64 {
        match self {
            Self::Realtime => clock.read_realtime(),
            Self::Monotonic => clock.read_monotonic(),
        }
    }
}

/// Writes the resolution of a clock.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn clock_res_get(call: &mut impl MemoryCall, id: u32, resolution: u32) -> Result<Errno, Stop> {
    call.enter()?;
    if let Err(errno) = ClockId::from_raw(id) {
        return Ok(errno);
    }
    let (memory, _) = call.memory()?;
    memory::write(memory, resolution, &CLOCK_STEP_NANOS.to_le_bytes())?;
    Ok(SUCCESS)
}

/// Reads a clock.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn clock_time_get(call: &mut impl MemoryCall, id: u32, time: u32) -> Result<Errno, Stop> {
    call.enter()?;
    let id = match ClockId::from_raw(id) {
        Ok(id) => id,
        Err(errno) => return Ok(errno),
    };
    let (memory, host) = call.memory()?;
    let now = id.read(&mut host.clock);
    memory::write(memory, time, &now.to_le_bytes())?;
    Ok(SUCCESS)
}
