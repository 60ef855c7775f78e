//! Paths, which lead nowhere: no directory is open.
//!
//! Each call names the descriptor of a directory. A standard stream is not a directory (`ENOTDIR`),
//! and every other number is no descriptor (`EBADF`). The paths themselves are never looked at.

use super::{
    errno::{Errno, NOTDIR},
    fd,
};
use crate::{call::HostCall, stop::Stop};

macro_rules! without_directory {
    ($($name:ident),* $(,)?) => {$(
        /// Fails: `fd` is not a directory. Of two directories, the first decides.
        ///
        /// # Errors
        /// A [`Stop`] for an exceeded limit.
        pub fn $name(call: &mut impl HostCall, fd: u32) -> Result<Errno, Stop> {
            fd::fail(call, fd, NOTDIR)
        }
    )*};
}

without_directory!(
    path_create_directory,
    path_filestat_get,
    path_filestat_set_times,
    path_link,
    path_open,
    path_readlink,
    path_remove_directory,
    path_rename,
    path_symlink,
    path_unlink_file,
);
