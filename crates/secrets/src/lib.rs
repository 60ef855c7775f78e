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

use std::io;

/// Random bytes of the system.
///
/// # Errors
/// When the system has none.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes)
}
