//! Sockets, of which there are none.

use wasmtime::{Caller, Linker, Result};

use super::{
    MODULE,
    errno::{Errno, NOTSOCK},
};
use crate::host::{State, enter};

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "sock_accept",
        |caller: Caller<'_, State>, fd: u32, _: u32, _: u32| refuse(caller, fd),
    )?;
    linker.func_wrap(
        MODULE,
        "sock_recv",
        |caller: Caller<'_, State>, fd: u32, _: u32, _: u32, _: u32, _: u32, _: u32| {
            refuse(caller, fd)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "sock_send",
        |caller: Caller<'_, State>, fd: u32, _: u32, _: u32, _: u32, _: u32| refuse(caller, fd),
    )?;
    linker.func_wrap(MODULE, "sock_shutdown", |caller: Caller<'_, State>, fd: u32, _: u32| {
        refuse(caller, fd)
    })?;
    Ok(())
}

fn refuse(mut caller: Caller<'_, State>, fd: u32) -> Result<Errno> {
    enter(&mut caller)?;
    Ok(caller.data().wasi.descriptors.get(fd).map_or_else(|errno| errno, |_| NOTSOCK))
}
