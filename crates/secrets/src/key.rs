//! The key of a worker to which secrets are sealed.

use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use hpke::{Deserializable as _, Kem as _, Serializable as _};
use outlayer_protocol::secrets::Opening;

use crate::{
    OpenError, random,
    seal::{Kem, PrivateKey, open, public},
    write_private,
};

/// Permissions that a key's file must not have: anything for the group or for others.
const ANYTHING_BY_OTHERS: u32 = 0o077;

/// The file of a key cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system fails, or the file is there already.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read the file.
    #[error("{path}: others may read it (permissions {found:o}), expected 600")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        found: u32,
    },
    /// The file holds no key.
    #[error(
        "{path}: expected a key of X25519 as 64 hex digits, found {found} bytes of something else"
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// Its length, bytes.
        found: usize,
    },
}

/// A worker's X25519 key.
#[derive(Clone)]
pub struct WorkerKey(PrivateKey);

/// The public half.
impl fmt::Debug for WorkerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkerKey({})", hex::encode(self.public()))
    }
}

impl WorkerKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> io::Result<Self> {
        Ok(Self::derive(&random::<32>()?))
    }

    /// The key that RFC 9180 derives from this material, which must be as random as the key is to
    /// be. With material that everybody knows it is a key for development.
    pub fn derive(material: &[u8]) -> Self {
        let (key, _) = Kem::derive_keypair(material);
        Self(key)
    }

    /// The key in a file.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
        let found = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o7777;
        if found & ANYTHING_BY_OTHERS != 0 {
            return Err(KeyFileError::Permissions { path: path.to_owned(), found });
        }
        let text = fs::read(path).map_err(failed)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim_ascii(), &mut bytes)
            .ok()
            .and_then(|()| PrivateKey::from_bytes(&bytes).ok())
            .map(Self)
            .ok_or_else(|| KeyFileError::Form { path: path.to_owned(), found: text.len() })
    }

    /// Writes the key to a new file that only its owner may read.
    ///
    /// # Errors
    /// [`KeyFileError`], when the file is there already, too.
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        let text = format!("{}\n", hex::encode(self.0.to_bytes()));
        write_private(path, &text)
            .map_err(|source| KeyFileError::Io { path: path.to_owned(), source })
    }

    /// The public half, to which secrets are sealed.
    pub fn public(&self) -> [u8; 32] {
        public(&self.0)
    }

    /// Opens what was sealed to this key.
    ///
    /// # Errors
    /// [`OpenError`], but for a commitment: the caller compares it.
    pub fn open(&self, associated_data: &[u8], sealed: &[u8]) -> Result<Opening, OpenError> {
        open(&self.0, associated_data, sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal;

    fn opening() -> Opening {
        Opening { salt: [3; 32], value: "hunter2".to_owned() }
    }

    #[test]
    fn what_is_sealed_opens_with_the_key_and_the_same_data_alone() {
        let [key, other] = [(); 2].map(|()| WorkerKey::generate().unwrap());
        let sealed = seal(&key.public(), b"data", &opening()).unwrap();
        assert_eq!(key.open(b"data", &sealed), Ok(opening()));
        assert_eq!(key.open(b"other data", &sealed), Err(OpenError::Sealed));
        assert_eq!(other.open(b"data", &sealed), Err(OpenError::Sealed));
        for cut in [0, 31, 32, sealed.len() - 1] {
            assert_eq!(key.open(b"data", &sealed[..cut]), Err(OpenError::Sealed), "{cut}");
        }
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert_eq!(key.open(b"data", &changed), Err(OpenError::Sealed), "{position}");
        }
        assert_ne!(seal(&key.public(), b"data", &opening()).unwrap(), sealed, "it is random");
        assert!(!format!("{key:?}").contains(&hex::encode(key.0.to_bytes())));
    }

    #[test]
    fn a_key_is_kept_in_a_file_that_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        let key = WorkerKey::generate().unwrap();
        key.write(&path).unwrap();
        assert_eq!(WorkerKey::read(&path).unwrap().public(), key.public());
        assert!(matches!(key.write(&path), Err(KeyFileError::Io { .. })), "it is not overwritten");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = WorkerKey::read(&path).unwrap_err().to_string();
        assert!(error.ends_with("(permissions 640), expected 600"), "{error}");
        let broken = folder.path().join("broken");
        fs::write(&broken, "no key").unwrap();
        fs::set_permissions(&broken, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(WorkerKey::read(&broken), Err(KeyFileError::Form { found: 6, .. })));
    }
}
