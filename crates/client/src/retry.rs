//! How long to wait before something is tried again.

use std::time::Duration;

/// Exponential backoff: the wait starts at `first` and doubles with each failure, up to `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row. The first failure counts as 1.
    pub fn wait(&self, failures: u32) -> Duration {
        let doubled = failures.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doubled).min(self.most)
    }

    /// A random part of [`wait`](Self::wait), from nothing to all of it. So clients that failed
    /// together do not come back together.
    pub fn jittered(&self, failures: u32) -> Duration {
        jitter(self.wait(failures))
    }
}

/// A random part of `most`, from nothing to all of it.
pub(crate) fn jitter(most: Duration) -> Duration {
    // A system without randomness signs nothing either; then the wait is merely not random.
    let draw = getrandom::u32().unwrap_or(u32::MAX);
    most.mul_f64(f64::from(draw) / f64::from(u32::MAX))
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(200), most: Duration::from_secs(10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

    #[test]
    fn waits_double_up_to_the_most() {
        let waits: Vec<_> =
            [0, 1, 2, 3, 4, 5, u32::MAX].map(|failures| BACKOFF.wait(failures).as_millis()).into();
        assert_eq!(waits, [100, 100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn jitter_spreads_waits_over_the_whole_of_them() {
        let waits: Vec<_> = (0..400).map(|_| BACKOFF.jittered(3).as_millis()).collect();
        assert!(waits.iter().all(|wait| *wait <= 400));
        let early = waits.iter().filter(|wait| **wait < 200).count();
        assert!((100..300).contains(&early), "{early} of 400 are in the first half");
    }
}
