//! SHA-256 of several byte strings, one after the other: computed here, or by the host of a NEAR
//! contract where a contract asks for that with the feature `near-sha256`. The host's is 9 KB less
//! Wasm, and cheaper from a few hundred bytes on.

#[cfg(not(all(feature = "near-sha256", target_family = "wasm")))]
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    use sha2::{Digest, Sha256};

    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(all(feature = "near-sha256", target_family = "wasm"))]
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    match parts {
        [whole] => of_host(whole),
        parts => of_host(&parts.concat()),
    }
}

#[cfg(all(feature = "near-sha256", target_family = "wasm"))]
#[inline(never)]
fn of_host(bytes: &[u8]) -> [u8; 32] {
    /// No other code of a contract keeps anything in a register over calls.
    const REGISTER: u64 = 0;
    let mut hash = [0; 32];
    // SAFETY: the host reads the bytes that the slice has, and writes the 32 bytes of a SHA-256 to
    // where there is room for them.
    unsafe {
        near_sys::sha256(bytes.len() as u64, bytes.as_ptr() as u64, REGISTER);
        near_sys::read_register(REGISTER, hash.as_mut_ptr() as u64);
    }
    hash
}
