//! Clocks.

use wasmtime::{Caller, Linker, Result};

use super::{
    MODULE,
    errno::{Errno, INVAL, SUCCESS},
};
use crate::host::{Clock, State, clock::CLOCK_STEP_NANOS, enter, memory};

/// A clock of preview 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockId {
    Realtime,
    /// Monotonic time; the CPU times of process and thread are the same.
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

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(MODULE, "clock_res_get", clock_res_get)?;
    linker.func_wrap(MODULE, "clock_time_get", clock_time_get)?;
    Ok(())
}

fn clock_res_get(mut caller: Caller<'_, State>, id: u32, resolution: u32) -> Result<Errno> {
    enter(&mut caller)?;
    if let Err(errno) = ClockId::from_raw(id) {
        return Ok(errno);
    }
    let (memory, _) = memory::split(&mut caller)?;
    memory::write(memory, resolution, &CLOCK_STEP_NANOS.to_le_bytes())?;
    Ok(SUCCESS)
}

fn clock_time_get(
    mut caller: Caller<'_, State>,
    id: u32,
    _precision: u64,
    time: u32,
) -> Result<Errno> {
    enter(&mut caller)?;
    let id = match ClockId::from_raw(id) {
        Ok(id) => id,
        Err(errno) => return Ok(errno),
    };
    let (memory, state) = memory::split(&mut caller)?;
    let now = id.read(&mut state.clock);
    memory::write(memory, time, &now.to_le_bytes())?;
    Ok(SUCCESS)
}
