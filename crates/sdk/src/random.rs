//! Randomness that is drawn from the request's seed.
//!
//! Every execution of a request draws the same sequence, so a replay takes the same course. WASI's
//! `random_get`, and with it every crate that asks the operating system for randomness, draws from
//! that sequence too: each number is drawn once, by one or the other.
//!
//! The seed is public as soon as the request is on chain. A worker cannot choose it, but anyone can
//! work out the result before it settles. Use it for games and sampling, never for secrets.

use crate::host;

/// Fills `buffer` with random bytes.
pub fn fill(buffer: &mut [u8]) {
    host::random_fill(buffer);
}

/// `N` random bytes.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// A random number from the whole range of `u64`.
#[must_use]
pub fn u64() -> u64 {
    u64::from_le_bytes(bytes())
}

/// A random number from `0` to `bound - 1`, all equally likely; `0` when `bound` is `0`.
#[must_use]
pub fn below(bound: u64) -> u64 {
    below_from(bound, u64)
}

/// Draws until a number falls below the largest multiple of `bound`, so that no result is favoured.
fn below_from(bound: u64, mut draw: impl FnMut() -> u64) -> u64 {
    if bound == 0 {
        return 0;
    }
    let favoured = (u64::MAX % bound + 1) % bound;
    loop {
        let number = draw();
        if number <= u64::MAX - favoured {
            return number % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>(), bytes::<32>());
    }

    #[test]
    fn below_stays_below_and_reaches_every_number() {
        let mut seen = [false; 6];
        for _ in 0..1_000 {
            seen[usize::try_from(below(6)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(below(1), 0);
        assert_eq!(below(0), 0);
    }

    #[test]
    fn a_draw_that_would_favour_small_numbers_is_drawn_again() {
        let mut draws = [u64::MAX, 5].into_iter();
        assert_eq!(below_from(3, || draws.next().unwrap()), 5 % 3);
        assert_eq!(below_from(2, || u64::MAX), 1, "a power of two divides the range evenly");
    }
}
