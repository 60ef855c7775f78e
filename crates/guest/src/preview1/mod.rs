//! WASI preview 1: every one of its functions, with an answer that is the same everywhere.
//!
//! Three descriptors are open at first: 0 is the input, 1 the output, 2 the log. There is no
//! directory and no socket, so every `path_*` and `sock_*` call fails, with the error number that
//! fits the descriptor that it names. A pointer outside of the guest's memory is a trap.
//!
//! Each function has the name of the import that it answers. It takes those of the import's
//! parameters that it looks at, in their order, and returns the error number.

mod args;
mod clocks;
mod errno;
mod fd;
mod path;
mod poll;
mod process;
mod sock;

pub use args::{args_get, args_sizes_get, environ_get, environ_sizes_get};
pub use clocks::{clock_res_get, clock_time_get};
pub use errno::Errno;
pub(crate) use fd::filestat;
pub use fd::{
    fd_advise, fd_allocate, fd_close, fd_datasync, fd_fdstat_get, fd_fdstat_set_flags,
    fd_fdstat_set_rights, fd_filestat_get, fd_filestat_set_size, fd_filestat_set_times, fd_pread,
    fd_prestat_dir_name, fd_prestat_get, fd_pwrite, fd_read, fd_readdir, fd_renumber, fd_seek,
    fd_sync, fd_tell, fd_write,
};
pub use path::{
    path_create_directory, path_filestat_get, path_filestat_set_times, path_link, path_open,
    path_readlink, path_remove_directory, path_rename, path_symlink, path_unlink_file,
};
pub use poll::poll_oneoff;
pub(crate) use poll::{PREVIEW0, poll};
pub use process::{proc_exit, proc_raise, random_get, sched_yield};
pub use sock::{sock_accept, sock_recv, sock_send, sock_shutdown};

/// The name of the import module.
pub const MODULE: &str = "wasi_snapshot_preview1";
