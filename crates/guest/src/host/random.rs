//! The random stream.

use outlayer_protocol::Hash32;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

/// ChaCha20 keyed with the context's seed. Every source of randomness that a guest has draws from
/// this one stream, byte by byte: how the draws are divided into calls does not change what comes
/// next.
pub struct RandomStream {
    stream: ChaCha20Rng,
    /// The last word drawn, of which the final `left` bytes have not been used.
    rest: [u8; 4],
    left: usize,
}

impl RandomStream {
    /// The stream of this seed, at its beginning.
    pub fn new(seed: Hash32) -> Self {
        Self { stream: ChaCha20Rng::from_seed(seed.0), rest: [0; 4], left: 0 }
    }

    /// Fills `buffer` with the next bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        let (head, body) = buffer.split_at_mut(self.left.min(buffer.len()));
        let rest = self.rest.len() - self.left;
        head.copy_from_slice(self.rest.get(rest..rest + head.len()).unwrap_or_default());
        self.left -= head.len();
        let whole = body.len() / 4 * 4;
        let (words, tail) = body.split_at_mut(whole);
        self.stream.fill_bytes(words);
        if !tail.is_empty() {
            self.rest = self.stream.next_u32().to_le_bytes();
            tail.copy_from_slice(self.rest.get(..tail.len()).unwrap_or_default());
            self.left = self.rest.len() - tail.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_does_not_depend_on_how_it_is_drawn() {
        let mut whole = [0; 257];
        RandomStream::new(Hash32([7; 32])).fill(&mut whole);
        for step in 1..70 {
            let (mut parts, mut stream) = ([0; 257], RandomStream::new(Hash32([7; 32])));
            for part in parts.chunks_mut(step) {
                stream.fill(part);
            }
            assert_eq!(parts, whole, "step {step}");
        }
    }

    /// RFC 8439's ChaCha20 block for a zero key, nonce and counter.
    #[test]
    fn the_stream_is_chacha20() {
        let mut bytes = [0; 8];
        RandomStream::new(Hash32([0; 32])).fill(&mut bytes);
        assert_eq!(bytes, [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
    }
}
