//! What a running worker shows: fed by the worker's stages, and by questions to the chain.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use outlayer_protocol::NearToken;
use outlayer_worker::{Observer, Pulse};

use crate::{
    Metrics, Traces,
    checks::{self, ChainReport, Finding, Level, Subject},
    health::Health,
    metrics::CHECKS,
    requests::Requests,
    server,
};

/// The time between two rounds of questions to the chain.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// Gathers what a worker shows. Clones share it.
#[derive(Clone)]
pub struct Telemetry {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    requests: Arc<Requests>,
    traces: Option<Arc<Traces>>,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("health", &self.health).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Gathers into `metrics`, and sends `traces` if there is a collector for them.
    pub fn new(metrics: Metrics, traces: Option<Traces>) -> Self {
        let (metrics, traces) = (Arc::new(metrics), traces.map(Arc::new));
        Self {
            requests: Arc::new(Requests::new(Arc::clone(&metrics), traces.clone())),
            metrics,
            health: Arc::new(Health::new()),
            traces,
        }
    }

    /// The metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What the worker is to tell its stages.
    pub fn observer(&self) -> Observer {
        let requests = Arc::clone(&self.requests);
        Arc::new(move |stage| requests.tell(stage))
    }

    /// How the worker's loop does.
    pub fn pulse(&self, pulse: Pulse) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.metrics.pulse(pulse.pending, now.saturating_sub(pulse.age));
        if let Some(looked) = pulse.looked {
            self.metrics.looked(now.saturating_sub(looked));
        }
        self.health.pulse(pulse);
        let finding = self.health.requests();
        self.metrics.check(finding.check, finding.level != Level::Fail);
    }

    /// What the engine's self-test gave.
    pub fn self_tested(&self, finding: Finding) {
        if finding.level == Level::Fail {
            tracing::error!(found = %finding.found, "the engine's self-test has failed");
        }
        self.metrics.check(finding.check, finding.level != Level::Fail);
        self.health.engine(finding);
    }

    /// The worker has been told to stop: it is not ready any more.
    pub fn stopping(&self) {
        self.health.stopping();
    }

    /// Sends what has not been sent. It blocks for some seconds at the most.
    pub fn stop(&self) {
        if let Some(traces) = &self.traces {
            traces.stop();
        }
    }

    /// Serves `/metrics`, `/health` and `/ready` on `address` in the background. `refresh` brings
    /// up to date what nobody tells, each time before metrics are read. Gives the address that was
    /// bound.
    ///
    /// # Errors
    /// The system's, when the address cannot be bound.
    pub async fn serve(
        &self,
        address: SocketAddr,
        refresh: impl Fn(&Metrics) + Send + Sync + 'static,
    ) -> io::Result<SocketAddr> {
        let (metrics, health) = (Arc::clone(&self.metrics), Arc::clone(&self.health));
        server::serve(address, metrics, health, Arc::new(refresh)).await
    }

    /// Asks the chain about the worker for as long as it is polled, and logs what changes for the
    /// worse. `subject` says whom the questions are about, which may change.
    pub async fn watch(&self, subject: impl Fn() -> Subject) {
        let mut earnings: Option<NearToken> = None;
        let mut failing = Vec::new();
        loop {
            let report = checks::chain(&subject()).await;
            self.take(&report, &mut earnings);
            let now: Vec<_> =
                report.findings.iter().filter(|one| one.level == Level::Fail).collect();
            for finding in &now {
                if !failing.contains(&finding.check) {
                    let advice = finding.advice.as_deref().unwrap_or_default();
                    tracing::warn!(
                        check = finding.check, found = %finding.found, advice, "not ready"
                    );
                }
            }
            failing = now.iter().map(|finding| finding.check).collect();
            self.health.chain(report.findings);
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    fn take(&self, report: &ChainReport, earnings: &mut Option<NearToken>) {
        if let Some((node, age)) = &report.node {
            self.metrics.block(node.height, *age);
        }
        if let Some(balance) = &report.balance {
            self.metrics.balance(balance.free());
        }
        // A node that does not answer says nothing of the registration.
        if let Some(worker) = &report.worker {
            self.metrics.worker(worker.as_ref());
        }
        if let Some(Some(worker)) = &report.worker {
            // A withdrawal makes the sum smaller, and what it grows by afterwards is earned.
            let before = earnings.replace(worker.earnings).unwrap_or(worker.earnings);
            self.metrics.earned(worker.earnings.saturating_sub(before));
        }
        let own = ["engine", "requests"];
        for check in CHECKS.into_iter().filter(|check| !own.contains(check)) {
            let mut of_check = report.findings.iter().filter(|one| one.check == check).peekable();
            let asked = of_check.peek().is_some();
            self.metrics.check(check, asked && of_check.all(|one| one.level != Level::Fail));
        }
    }
}
