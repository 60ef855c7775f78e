//! Between which ids the live requests are.
//!
//! Requests get their ids in order, and live for a bounded time. So the index of live requests
//! needs no entries of its own: whoever reads it looks at each id from the first that may be live
//! to the last that was given. What is kept are counters, which are exact and cost no access to
//! state: a boundary divides the ids, and when no request before it lives any more, the boundary is
//! where to start, and the next one is set at the end.
//!
//! A request that lives long keeps those after it in the range. So the range has at most the
//! requests of twice the longest life.

use near_sdk::near;
use outlayer_protocol::RequestId;

/// The range of ids that live requests have.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveIds {
    /// No request with a smaller id lives.
    pub(crate) first: RequestId,
    /// Divides the range in two.
    boundary: RequestId,
    /// How many requests live whose ids are below the boundary.
    before: u32,
    /// How many requests live.
    pub(crate) count: u32,
}

impl LiveIds {
    /// The range when the next request gets the id `next`, and `count` requests live, the first of
    /// which has the id `first`.
    pub(crate) fn new(first: RequestId, next: RequestId, count: u32) -> Self {
        Self { first, boundary: next, before: count, count }
    }

    /// A request begins to live. Its id is above that of all others.
    pub(crate) fn add(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// A request has ended. The next new one gets the id `next`.
    pub(crate) fn remove(&mut self, request_id: RequestId, next: RequestId) {
        self.count = self.count.saturating_sub(1);
        if request_id < self.boundary {
            self.before = self.before.saturating_sub(1);
        }
        if self.count == 0 {
            *self = Self::new(next, next, 0);
        } else if self.before == 0 {
            *self = Self::new(self.boundary, next, self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes and goes, no live request is below the range. And the range has no more
        /// than the requests of two lives.
        #[test]
        fn every_live_request_is_in_the_range(
            steps in prop::collection::vec((any::<bool>(), 0usize..12), 0..300),
            first in 0u64..5,
        ) {
            const LIFE: u64 = 12;
            let (mut ids, mut next) = (LiveIds::new(first, first, 0), first);
            let mut live = BTreeSet::new();
            for (is_new, which) in steps {
                // The oldest ends when it has lived through so many others.
                let oldest = live.first().copied().filter(|id| next - id >= LIFE);
                let ended = oldest.or_else(|| live.iter().nth(which).copied());
                match ended {
                    Some(id) if oldest.is_some() || !is_new => {
                        live.remove(&id);
                        ids.remove(id, next);
                    }
                    _ => {
                        live.insert(next);
                        ids.add();
                        next += 1;
                    }
                }
                prop_assert_eq!(ids.count as usize, live.len());
                prop_assert!(live.first().is_none_or(|id| *id >= ids.first));
                prop_assert!(ids.first <= next);
                prop_assert!(!live.is_empty() || ids.first == next);
                prop_assert!(next - ids.first <= 2 * LIFE + 1, "{ids:?} {next}");
            }
        }
    }
}
