//! The seal: proof that a file holds what an executor wrote under its name.
//!
//! A sealed file is the content and a footer. The footer is an HMAC-SHA256, with the folder's key,
//! over the format's mark, the name and the content; then the mark. The name is part of it, so a
//! renamed file does not pass.

use hmac::{Hmac, Mac};
use outlayer_protocol::Hash32;
use sha2::Sha256;

/// The format's mark. A new layout of the file needs a new mark.
const MARK: &[u8; 8] = b"OLcache1";

const MAC_BYTES: usize = 32;

/// How many bytes a sealed file has beyond its content.
const FOOTER_BYTES: usize = MAC_BYTES + MARK.len();

/// Bytes in a key.
const KEY_BYTES: usize = 32;

/// Content whose seal has been verified.
pub(super) struct Trusted(Vec<u8>);

impl Trusted {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Seals and verifies with one key.
pub(super) struct Seal(Hmac<Sha256>);

impl Seal {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        // HMAC pads a short key with zeros anyway, and a key of a whole block has no wrong length.
        let mut block = [0; 64];
        let (start, _) = block.split_at_mut(KEY_BYTES);
        start.copy_from_slice(key);
        Self(Hmac::new(&block.into()))
    }

    /// What follows `content` in the file `name`.
    pub(super) fn footer(&self, name: &Hash32, content: &[u8]) -> [u8; FOOTER_BYTES] {
        let mut footer = [0; FOOTER_BYTES];
        let (mac, mark) = footer.split_at_mut(MAC_BYTES);
        mac.copy_from_slice(&self.over(name, content).finalize().into_bytes());
        mark.copy_from_slice(MARK);
        footer
    }

    /// The content of the file `name`, whose bytes are `file`. `None` when they are not what was
    /// written.
    pub(super) fn verify(&self, name: &Hash32, mut file: Vec<u8>) -> Option<Trusted> {
        let (content, footer) = file.split_at_checked(file.len().checked_sub(FOOTER_BYTES)?)?;
        let (mac, mark) = footer.split_at_checked(MAC_BYTES)?;
        if mark != MARK {
            return None;
        }
        // Compares in constant time.
        self.over(name, content).verify_slice(mac).ok()?;
        let length = content.len();
        file.truncate(length);
        Some(Trusted(file))
    }

    fn over(&self, name: &Hash32, content: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(MARK);
        mac.update(name.as_bytes());
        mac.update(content);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(seal: &Seal, name: &Hash32, content: &[u8]) -> Vec<u8> {
        [content, &seal.footer(name, content)].concat()
    }

    fn verified(seal: &Seal, name: &Hash32, file: &[u8]) -> Option<Vec<u8>> {
        seal.verify(name, file.to_vec()).map(Trusted::into_bytes)
    }

    #[test]
    fn only_what_was_sealed_passes() {
        let (seal, name) = (Seal::new(&[7; KEY_BYTES]), Hash32::of(b"name"));
        let file = sealed(&seal, &name, b"content");
        assert_eq!(verified(&seal, &name, &file).as_deref(), Some(&b"content"[..]));
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut tampered = file.clone();
                tampered[at] ^= 1 << bit;
                assert_eq!(verified(&seal, &name, &tampered), None, "bit {bit} of byte {at}");
            }
            assert_eq!(verified(&seal, &name, &file[..at]), None, "cut to {at}");
            assert_eq!(verified(&seal, &name, &file[at + 1..]), None, "from {}", at + 1);
        }
        assert_eq!(verified(&seal, &name, &[&file[..], &[0]].concat()), None, "a byte more");
        assert_eq!(verified(&seal, &Hash32::of(b"other"), &file), None, "another name");
        assert_eq!(verified(&Seal::new(&[8; KEY_BYTES]), &name, &file), None, "another key");
    }

    #[test]
    fn nothing_is_content_too() {
        let (seal, name) = (Seal::new(&[0; KEY_BYTES]), Hash32::default());
        let file = sealed(&seal, &name, b"");
        assert_eq!(file.len(), FOOTER_BYTES);
        assert_eq!(verified(&seal, &name, &file), Some(Vec::new()));
    }
}
