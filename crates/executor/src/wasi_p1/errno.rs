//! The error numbers of preview 1 that are used.

/// What a preview-1 function returns.
pub(crate) type Errno = u32;

pub(crate) const SUCCESS: Errno = 0;
/// No such descriptor.
pub(crate) const BADF: Errno = 8;
/// An argument that means nothing.
pub(crate) const INVAL: Errno = 28;
/// Not a directory.
pub(crate) const NOTDIR: Errno = 54;
/// Not a socket.
pub(crate) const NOTSOCK: Errno = 57;
/// Not supported.
pub(crate) const NOTSUP: Errno = 58;
/// A stream cannot be positioned.
pub(crate) const SPIPE: Errno = 70;
