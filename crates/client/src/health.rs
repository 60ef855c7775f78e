//! What is known of an endpoint from how it has answered.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{Backoff, EndpointUrl, retry::jitter};

/// How an endpoint has been answering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointHealth {
    /// The endpoint.
    pub url: EndpointUrl,
    /// How many exchanges there have been.
    pub exchanges: u64,
    /// How many of them gave nothing that can be used.
    pub failed: u64,
    /// How many of the newest exchanges failed one after the other.
    pub failures_in_a_row: u32,
    /// How long answers take, as a moving average; `None` before the first answer.
    pub latency: Option<Duration>,
    /// The height of the newest block that it has shown; `None` before it has shown one.
    pub height: Option<u64>,
    /// Whether its blocks are so far behind those of other endpoints that these are asked first.
    pub lags: bool,
    /// How many of its answers two other endpoints have contradicted, which are only compared where
    /// two must agree.
    pub contradicted: u64,
    /// How many questions had no answer because it and another endpoint contradict each other, and
    /// no third one says who is right.
    pub disputed: u64,
    /// Whether it was contradicted lately, and so is asked after all others.
    pub is_doubted: bool,
    /// How many seconds this machine's clock is ahead of the endpoint's, or behind it when that is
    /// negative, by the `Date` header of its newest answer; `None` when it sends none.
    pub clock_ahead: Option<i64>,
    /// Whether it serves another network, and so is not asked at all.
    pub is_of_another_network: bool,
}

/// For how long an endpoint is doubted that was contradicted.
const DOUBT: Backoff = Backoff { first: Duration::from_secs(60), most: Duration::from_secs(3_600) };
/// The rest of an endpoint that has failed, before it is tried out again.
pub(crate) const REST: Backoff =
    Backoff { first: Duration::from_millis(500), most: Duration::from_secs(60) };
/// The longest rest that an endpoint can ask for.
const LONGEST_REST: Duration = Duration::from_secs(120);
/// Heights that were seen longer apart than this are not compared.
const SAME_TIME: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) exchanges: u64,
    pub(crate) failed: u64,
    pub(crate) failures_in_a_row: u32,
    pub(crate) latency: Option<Duration>,
    /// The height of the newest block, and when it was last shown.
    pub(crate) seen: Option<(u64, Instant)>,
    /// When it may be tried out again.
    pub(crate) rests_until: Option<Instant>,
    /// Whether it is being tried out, or asked for its newest block, right now.
    pub(crate) is_probed: bool,
    pub(crate) contradicted: u64,
    pub(crate) disputed: u64,
    /// Until when it is asked after all others.
    doubted_until: Option<Instant>,
    /// Until when it has asked itself to be left alone.
    asked_until: Option<Instant>,
    pub(crate) is_of_another_network: bool,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> State {
        self.state().clone()
    }

    pub(crate) fn succeeded(&self, took: Duration) {
        let mut state = self.state();
        state.exchanges += 1;
        state.failures_in_a_row = 0;
        state.rests_until = None;
        state.asked_until = None;
        state.latency = Some(state.latency.map_or(took, |before| (before * 7 + took) / 8));
    }

    /// Notes a failure. The endpoint may say itself how long it wants to be left alone.
    pub(crate) fn failed(&self, retry_after: Option<Duration>) {
        let mut state = self.state();
        state.exchanges += 1;
        state.failed += 1;
        state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
        let rest = match retry_after {
            Some(asked) => asked.min(LONGEST_REST) + jitter(asked.min(LONGEST_REST) / 4),
            None => REST.wait(state.failures_in_a_row) / 2 + jitter(REST.wait(1)),
        };
        state.rests_until = Some(Instant::now() + rest);
        state.asked_until = state.rests_until.filter(|_| retry_after.is_some());
    }

    /// Notes that two other endpoints agree against it.
    pub(crate) fn contradicted(&self) {
        let mut state = self.state();
        state.contradicted = state.contradicted.saturating_add(1);
        let times = u32::try_from(state.contradicted).unwrap_or(u32::MAX);
        state.doubted_until = Some(Instant::now() + DOUBT.wait(times));
    }

    /// Notes that it and another endpoint contradict each other.
    pub(crate) fn disputed(&self) {
        let mut state = self.state();
        state.disputed = state.disputed.saturating_add(1);
    }

    pub(crate) fn saw(&self, height: u64) {
        self.state().seen = Some((height, Instant::now()));
    }

    pub(crate) fn is_of_another_network(&self) {
        self.state().is_of_another_network = true;
    }

    /// Whether it should be asked for its newest block, though nobody has a question for it: it has
    /// rested after a failure, or its height was last seen `every` ago. The one who is told so asks
    /// it, and calls [`probed`](Self::probed) at the end.
    pub(crate) fn begin_probe(&self, every: Duration) -> bool {
        let mut state = self.state();
        let rested = match state.rests_until {
            Some(until) => until <= Instant::now(),
            None => state.seen.is_none_or(|(_, when)| when.elapsed() >= every),
        };
        let begins = rested && !state.is_probed && !state.is_of_another_network;
        state.is_probed |= begins;
        begins
    }

    pub(crate) fn probed(&self) {
        self.state().is_probed = false;
    }
}

impl State {
    /// Whether it was contradicted lately.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted_until.is_some_and(|until| until > Instant::now())
    }

    /// For how much longer it wants to be left alone.
    pub(crate) fn asked_rest(&self) -> Duration {
        let until = self.asked_until.map(|until| until.saturating_duration_since(Instant::now()));
        until.unwrap_or_default()
    }

    /// Whether its newest block is more than `most_lag` below the newest of all, which was seen at
    /// about the same time.
    pub(crate) fn lags(&self, all: &[Self], most_lag: u64) -> bool {
        let Some((height, when)) = self.seen else {
            return false;
        };
        all.iter().filter_map(|other| other.seen).any(|(other, seen)| {
            let apart = seen.max(when).duration_since(seen.min(when));
            apart < SAME_TIME && other > height.saturating_add(most_lag)
        })
    }
}
