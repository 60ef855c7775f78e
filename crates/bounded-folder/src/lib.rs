//! A folder of files named by hashes, for a cache on disk. It holds a bounded number of bytes, and
//! any number of processes may share it.
//!
//! * **Files appear whole.** A file is written under another name and renamed. It is not forced to
//!   the device first, so a crash of the machine can leave a torn one. Whoever reads a file
//!   therefore checks it, and [`BoundedFolder::get`] removes one that does not pass.
//! * **What was used longest ago goes first.** A file's time of modification is the time of its
//!   last use. When the files together are larger than the bound, the oldest are removed.
//! * **Other processes are at work too.** Files may appear and go at any time. A file that another
//!   process left half written is removed when it is ten minutes old.
//! * **Files are their owner's only**, and so is a folder that is made here.
//! * **Nothing else is touched**: files of another kind may lie beside them.
//!
//! A folder can also keep a [`secret`](BoundedFolder::secret) that all who share it have in common.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod error;
mod folder;
mod secret;

pub use error::FolderError;
pub use folder::BoundedFolder;

#[cfg(test)]
mod tests;
