//! Whether the worker is alive, and whether it can serve.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::checks::{Finding, Level};

/// A worker whose loop has not turned for so long hangs. The loop waits for one question to a node,
/// which takes up to 90 seconds with all its attempts.
const HANGS_AFTER: Duration = Duration::from_secs(180);
/// What is known of the chain may be so old.
const STALE_AFTER: Duration = Duration::from_secs(180);

/// What `/health` and `/ready` answer from.
#[derive(Debug)]
pub(crate) struct Health {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How long ago the worker's loop had turned when it was last asked.
    turned: Duration,
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
        let state = State { turned: Duration::ZERO, engine: None, chain: None, stopping: false };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pulse(&self, age: Duration) {
        self.state().turned = age;
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
        let since = self.state().turned;
        Alive { alive: since < HANGS_AFTER, turned_seconds_ago: since.as_secs() }
    }

    pub(crate) fn ready(&self) -> Ready {
        const WAIT: &str = "Wait: it has just started.";
        let state = self.state();
        let mut checks = Vec::new();
        if state.stopping {
            checks.push(Finding::fail("stopping", "the worker has been told to stop", "Wait."));
        }
        let untested = || Finding::fail("engine", "the self-test has not ended yet", WAIT);
        checks.push(state.engine.clone().unwrap_or_else(untested));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_ready_when_engine_and_chain_are_and_until_it_is_told_to_stop() {
        let health = Health::new();
        assert!(health.alive().alive);
        health.pulse(HANGS_AFTER);
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
