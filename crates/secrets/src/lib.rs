//! Secrets of guests: sealing a value to a worker's key, and opening it with the key's secret half.
//!
//! Sealing is HPKE (RFC 9180) in its base mode: X25519 with HKDF-SHA256, ChaCha20-Poly1305. What a
//! sealed value belongs to is in the associated data, see
//! [`associated_data`](outlayer_protocol::secrets::associated_data).

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod key;
mod owner;
mod seal;

pub use key::{KeyFileError, WorkerKey};
pub use owner::{Recipient, Sealing, seal_entry};
pub use seal::{OpenError, SealError, seal};

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Random bytes of the system.
///
/// # Errors
/// When the system has none.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes)
}

/// Writes a new file that only its owner may read.
///
/// # Errors
/// When it cannot be written, or is there already.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
