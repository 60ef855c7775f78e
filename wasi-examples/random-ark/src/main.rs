//! Draws a nonce, a coin and a die.
//!
//! The input is JSON. With a seed, `{"seed": 42}`, the answer depends on the seed alone and is the
//! same in every request. Without one, `{}` or nothing, the guest draws from the request's
//! randomness and shows the block's time: a replay gives the same answer, another request another.

use std::{
    error::Error,
    time::{SystemTime, UNIX_EPOCH},
};

use outlayer_sdk::{input, output, random};
use serde::{Deserialize, Serialize};

/// The time that is shown with a seed, in nanoseconds since 1970. It is fixed, so that the answer
/// depends on nothing but the seed.
const SEEDED_CLOCK: u128 = 1_000_000_000_000_000_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    seed: Option<u64>,
}

#[derive(Serialize)]
struct Output {
    /// Where the randomness came from: `seed` or `request`.
    source: &'static str,
    /// Sixteen bytes in hex.
    nonce: String,
    coin: &'static str,
    /// From 1 to 6.
    die: u64,
    /// Nanoseconds since 1970.
    clock: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let text = input::text()?;
    let input: Input =
        if text.trim().is_empty() { Input::default() } else { serde_json::from_str(&text)? };
    let answer = match input.seed {
        Some(seed) => draw("seed", SEEDED_CLOCK, &mut Seeded(seed)),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            draw("request", now.as_nanos(), &mut Requested)
        }
    };
    output::write(serde_json::to_vec(&answer)?);
    Ok(())
}

fn draw(source: &'static str, clock: u128, random: &mut impl Draw) -> Output {
    let (high, low) = (random.next(), random.next());
    Output {
        source,
        nonce: format!("{high:016x}{low:016x}"),
        coin: if random.next() & 1 == 0 { "heads" } else { "tails" },
        die: random.next() % 6 + 1,
        clock: clock.to_string(),
    }
}

/// A source of random numbers.
trait Draw {
    fn next(&mut self) -> u64;
}

/// The request's own randomness.
struct Requested;

impl Draw for Requested {
    fn next(&mut self) -> u64 {
        random::u64()
    }
}

/// SplitMix64, started from the caller's seed.
struct Seeded(u64);

impl Draw for Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_what_splitmix64_gives() {
        // The first numbers of SplitMix64 from 1234567, as published with the algorithm.
        let mut random = Seeded(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn seeds_differ_and_repeat() {
        let nonce = |seed| draw("seed", SEEDED_CLOCK, &mut Seeded(seed)).nonce;
        assert_eq!(nonce(42), nonce(42));
        assert_ne!(nonce(42), nonce(43));
    }
}
