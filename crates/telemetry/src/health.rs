//! Whether the worker is alive, and whether it can serve.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use outlayer_worker::Pulse;
use serde::Serialize;

use crate::checks::{Finding, Level};

/// A worker whose loop has not turned for so long hangs. The loop waits for nothing: questions to a
/// node are asked beside it. So a worker whose node does not answer is alive, and not ready.
const HANGS_AFTER: Duration = Duration::from_secs(180);
/// What is known of the chain may be so old. One question to a node takes up to 90 seconds with all
/// its attempts.
const STALE_AFTER: Duration = Duration::from_secs(180);

/// What to do about what is not known yet.
const WAIT: &str = "Wait: it has just started.";

/// What `/health` and `/ready` answer from.
#[derive(Debug)]
pub(crate) struct Health {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the worker's loop said when it was last asked.
    pulse: Option<Pulse>,
    /// What the engine's self-test gave.
    engine: Option<Finding>,
    /// What the chain answered, and when.
    chain: Option<(Instant, Vec<Finding>)>,
    stopping: bool,
}

/// The answer of `/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Alive {
    pub(crate) alive: bool,
    /// How long ago the worker's loop turned, seconds.
    pub(crate) turned_seconds_ago: u64,
}

/// The answer of `/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ready {
    pub(crate) ready: bool,
    pub(crate) checks: Vec<Finding>,
}

impl Health {
    pub(crate) fn new() -> Self {
        let state = State { pulse: None, engine: None, chain: None, stopping: false };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pulse(&self, pulse: Pulse) {
        self.state().pulse = Some(pulse);
    }

    /// Whether the live requests can be read.
    pub(crate) fn requests(&self) -> Finding {
        requests(self.state().pulse.as_ref())
    }

    pub(crate) fn engine(&self, finding: Finding) {
        self.state().engine = Some(finding);
    }

    pub(crate) fn chain(&self, findings: Vec<Finding>) {
        self.state().chain = Some((Instant::now(), findings));
    }

    pub(crate) fn stopping(&self) {
        self.state().stopping = true;
    }

    pub(crate) fn alive(&self) -> Alive {
        let since = self.state().pulse.map_or(Duration::ZERO, |pulse| pulse.age);
        Alive { alive: since < HANGS_AFTER, turned_seconds_ago: since.as_secs() }
    }

    pub(crate) fn ready(&self) -> Ready {
        let state = self.state();
        let mut checks = Vec::new();
        if state.stopping {
            checks.push(Finding::fail("stopping", "the worker has been told to stop", "Wait."));
        }
        let untested = || Finding::fail("engine", "the self-test has not ended yet", WAIT);
        checks.push(state.engine.clone().unwrap_or_else(untested));
        checks.push(requests(state.pulse.as_ref()));
        match &state.chain {
            None => checks.push(Finding::fail("rpc", "the node has not answered yet", WAIT)),
            Some((when, findings)) => {
                checks.extend(findings.iter().cloned());
                if when.elapsed() > STALE_AFTER {
                    let found = format!("asked {} s ago", when.elapsed().as_secs());
                    let advice = "The node does not answer. Look at the log.";
                    checks.push(Finding::fail("rpc", found, advice));
                }
            }
        }
        Ready { ready: checks.iter().all(|one| one.level != Level::Fail), checks }
    }
}

/// Whether the live requests can be read, by what the worker's loop said.
fn requests(pulse: Option<&Pulse>) -> Finding {
    match pulse.map(|pulse| (pulse.looked, pulse.pending)) {
        None | Some((None, _)) => {
            Finding::fail("requests", "the live requests have not been read yet", WAIT)
        }
        Some((Some(looked), _)) if looked > STALE_AFTER => {
            let found = format!("the live requests were last read {} s ago", looked.as_secs());
            let advice = "Nothing is served. Look at the log: the node does not answer for the \
                          contract, or the chain stands still.";
            Finding::fail("requests", found, advice)
        }
        Some((Some(_), pending)) => Finding::ok("requests", format!("{pending} are live")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(age: Duration, looked: Option<Duration>) -> Pulse {
        Pulse { age, pending: 0, looked }
    }

    #[test]
    fn a_worker_that_cannot_read_the_requests_is_alive_and_not_ready() {
        let (health, now) = (Health::new(), Duration::ZERO);
        health.engine(Finding::ok("engine", "as expected"));
        health.chain(vec![Finding::ok("rpc", "there")]);
        let longest = Some(STALE_AFTER);
        let too_long = Some(STALE_AFTER + Duration::from_millis(1));
        let all = [(None, false), (Some(now), true), (longest, true), (too_long, false)];
        for (looked, is_ready) in all {
            health.pulse(pulse(now, looked));
            let ready = health.ready();
            assert_eq!((ready.ready, health.alive().alive), (is_ready, true), "{ready:?}");
            let failed = ready.checks.iter().filter(|one| one.level == Level::Fail);
            assert!(failed.map(|one| one.check).all(|check| check == "requests"));
        }
    }

    #[test]
    fn a_worker_is_ready_when_engine_and_chain_are_and_until_it_is_told_to_stop() {
        let health = Health::new();
        assert!(health.alive().alive);
        health.pulse(pulse(HANGS_AFTER, Some(Duration::ZERO)));
        assert_eq!(health.alive(), Alive { alive: false, turned_seconds_ago: 180 });
        assert!(!health.ready().ready);
        health.engine(Finding::ok("engine", "as expected"));
        assert!(!health.ready().ready);
        health.chain(vec![Finding::ok("rpc", "there"), Finding::warn("keys", "low", "Add one.")]);
        assert!(health.ready().ready, "a warning stops nothing");
        health.chain(vec![Finding::fail("registration", "suspended", "Ask the owner.")]);
        assert!(!health.ready().ready);
        health.chain(Vec::new());
        health.stopping();
        let ready = health.ready();
        assert!(!ready.ready);
        assert_eq!(ready.checks.first().unwrap().check, "stopping");
    }
}
