//! The key stream of ChaCha20 (RFC 8439) with a nonce of zeros.

/// The stream of a key, byte by byte.
pub(crate) struct ChaCha {
    key: [u8; 32],
    block: [u8; 64],
    position: usize,
    counter: u32,
}

impl ChaCha {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key, block: [0; 64], position: 64, counter: 0 }
    }

    pub(crate) fn next(&mut self) -> u8 {
        if self.position == 64 {
            self.block = block(&self.key, self.counter);
            self.counter += 1;
            self.position = 0;
        }
        self.position += 1;
        self.block[self.position - 1]
    }
}

fn block(key: &[u8; 32], counter: u32) -> [u8; 64] {
    let mut words = [0u32; 16];
    for (word, bytes) in words.iter_mut().zip(b"expand 32-byte k".chunks(4).chain(key.chunks(4))) {
        *word = u32::from_le_bytes(bytes.try_into().unwrap());
    }
    words[12] = counter;
    let start = words;
    for _ in 0..10 {
        for column in 0..4 {
            quarter(&mut words, [column, 4 + column, 8 + column, 12 + column]);
        }
        for diagonal in 0..4 {
            let at = |row: usize| 4 * row + (diagonal + row) % 4;
            quarter(&mut words, [at(0), at(1), at(2), at(3)]);
        }
    }
    let mut out = [0; 64];
    for (bytes, (word, start)) in out.chunks_mut(4).zip(words.iter().zip(start)) {
        bytes.copy_from_slice(&word.wrapping_add(start).to_le_bytes());
    }
    out
}

fn quarter(words: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (sum, with, mixed, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        words[sum] = words[sum].wrapping_add(words[with]);
        words[mixed] = (words[mixed] ^ words[sum]).rotate_left(turn);
    }
}
