//! Follows requests through a worker's stages: how many are in each, how long each takes, how it
//! ended, and a trace of the whole when it is over.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

use outlayer_protocol::RequestId;
use outlayer_worker::Stage;

use crate::{
    Metrics,
    traces::{Part, RequestTrace, Traces},
};

/// The most requests that are followed at once. A worker has fewer under way.
const MOST: usize = 100_000;
/// The most parts of one request's trace.
const MOST_PARTS: usize = 64;

/// What is known of the requests under way. It is told every [`Stage`].
pub(crate) struct Requests {
    metrics: Arc<Metrics>,
    traces: Option<Arc<Traces>>,
    running: Mutex<HashMap<RequestId, Running>>,
}

struct Running {
    began: Instant,
    trace: RequestTrace,
    step: &'static str,
    since: Instant,
}

impl Requests {
    pub(crate) fn new(metrics: Arc<Metrics>, traces: Option<Arc<Traces>>) -> Self {
        Self { metrics, traces, running: Mutex::default() }
    }

    /// What a stage means here. This is the only place that knows the stages.
    pub(crate) fn tell(&self, stage: &Stage) {
        match stage {
            Stage::Discovered { request_id } => self.begin(*request_id, "load"),
            Stage::NeedsEngine { .. } => self.metrics.ended("needs_engine"),
            Stage::Loaded { request_id } => self.enter(*request_id, "fetch"),
            Stage::Fetched { request_id, .. } => self.enter(*request_id, "wait"),
            Stage::Called { gas_burnt } => self.metrics.burnt(*gas_burnt),
            Stage::Claimed { request_id, transaction, .. } => {
                self.note(*request_id, "claim", transaction.to_string());
            }
            Stage::Executing { request_id } => self.enter(*request_id, "execute"),
            Stage::Executed { request_id, status, used, .. } => {
                self.metrics.executed(status, *used);
                self.note(*request_id, "status", (*status).to_owned());
                self.enter(*request_id, "submit");
            }
            Stage::Committed { request_id, .. } => self.enter(*request_id, "agree"),
            Stage::Revealed { request_id, .. } => self.enter(*request_id, "submit"),
            Stage::Submitting { .. } | Stage::Sent { .. } => {}
            Stage::Submitted { request_id, transaction, .. } => {
                self.note(*request_id, "transaction", transaction.to_string());
                self.enter(*request_id, "confirm");
            }
            Stage::Again { request_id, .. } => {
                self.metrics.ended("executed_again");
                self.enter(*request_id, "load");
            }
            Stage::TooLate { request_id } => {
                if !self.end(*request_id, "too_late", false) {
                    self.metrics.ended("too_late");
                }
            }
            Stage::Left { request_id } => {
                self.end(*request_id, "left", false);
            }
            Stage::Settled { request_id } => {
                self.end(*request_id, "settled", true);
            }
            Stage::Failed { request_id, .. } => {
                self.end(*request_id, "failed", false);
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<RequestId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, request_id: RequestId, step: &'static str) {
        // An attempt that ended without a word is over when the next one begins.
        self.end(request_id, "left", false);
        let mut running = self.running();
        if running.len() >= MOST {
            return;
        }
        let began = Instant::now();
        let trace = RequestTrace::begin(request_id, SystemTime::now());
        running.insert(request_id, Running { began, trace, step, since: began });
        self.metrics.entered_stage(step);
    }

    fn note(&self, request_id: RequestId, name: &'static str, value: String) {
        if let Some(one) = self.running().get_mut(&request_id) {
            one.trace.attributes.push((name, value));
        }
    }

    fn enter(&self, request_id: RequestId, step: &'static str) {
        if let Some(one) = self.running().get_mut(&request_id) {
            one.leave(&self.metrics);
            one.step = step;
            self.metrics.entered_stage(step);
        }
    }

    /// Ends a request. Whether it was under way.
    fn end(&self, request_id: RequestId, outcome: &'static str, whole: bool) -> bool {
        let Some(mut one) = self.running().remove(&request_id) else {
            return false;
        };
        one.leave(&self.metrics);
        self.metrics.ended(outcome);
        if whole {
            self.metrics.whole_request(one.began.elapsed());
        }
        if let Some(traces) = &self.traces {
            one.trace.attributes.push(("outcome", outcome.to_owned()));
            let ended = one.time_of(one.since);
            traces.request(one.trace, ended);
        }
        true
    }
}

impl Running {
    /// Ends the step that the request is in.
    fn leave(&mut self, metrics: &Metrics) {
        metrics.left_stage(self.step, self.since.elapsed());
        let now = Instant::now();
        if self.trace.parts.len() < MOST_PARTS {
            let (from, until) = (self.time_of(self.since), self.time_of(now));
            self.trace.parts.push(Part { name: self.step, from, until });
        }
        self.since = now;
    }

    /// The system clock's time at a moment of this request, as if nobody had set that clock since
    /// the request began.
    fn time_of(&self, moment: Instant) -> SystemTime {
        self.trace.began + moment.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::{Compute, Hash32};

    use super::*;

    #[test]
    fn stages_are_counted_and_nothing_stays_behind() {
        let metrics = Arc::new(Metrics::new("0", 1));
        let requests = Requests::new(Arc::clone(&metrics), None);
        let executed = |request_id| Stage::Executed {
            request_id,
            digest: Hash32::default(),
            status: "completed",
            used: Compute::Fuel(5),
        };
        for request_id in 1..=3 {
            requests.tell(&Stage::Discovered { request_id });
            requests.tell(&Stage::Executing { request_id });
            requests.tell(&executed(request_id));
        }
        let gas_burnt = 7;
        let transaction = Default::default();
        requests.tell(&Stage::Submitted { request_id: 1, transaction, gas_burnt });
        // The call of that answer, and one that was not taken.
        for gas_burnt in [gas_burnt, 5] {
            requests.tell(&Stage::Called { gas_burnt });
        }
        let page = metrics.encode();
        assert!(page.contains("outlayer_in_stage{stage=\"submit\"} 2"), "{page}");
        assert!(page.contains("outlayer_in_stage{stage=\"confirm\"} 1"), "{page}");
        requests.tell(&Stage::Settled { request_id: 1 });
        requests.tell(&Stage::Failed { request_id: 2, reason: "x".into() });
        // The third attempt ends without a word, and the request is taken up again.
        requests.tell(&Stage::Discovered { request_id: 3 });
        requests.tell(&Stage::Settled { request_id: 3 });
        // Nobody has begun this one.
        requests.tell(&Stage::Settled { request_id: 4 });
        let page = metrics.encode();
        for line in [
            "outlayer_requests_total{outcome=\"settled\"} 2",
            "outlayer_requests_total{outcome=\"failed\"} 1",
            "outlayer_requests_total{outcome=\"left\"} 1",
            "outlayer_executions_total{status=\"completed\"} 3",
            "outlayer_compute_used_total{meter=\"fuel\"} 15",
            "outlayer_gas_burnt_total 12",
            "outlayer_in_stage{stage=\"execute\"} 0",
            "outlayer_in_stage{stage=\"submit\"} 0",
            "outlayer_in_stage{stage=\"confirm\"} 0",
            "outlayer_stage_seconds_count{stage=\"whole\"} 2",
        ] {
            assert!(page.lines().any(|one| one == line), "{line} is not in:\n{page}");
        }
        assert!(requests.running().is_empty());
    }
}
