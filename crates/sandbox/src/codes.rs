//! The code that a child has been given, so that it is sent once.

use std::{collections::VecDeque, sync::Arc};

use outlayer_protocol::Hash32;

/// The codes used last, up to a number of bytes.
pub(crate) struct Codes {
    /// The one used last is at the back.
    kept: VecDeque<(Hash32, Arc<[u8]>)>,
    bytes: usize,
    most_bytes: usize,
}

impl Codes {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, most_bytes }
    }

    /// The code named `hash`, if it is kept.
    pub(crate) fn get(&mut self, hash: &Hash32) -> Option<Arc<[u8]>> {
        let place = self.kept.iter().position(|(kept, _)| kept == hash)?;
        let entry = self.kept.remove(place)?;
        let code = Arc::clone(&entry.1);
        self.kept.push_back(entry);
        Some(code)
    }

    /// Keeps `code`, and forgets what was used longest ago where there is no room.
    pub(crate) fn keep(&mut self, hash: Hash32, code: Arc<[u8]>) {
        self.bytes += code.len();
        self.kept.push_back((hash, code));
        while self.bytes > self.most_bytes && self.kept.len() > 1 {
            if let Some((_, oldest)) = self.kept.pop_front() {
                self.bytes -= oldest.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let code = |byte: u8| (Hash32([byte; 32]), Arc::<[u8]>::from(vec![byte; 40]));
        let mut codes = Codes::new(100);
        for byte in [1, 2] {
            let (hash, bytes) = code(byte);
            codes.keep(hash, bytes);
        }
        assert_eq!(codes.get(&code(1).0), Some(code(1).1));
        codes.keep(code(3).0, code(3).1);
        let kept = [1, 2, 3].map(|byte| codes.get(&code(byte).0).is_some());
        assert_eq!(kept, [true, false, true]);
        // One that is larger than all room is kept alone.
        codes.keep(Hash32([9; 32]), vec![0; 200].into());
        assert!(codes.get(&Hash32([9; 32])).is_some());
        assert!(codes.get(&code(3).0).is_none());
    }
}
