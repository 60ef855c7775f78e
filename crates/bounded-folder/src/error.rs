//! Why a folder cannot be used.

use std::{io, path::PathBuf};

/// The folder cannot be used, or others could change what is in it.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made, read or written.
    #[error("{path}: {error}")]
    Io {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// Another user owns it.
    #[error("{path} belongs to user {found}, expected {expected}, who runs this process")]
    Owner {
        /// The folder, or the secret in it.
        path: PathBuf,
        /// The id of its owner.
        found: u32,
        /// The id of this process's user.
        expected: u32,
    },
    /// Other users can write in it, or read the secret.
    #[error(
        "{path} has the permissions {found:o}, expected none of {forbidden:o}; \
         change them with chmod"
    )]
    Permissions {
        /// The folder, or the secret in it.
        path: PathBuf,
        /// Its permissions.
        found: u32,
        /// Those that it must not have.
        forbidden: u32,
    },
    /// The file is not a secret of the folder.
    #[error("{path} has {found} bytes, expected {expected}; remove it, and another is made")]
    Secret {
        /// The file.
        path: PathBuf,
        /// Its length; one more than expected when it is longer.
        found: usize,
        /// The length of the secret.
        expected: usize,
    },
}

impl FolderError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }
}
