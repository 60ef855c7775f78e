//! WASI preview 0, which programs of before 2020 import as `wasi_unstable`.
//!
//! Its functions are those of [preview 1](crate::preview1), but for two whose structures have
//! another layout. The third difference between the two, how `fd_seek` numbers its origins, makes
//! none here: no stream can be moved in.

pub use crate::preview1::{
    args_get, args_sizes_get, clock_res_get, clock_time_get, environ_get, environ_sizes_get,
    fd_advise, fd_allocate, fd_close, fd_datasync, fd_fdstat_get, fd_fdstat_set_flags,
    fd_fdstat_set_rights, fd_filestat_set_size, fd_filestat_set_times, fd_pread,
    fd_prestat_dir_name, fd_prestat_get, fd_pwrite, fd_read, fd_readdir, fd_renumber, fd_seek,
    fd_sync, fd_tell, fd_write, path_create_directory, path_filestat_get, path_filestat_set_times,
    path_link, path_open, path_readlink, path_remove_directory, path_rename, path_symlink,
    path_unlink_file, proc_exit, proc_raise, random_get, sched_yield, sock_recv, sock_send,
    sock_shutdown,
};
use crate::{
    call::MemoryCall,
    preview1::{self, Errno},
    stop::Stop,
};

/// The name of the import module.
pub const MODULE: &str = "wasi_unstable";

/// Tells of a stream, at `stat`. What preview 0 tells has 56 bytes, as it counts links in 32 bits.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn fd_filestat_get(call: &mut impl MemoryCall, fd: u32, stat: u32) -> Result<Errno, Stop> {
    preview1::filestat(call, fd, stat, &[0; 56])
}

/// Waits for the first of `count` subscriptions, of 56 bytes each, and writes an event for each
/// that is ready.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn poll_oneoff(
    call: &mut impl MemoryCall,
    subscriptions: u32,
    events: u32,
    count: u32,
    ready: u32,
) -> Result<Errno, Stop> {
    preview1::poll(call, &preview1::PREVIEW0, subscriptions, events, count, ready)
}
