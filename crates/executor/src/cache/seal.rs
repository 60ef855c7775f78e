//! The seal: proof that a file holds what an executor wrote under its name.
//!
//! A sealed file is the content and a footer. The footer is a keyed BLAKE3 hash, with the folder's
//! key, over the format's mark, the name and the content; then the mark. The name is part of it, so
//! a renamed file does not pass.

use std::io::{self, Read};

use blake3::{Hash, Hasher};
use outlayer_protocol::Hash32;

use super::image::Image;

/// The format's mark. A new layout of the file needs a new mark.
pub(super) const MARK: &[u8; 8] = b"OLcache2";

const MAC_BYTES: usize = 32;

/// How many bytes a sealed file has beyond its content.
const FOOTER_BYTES: usize = MAC_BYTES + MARK.len();

/// Bytes in a key.
const KEY_BYTES: usize = 32;

/// How much of a file is read at once. It stays in the processor's cache until it has been hashed
/// and copied.
const STEP_BYTES: usize = 128 << 10;

/// Content whose seal has been verified.
pub(super) struct Trusted<I>(I);

impl<I> Trusted<I> {
    pub(super) fn into_image(self) -> I {
        self.0
    }
}

/// Seals and verifies with one key.
pub(super) struct Seal(Hasher);

impl Seal {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        let mut hasher = Hasher::new_keyed(key);
        hasher.update(MARK);
        Self(hasher)
    }

    /// What follows `content` in the file `name`.
    pub(super) fn footer(&self, name: &Hash32, content: &[u8]) -> [u8; FOOTER_BYTES] {
        let mut footer = [0; FOOTER_BYTES];
        let (mac, mark) = footer.split_at_mut(MAC_BYTES);
        mac.copy_from_slice(self.under(name).update(content).finalize().as_bytes());
        mark.copy_from_slice(MARK);
        footer
    }

    /// A copy of the content of the file `name`, which has `length` bytes. What is verified is what
    /// is copied: each byte is read once, so that nobody can change the file in between.
    ///
    /// # Errors
    /// When the file is not what was written, or cannot be read or copied.
    pub(super) fn copy<I: Image>(
        &self,
        name: &Hash32,
        mut file: impl Read,
        length: u64,
    ) -> io::Result<Trusted<I>> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut left = length.checked_sub(FOOTER_BYTES).ok_or_else(unsealed)?;
        let mut image = I::empty(left);
        let mut hasher = self.under(name);
        let mut step = vec![0; left.min(STEP_BYTES)];
        while left > 0 {
            step.truncate(left);
            file.read_exact(&mut step)?;
            hasher.update(&step);
            image.write_all(&step)?;
            left -= step.len();
        }
        let mut footer = Vec::with_capacity(FOOTER_BYTES + 1);
        file.take(FOOTER_BYTES as u64 + 1).read_to_end(&mut footer)?;
        let mac = footer.strip_suffix(MARK).and_then(|mac| Hash::from_slice(mac).ok());
        // Hashes are compared in constant time.
        if mac != Some(hasher.finalize()) {
            return Err(unsealed());
        }
        Ok(Trusted(image.complete()?))
    }

    fn under(&self, name: &Hash32) -> Hasher {
        let mut hasher = self.0.clone();
        hasher.update(name.as_bytes());
        hasher
    }
}

fn unsealed() -> io::Error {
    io::Error::other("its seal is not this folder's")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(seal: &Seal, name: &Hash32, content: &[u8]) -> Vec<u8> {
        [content, &seal.footer(name, content)].concat()
    }

    fn verified(seal: &Seal, name: &Hash32, file: &[u8]) -> Option<Vec<u8>> {
        seal.copy(name, file, file.len() as u64).ok().map(Trusted::into_image)
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
