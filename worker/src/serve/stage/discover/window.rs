//! What is known of an index that is too long for one look. Each look reads the next part of it and
//! begins anew at its end, so that no request stays unseen behind others, however many there are.

use std::collections::BTreeMap;

use outlayer_protocol::{RequestId, index::PendingEntry};

/// The most pending requests that one look reads.
const MOST_PENDING: usize = 10_000;
/// How many parts are read before the first one is read again. A shard cannot carry so many
/// requests within their deadlines; a node that lies may show any number.
const MOST_PARTS: usize = 10;

/// The part of the index that is read next, and what those before it have shown.
#[derive(Debug)]
pub(crate) struct Window {
    most: usize,
    from: RequestId,
    /// How many parts were read in this round.
    parts: usize,
    /// How many times the end was reached.
    rounds: u64,
    /// The entries of this round and the last one, and in which of them each was read.
    known: BTreeMap<RequestId, (u64, PendingEntry)>,
}

impl Default for Window {
    fn default() -> Self {
        Self::of(MOST_PENDING)
    }
}

impl Window {
    /// A window of so many entries.
    pub(crate) fn of(most: usize) -> Self {
        Self { most, from: 0, parts: 0, rounds: 0, known: BTreeMap::new() }
    }

    /// From which id to read next, and how many entries.
    pub(crate) fn next(&self) -> (RequestId, usize) {
        (self.from, self.most)
    }

    /// The index ends before the next part: begins anew.
    pub(crate) fn end(&mut self) {
        (self.from, self.parts) = (0, 0);
        self.rounds = self.rounds.saturating_add(1);
        let rounds = self.rounds;
        self.known.retain(|_, (round, _)| round.saturating_add(1) >= rounds);
    }

    /// Takes in the entries that were read, and from which id the index goes on behind them. Gives
    /// all entries that are known at this height, and whether these are the whole index.
    pub(crate) fn take(
        &mut self,
        entries: Vec<PendingEntry>,
        next_id: Option<RequestId>,
        height: u64,
    ) -> (Vec<PendingEntry>, bool) {
        if self.from == 0 && next_id.is_none() {
            *self = Self::of(self.most);
            return (entries, true);
        }
        self.parts = self.parts.saturating_add(1);
        let read = entries.into_iter().map(|entry| (entry.request_id, (self.rounds, entry)));
        self.known.extend(read);
        match next_id {
            Some(next_id) if self.parts < MOST_PARTS => self.from = next_id,
            _ => self.end(),
        }
        // Those that nobody can answer any more are left out: they need not be seen.
        self.known.retain(|_, (_, entry)| entry.is_in_time(height));
        (self.known.values().map(|(_, entry)| entry.clone()).collect(), false)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use outlayer_protocol::{Compute, EngineVersion};
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 10;

    fn entry(request_id: RequestId, height: u64) -> PendingEntry {
        PendingEntry {
            request_id,
            block_height: height,
            deadline: height + 200,
            engine_version: EngineVersion(1),
            near_config_version: 84,
            approvals: 1,
            published_code: true,
            kind: None,
            compute: Compute::Fuel(1),
            payer: "dapp.near".parse().unwrap(),
            claims: None,
            recipients: Vec::new(),
        }
    }

    /// One look at an index.
    fn look(window: &mut Window, index: &[PendingEntry], height: u64) -> (Vec<RequestId>, bool) {
        let (from, most) = window.next();
        let mut rest = index.iter().filter(|entry| entry.request_id >= from);
        let entries = rest.by_ref().take(most).cloned().collect();
        let next_id = rest.next().map(|entry| entry.request_id);
        let (known, is_whole) = window.take(entries, next_id, height);
        (known.into_iter().map(|entry| entry.request_id).collect(), is_whole)
    }

    #[test]
    fn a_short_index_is_whole_at_every_look() {
        let mut window = Window::of(MOST);
        let index: Vec<_> = (0..9).map(|id| entry(id, 100)).collect();
        for shown in [9, 3, 0, 9] {
            let (ids, is_whole) = look(&mut window, &index[..shown], 100);
            assert_eq!((ids.len(), is_whole), (shown, true));
        }
    }

    #[test]
    fn a_long_index_is_read_in_turns_and_what_is_over_is_forgotten() {
        let mut window = Window::of(MOST);
        let index: Vec<_> = (0..25).map(|id| entry(id, 100)).collect();
        let seen: Vec<_> = (0..4).map(|_| look(&mut window, &index, 100)).collect();
        assert_eq!(seen.iter().map(|(ids, _)| ids.len()).collect::<Vec<_>>(), [10, 20, 25, 25]);
        assert!(seen.iter().all(|(_, is_whole)| !is_whole));
        // Most are over: after two rounds, nothing is known of them.
        let rest = &index[20..];
        for _ in 0..6 {
            look(&mut window, rest, 100);
        }
        assert_eq!(look(&mut window, rest, 100), ((20..25).collect(), true));
        // Past their deadline they are left out.
        let mut window = Window::of(MOST);
        assert_eq!(look(&mut window, &index, 301).0, [0u64; 0]);
    }

    #[test]
    fn an_index_without_an_end_takes_no_more_memory_than_its_bound() {
        let mut window = Window::of(MOST);
        for round in 0..100u64 {
            let entries = (0..10).map(|id| entry(round * 10 + id, 100)).collect();
            window.take(entries, Some(round * 10 + 10), 100);
            assert!(window.known.len() <= 2 * MOST * MOST_PARTS, "{}", window.known.len());
        }
    }

    proptest! {
        /// Whoever settles which requests in which order, and however many new ones come: a request
        /// that stays is seen within three rounds.
        #[test]
        fn no_request_starves_behind_others(
            start in 15usize..60,
            blocks in prop::collection::vec(
                (prop::collection::vec(any::<prop::sample::Index>(), 0..8), 0u64..8),
                60,
            ),
        ) {
            let mut window = Window::of(MOST);
            let mut next = start as u64;
            let mut index: Vec<_> = (0..next).map(|id| entry(id, 100)).collect();
            let mut unseen: HashMap<RequestId, usize> = HashMap::new();
            for (over, new) in blocks {
                for position in over {
                    if index.len() > 12 {
                        index.remove(position.index(index.len()));
                    }
                }
                index.extend((next..next + new).map(|id| entry(id, 100)));
                next += new;
                let (seen, _) = look(&mut window, &index, 100);
                unseen.retain(|id, _| index.iter().any(|entry| entry.request_id == *id));
                for entry in &index {
                    if seen.contains(&entry.request_id) {
                        unseen.remove(&entry.request_id);
                    } else {
                        let looks = unseen.entry(entry.request_id).or_default();
                        *looks += 1;
                        let round = index.len().div_ceil(MOST) + 1;
                        prop_assert!(*looks <= 3 * round, "{} after {looks}", entry.request_id);
                    }
                }
            }
        }
    }
}
