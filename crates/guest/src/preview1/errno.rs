//! The error numbers of preview 1 that are used.

/// What a preview-1 function returns: 0 for success, or an error number of
/// `wasi_snapshot_preview1`.
pub type Errno = u32;

pub(super) const SUCCESS: Errno = 0;
/// No such descriptor.
pub(super) const BADF: Errno = 8;
/// An invalid argument.
pub(super) const INVAL: Errno = 28;
/// Not a directory.
pub(super) const NOTDIR: Errno = 54;
/// Not a socket.
pub(super) const NOTSOCK: Errno = 57;
/// Not supported.
pub(super) const NOTSUP: Errno = 58;
/// A stream has no position.
pub(super) const SPIPE: Errno = 70;
