//! Paths, which lead nowhere: no directory is open.
//!
//! Each call names a directory's descriptor. A standard stream is no directory (`ENOTDIR`), every other
//! number is no descriptor (`EBADF`). The paths themselves are never looked at.

use wasmtime::{Caller, Linker, Result};

use super::{
    MODULE,
    errno::{Errno, NOTDIR},
};
use crate::host::{State, enter};

type Call<'a> = Caller<'a, State>;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "path_create_directory",
        |call: Call<'_>, fd: u32, _: u32, _: u32| refuse(call, fd),
    )?;
    linker.func_wrap(
        MODULE,
        "path_filestat_get",
        |call: Call<'_>, fd: u32, _: u32, _: u32, _: u32, _: u32| refuse(call, fd),
    )?;
    linker.func_wrap(
        MODULE,
        "path_filestat_set_times",
        |call: Call<'_>, fd: u32, _: u32, _: u32, _: u32, _: u64, _: u64, _: u32| refuse(call, fd),
    )?;
    linker.func_wrap(
        MODULE,
        "path_link",
        |call: Call<'_>, old_fd: u32, _: u32, _: u32, _: u32, new_fd: u32, _: u32, _: u32| {
            refuse_both(call, old_fd, new_fd)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "path_open",
        |call: Call<'_>,
         fd: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u64,
         _: u64,
         _: u32,
         _: u32| refuse(call, fd),
    )?;
    linker.func_wrap(
        MODULE,
        "path_readlink",
        |call: Call<'_>, fd: u32, _: u32, _: u32, _: u32, _: u32, _: u32| refuse(call, fd),
    )?;
    linker.func_wrap(
        MODULE,
        "path_remove_directory",
        |call: Call<'_>, fd: u32, _: u32, _: u32| refuse(call, fd),
    )?;
    linker.func_wrap(
        MODULE,
        "path_rename",
        |call: Call<'_>, fd: u32, _: u32, _: u32, new_fd: u32, _: u32, _: u32| {
            refuse_both(call, fd, new_fd)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "path_symlink",
        |call: Call<'_>, _: u32, _: u32, fd: u32, _: u32, _: u32| refuse(call, fd),
    )?;
    linker.func_wrap(MODULE, "path_unlink_file", |call: Call<'_>, fd: u32, _: u32, _: u32| {
        refuse(call, fd)
    })?;
    Ok(())
}

fn refuse(mut call: Call<'_>, fd: u32) -> Result<Errno> {
    enter(&mut call)?;
    Ok(errno(&call, fd))
}

/// The first descriptor's error, which there always is.
fn refuse_both(call: Call<'_>, first: u32, _second: u32) -> Result<Errno> {
    refuse(call, first)
}

fn errno(call: &Call<'_>, fd: u32) -> Errno {
    call.data().wasi.descriptors.get(fd).map_or_else(|errno| errno, |_| NOTDIR)
}
