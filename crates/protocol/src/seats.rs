//! Which workers execute a request that asks for several approvals: a draw that the request's seed
//! decides, so that neither the caller nor a worker chooses, and anyone can repeat it.

use crate::Hash32;

/// Draws positions of a list in an order that a seed decides, each position once.
#[derive(Clone, Debug)]
pub struct Draw {
    seed: Hash32,
    length: u32,
    drawn: u32,
    /// Positions that hold another number than their own, as a shuffle of the whole list would
    /// leave them.
    moved: Vec<(u32, u32)>,
}

impl Draw {
    /// The draw of the request with this `random_seed`, from a list of this length.
    pub fn new(random_seed: &Hash32, length: u32) -> Self {
        let seed = Hash32::of_parts(&[b"outlayer:seats", &random_seed.0]);
        Self { seed, length, drawn: 0, moved: Vec::new() }
    }

    fn at(&self, position: u32) -> u32 {
        let found = self.moved.iter().find(|(at, _)| *at == position);
        found.map_or(position, |(_, number)| *number)
    }

    fn put(&mut self, position: u32, number: u32) {
        match self.moved.iter_mut().find(|(at, _)| *at == position) {
            Some((_, moved)) => *moved = number,
            None => self.moved.push((position, number)),
        }
    }
}

impl Iterator for Draw {
    type Item = u32;

    /// The next position: one step of a Fisher-Yates shuffle.
    fn next(&mut self) -> Option<u32> {
        let left = self.length.checked_sub(self.drawn).filter(|left| *left > 0)?;
        let hash = Hash32::of_parts(&[&self.seed.0, &self.drawn.to_le_bytes()]);
        let (start, _) = hash.0.split_first_chunk()?;
        let offset = u32::try_from(u64::from_le_bytes(*start) % u64::from(left)).ok()?;
        let (first, chosen) = (self.drawn, self.drawn.saturating_add(offset));
        let (number, other) = (self.at(chosen), self.at(first));
        self.put(chosen, other);
        self.drawn = first.saturating_add(1);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_whole_draw_is_a_permutation(seed in any::<[u8; 32]>(), length in 0u32..80) {
            let mut all: Vec<_> = Draw::new(&Hash32(seed), length).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..length).collect::<Vec<_>>());
        }
    }

    /// Each of 10 positions is among the first 3 with a probability of 3/10. Of 10,000 draws that
    /// is 3,000, with a standard deviation of 46.
    #[test]
    fn every_position_is_drawn_equally_often() {
        let mut counts = [0u32; 10];
        for n in 0u32..10_000 {
            for position in Draw::new(&Hash32::of(&n.to_le_bytes()), 10).take(3) {
                counts[position as usize] += 1;
            }
        }
        assert!(counts.iter().all(|count| (2_770..3_230).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_draw_does_not_move() {
        let drawn: Vec<_> = Draw::new(&Hash32::of(b"seed"), 1_000).take(6).collect();
        assert_eq!(drawn, [869, 420, 681, 742, 315, 812]);
    }
}
