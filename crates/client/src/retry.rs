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
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(200), most: Duration::from_secs(10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most() {
        let backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };
        let waits: Vec<_> =
            [0, 1, 2, 3, 4, 5, u32::MAX].map(|failures| backoff.wait(failures).as_millis()).into();
        assert_eq!(waits, [100, 100, 200, 400, 800, 1_000, 1_000]);
    }
}
