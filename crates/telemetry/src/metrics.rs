//! The numbers that a worker publishes for Prometheus. A dashboard and alert rules name them
//! (`deploy/`), and a test holds those names against the ones here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use outlayer_client::EndpointHealth;
use outlayer_guest::EngineId;
use outlayer_protocol::{EngineVersion, NearToken, views::WorkerView};
use prometheus_client::{
    encoding::{EncodeLabelSet, LabelSetEncoder, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Seconds that a stage takes: from a warm no-op to an execution that fills its window.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// How a request can end for a worker.
const OUTCOMES: [&str; 6] =
    ["settled", "failed", "left", "too_late", "needs_engine", "executed_again"];
/// How an execution can end.
const STATUSES: [&str; 8] = [
    "completed",
    "exited",
    "trapped",
    "out_of_fuel",
    "out_of_gas",
    "stack_overflow",
    "limit_exceeded",
    "invalid_module",
];
/// The stages of a request.
const STAGES: [&str; 7] = ["load", "fetch", "wait", "execute", "agree", "submit", "confirm"];
/// Stands for all stages together.
const WHOLE: &str = "whole";
/// What `/ready` asks.
pub(crate) const CHECKS: [&str; 8] =
    ["engine", "requests", "rpc", "contract", "account", "balance", "keys", "registration"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Status {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfStage {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Meter {
    meter: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct RpcCall {
    endpoint: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: String,
    engine_version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEngine {
    engine_version: String,
    near_config_version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCheck {
    check: &'static str,
}

/// The labels of a series that is alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Alone;

impl EncodeLabelSet for Alone {
    fn encode(&self, _: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        Ok(())
    }
}

type NewHistogram = fn() -> Histogram;
type Float = Gauge<f64, AtomicU64>;
/// A gauge that is not shown before it is known. A worker that has just started would have neither
/// balance nor registration otherwise, and alerts would fire for that.
type Once<G> = Family<Alone, G>;

/// All metrics of one worker. Each is updated by whoever learns of it, at any time.
pub struct Metrics {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    executions: Family<Status, Counter>,
    used: Family<Meter, Counter>,
    stage_seconds: Family<OfStage, Histogram, NewHistogram>,
    in_stage: Family<OfStage, Gauge>,
    pending: Gauge,
    gas_burnt: Counter,
    children: Gauge,
    rpc_calls: Family<RpcCall, Counter>,
    rpc_latency: Family<Endpoint, Float>,
    rpc_height: Family<Endpoint, Gauge>,
    rpc_in_order: Family<Endpoint, Gauge>,
    rpc_contradicted: Family<Endpoint, Counter>,
    rpc_disputed: Family<Endpoint, Counter>,
    balance: Once<Float>,
    earnings: Once<Float>,
    earned: Counter<f64, AtomicU64>,
    settled_on_chain: Once<Gauge>,
    lost_on_chain: Once<Gauge>,
    missed_on_chain: Once<Gauge>,
    registered: Once<Gauge>,
    keys: Gauge,
    engines: Family<OfEngine, Gauge>,
    block_height: Once<Gauge>,
    block_age: Once<Float>,
    turned: Once<Float>,
    looked: Once<Float>,
    checks: Family<OfCheck, Gauge<i64, AtomicI64>>,
    ready: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    /// Metrics of a worker of this release and engine version, all zero.
    pub fn new(version: &str, engine_version: u32) -> Self {
        let mut registry = Registry::with_prefix("outlayer");
        let build = Family::<Build, Gauge>::default();
        build
            .get_or_create(&Build {
                version: version.to_owned(),
                engine_version: engine_version.to_string(),
            })
            .set(1);
        registry.register("build_info", "The release and its engine version", build);
        let metrics = Self {
            requests: Family::default(),
            executions: Family::default(),
            used: Family::default(),
            stage_seconds: Family::new_with_constructor(seconds as NewHistogram),
            in_stage: Family::default(),
            pending: Gauge::default(),
            gas_burnt: Counter::default(),
            children: Gauge::default(),
            rpc_calls: Family::default(),
            rpc_latency: Family::default(),
            rpc_height: Family::default(),
            rpc_in_order: Family::default(),
            rpc_contradicted: Family::default(),
            rpc_disputed: Family::default(),
            balance: Once::default(),
            earnings: Once::default(),
            earned: Counter::default(),
            settled_on_chain: Once::default(),
            lost_on_chain: Once::default(),
            missed_on_chain: Once::default(),
            registered: Once::default(),
            keys: Gauge::default(),
            engines: Family::default(),
            block_height: Once::default(),
            block_age: Once::default(),
            turned: Once::default(),
            looked: Once::default(),
            checks: Family::default(),
            ready: Gauge::default(),
            registry: Registry::default(),
        };
        let mut put = |name: &str, help: &str, metric: Box<dyn Registered>| {
            metric.register(&mut registry, name, help);
        };
        let all: [(&str, &str, Box<dyn Registered>); 29] = [
            (
                "requests",
                "Requests that this worker has taken up, by how that ended",
                Box::new(metrics.requests.clone()),
            ),
            (
                "executions",
                "Executions by the guest's status",
                Box::new(metrics.executions.clone()),
            ),
            ("compute_used", "Fuel and gas that guests used", Box::new(metrics.used.clone())),
            (
                "stage_seconds",
                "Seconds that a request spent in a stage",
                Box::new(metrics.stage_seconds.clone()),
            ),
            ("in_stage", "Requests that are in a stage now", Box::new(metrics.in_stage.clone())),
            (
                "pending",
                "Live requests that the last look found",
                Box::new(metrics.pending.clone()),
            ),
            (
                "gas_burnt",
                "Gas that the worker's calls burned, in units of gas",
                Box::new(metrics.gas_burnt.clone()),
            ),
            ("children", "Processes that run guests", Box::new(metrics.children.clone())),
            (
                "rpc_calls",
                "Calls of a node by host and result",
                Box::new(metrics.rpc_calls.clone()),
            ),
            (
                "rpc_latency_seconds",
                "Seconds that answers of an endpoint take, as a moving average",
                Box::new(metrics.rpc_latency.clone()),
            ),
            (
                "rpc_block_height",
                "Height of the newest block that an endpoint has shown",
                Box::new(metrics.rpc_height.clone()),
            ),
            (
                "rpc_in_order",
                "1 while an endpoint answers, does not lag, and serves the right network",
                Box::new(metrics.rpc_in_order.clone()),
            ),
            (
                "rpc_contradicted",
                "Answers of an endpoint against which two others agreed",
                Box::new(metrics.rpc_contradicted.clone()),
            ),
            (
                "rpc_disputed",
                "Questions to which an endpoint and another gave answers that differ, with no \
                 third one to decide",
                Box::new(metrics.rpc_disputed.clone()),
            ),
            (
                "balance_near",
                "NEAR that the worker's account can spend",
                Box::new(metrics.balance.clone()),
            ),
            (
                "earnings_near",
                "NEAR that the worker has earned and not withdrawn",
                Box::new(metrics.earnings.clone()),
            ),
            (
                "fees_earned_near",
                "NEAR that the worker has earned since it started",
                Box::new(metrics.earned.clone()),
            ),
            (
                "answers_settled",
                "Answers of this worker that were settled, by the contract's count",
                Box::new(metrics.settled_on_chain.clone()),
            ),
            (
                "commitments_lost",
                "Commitments of this worker to digests that lost, by the contract's count",
                Box::new(metrics.lost_on_chain.clone()),
            ),
            (
                "claims_missed",
                "Claims of this worker that it did not answer in time, by the contract's count",
                Box::new(metrics.missed_on_chain.clone()),
            ),
            (
                "registered",
                "1 while the account is registered and not suspended",
                Box::new(metrics.registered.clone()),
            ),
            ("keys", "Access keys that sign", Box::new(metrics.keys.clone())),
            ("engine", "1 for each engine that serves", Box::new(metrics.engines.clone())),
            (
                "block_height",
                "Height of the newest block that was seen",
                Box::new(metrics.block_height.clone()),
            ),
            (
                "block_age_seconds",
                "How old that block was when it was seen, by this machine's clock",
                Box::new(metrics.block_age.clone()),
            ),
            (
                "loop_turned_timestamp_seconds",
                "When the worker's loop last turned, seconds since 1970",
                Box::new(metrics.turned.clone()),
            ),
            (
                "last_look_timestamp_seconds",
                "When the newest block was seen after which the live requests could be read, \
                 seconds since 1970",
                Box::new(metrics.looked.clone()),
            ),
            (
                "check",
                "What /ready asks, one by one: 1 where the answer is yes",
                Box::new(metrics.checks.clone()),
            ),
            ("ready", "1 while /ready answers yes", Box::new(metrics.ready.clone())),
        ];
        for (name, help, metric) in all {
            put(name, help, metric);
        }
        let metrics = Self { registry, ..metrics };
        metrics.begin();
        metrics
    }

    /// Makes the series that are known beforehand, so that the first event is an increase and not
    /// the beginning of a series.
    fn begin(&self) {
        for outcome in OUTCOMES {
            drop(self.requests.get_or_create(&Outcome { outcome }));
        }
        for status in STATUSES {
            drop(self.executions.get_or_create(&Status { status }));
        }
        for meter in ["fuel", "gas"] {
            drop(self.used.get_or_create(&Meter { meter }));
        }
        for stage in STAGES {
            drop(self.stage_seconds.get_or_create(&OfStage { stage }));
            drop(self.in_stage.get_or_create(&OfStage { stage }));
        }
        drop(self.stage_seconds.get_or_create(&OfStage { stage: WHOLE }));
        for check in CHECKS {
            drop(self.checks.get_or_create(&OfCheck { check }));
        }
    }

    /// Everything in the text form that Prometheus reads.
    pub fn encode(&self) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        if text::encode(&mut page, &self.registry).is_err() {
            page.clear();
        }
        page
    }

    /// The names under which Prometheus finds what a worker publishes, with the parts of
    /// histograms.
    pub fn names() -> BTreeSet<String> {
        let metrics = Self::new("", 0);
        // These series begin when they are known.
        metrics.endpoints(&[EndpointHealth {
            url: "http://localhost".into(),
            exchanges: 0,
            failed: 0,
            failures_in_a_row: 0,
            latency: None,
            height: None,
            lags: false,
            contradicted: 0,
            disputed: 0,
            is_doubted: false,
            clock_ahead: None,
            is_of_another_network: false,
        }]);
        metrics.engines(&[EngineId { version: EngineVersion(0), near_config_version: 0 }]);
        metrics.pulse(0, Duration::ZERO);
        metrics.looked(Duration::ZERO);
        metrics.block(0, Duration::ZERO);
        metrics.balance(NearToken::from_yoctonear(0));
        metrics.worker(None);
        drop(metrics.earnings.get_or_create(&Alone));
        for count in [&metrics.settled_on_chain, &metrics.lost_on_chain, &metrics.missed_on_chain] {
            drop(count.get_or_create(&Alone));
        }
        let page = metrics.encode();
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let mut names = BTreeSet::new();
        for (name, kind) in types {
            let endings: &[&str] = match kind {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            names.extend(endings.iter().map(|ending| format!("{name}{ending}")));
        }
        names
    }

    pub(crate) fn ended(&self, outcome: &'static str) {
        self.requests.get_or_create(&Outcome { outcome }).inc();
    }

    pub(crate) fn executed(&self, status: &'static str, used: outlayer_protocol::Compute) {
        self.executions.get_or_create(&Status { status }).inc();
        let meter = match used.meter() {
            outlayer_protocol::Meter::Fuel => "fuel",
            outlayer_protocol::Meter::Gas => "gas",
        };
        self.used.get_or_create(&Meter { meter }).inc_by(used.amount());
    }

    pub(crate) fn left_stage(&self, stage: &'static str, after: Duration) {
        self.stage_seconds.get_or_create(&OfStage { stage }).observe(after.as_secs_f64());
        self.in_stage.get_or_create(&OfStage { stage }).dec();
    }

    pub(crate) fn entered_stage(&self, stage: &'static str) {
        self.in_stage.get_or_create(&OfStage { stage }).inc();
    }

    pub(crate) fn whole_request(&self, took: Duration) {
        self.stage_seconds.get_or_create(&OfStage { stage: WHOLE }).observe(took.as_secs_f64());
    }

    pub(crate) fn burnt(&self, gas_burnt: u64) {
        self.gas_burnt.inc_by(gas_burnt);
    }

    pub(crate) fn pulse(&self, pending: usize, turned: Duration) {
        self.pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
        self.turned.get_or_create(&Alone).set(turned.as_secs_f64());
    }

    pub(crate) fn looked(&self, looked: Duration) {
        self.looked.get_or_create(&Alone).set(looked.as_secs_f64());
    }

    /// How many processes run guests.
    pub fn children(&self, alive: usize) {
        self.children.set(i64::try_from(alive).unwrap_or(i64::MAX));
    }

    /// How many access keys sign.
    pub fn keys(&self, keys: usize) {
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    /// Which engines serve.
    pub fn engines(&self, engines: &[EngineId]) {
        for EngineId { version, near_config_version } in engines {
            let (engine_version, near_config_version) =
                (version.0.to_string(), near_config_version.to_string());
            self.engines.get_or_create(&OfEngine { engine_version, near_config_version }).set(1);
        }
    }

    /// How the endpoints have been answering. They are named by scheme, host and port.
    pub fn endpoints(&self, endpoints: &[EndpointHealth]) {
        // Several endpoints of one host, which have keys of their own, are shown as one.
        let mut calls = BTreeMap::<RpcCall, u64>::new();
        let mut differ = BTreeMap::<String, (u64, u64)>::new();
        for health in endpoints {
            let endpoint = health.url.to_string();
            for (result, more) in
                [("ok", health.exchanges.saturating_sub(health.failed)), ("error", health.failed)]
            {
                let call = RpcCall { endpoint: endpoint.clone(), result };
                *calls.entry(call).or_default() += more;
            }
            let (contradicted, disputed) = differ.entry(endpoint.clone()).or_default();
            *contradicted += health.contradicted;
            *disputed += health.disputed;
            let label = Endpoint { endpoint };
            let latency = health.latency.unwrap_or_default().as_secs_f64();
            self.rpc_latency.get_or_create(&label).set(latency);
            let height = i64::try_from(health.height.unwrap_or_default()).unwrap_or(i64::MAX);
            self.rpc_height.get_or_create(&label).set(height);
            let in_order = health.failures_in_a_row == 0
                && !(health.lags || health.is_doubted || health.is_of_another_network);
            self.rpc_in_order.get_or_create(&label).set(in_order.into());
        }
        for (call, count) in calls {
            self.rpc_calls.get_or_create(&call).inner().store(count, Ordering::Relaxed);
        }
        for (endpoint, (contradicted, disputed)) in differ {
            let label = Endpoint { endpoint };
            let counters = [(&self.rpc_contradicted, contradicted), (&self.rpc_disputed, disputed)];
            for (counter, count) in counters {
                counter.get_or_create(&label).inner().store(count, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn block(&self, height: u64, age: Duration) {
        self.block_height.get_or_create(&Alone).set(i64::try_from(height).unwrap_or(i64::MAX));
        self.block_age.get_or_create(&Alone).set(age.as_secs_f64());
    }

    pub(crate) fn balance(&self, free: NearToken) {
        self.balance.get_or_create(&Alone).set(near(free));
    }

    pub(crate) fn worker(&self, worker: Option<&WorkerView>) {
        let works = worker.is_some_and(|worker| !worker.suspended);
        self.registered.get_or_create(&Alone).set(works.into());
        let Some(worker) = worker else {
            return;
        };
        self.earnings.get_or_create(&Alone).set(near(worker.earnings));
        self.settled_on_chain
            .get_or_create(&Alone)
            .set(i64::try_from(worker.settled).unwrap_or(i64::MAX));
        self.lost_on_chain
            .get_or_create(&Alone)
            .set(i64::try_from(worker.lost).unwrap_or(i64::MAX));
        self.missed_on_chain
            .get_or_create(&Alone)
            .set(i64::try_from(worker.missed).unwrap_or(i64::MAX));
    }

    pub(crate) fn earned(&self, more: NearToken) {
        self.earned.inc_by(near(more));
    }

    pub(crate) fn check(&self, check: &'static str, yes: bool) {
        self.checks.get_or_create(&OfCheck { check }).set(yes.into());
    }

    pub(crate) fn ready(&self, ready: bool) {
        self.ready.set(ready.into());
    }
}

/// An amount in NEAR. A graph does not need the last yocto.
#[expect(clippy::cast_precision_loss, reason = "a graph does not need the last yocto")]
fn near(amount: NearToken) -> f64 {
    amount.as_yoctonear() as f64 / 1e24
}

/// A metric that can be registered, whatever its type.
trait Registered {
    fn register(self: Box<Self>, registry: &mut Registry, name: &str, help: &str);
}

impl<M: prometheus_client::registry::Metric> Registered for M {
    fn register(self: Box<Self>, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, *self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_yet_is_not_shown_as_nothing() {
        let metrics = Metrics::new("0.1.0", 1);
        let unknown = [
            "outlayer_balance_near",
            "outlayer_earnings_near",
            "outlayer_registered",
            "outlayer_answers_settled",
            "outlayer_commitments_lost",
            "outlayer_claims_missed",
            "outlayer_block_height",
            "outlayer_block_age_seconds",
            "outlayer_loop_turned_timestamp_seconds",
            "outlayer_last_look_timestamp_seconds",
        ];
        let page = metrics.encode();
        for name in unknown {
            assert!(!page.contains(name), "{name} is in:\n{page}");
        }
        metrics.worker(None);
        let page = metrics.encode();
        assert!(page.lines().any(|one| one == "outlayer_registered 0"), "{page}");
        assert!(!page.contains("outlayer_commitments_lost"), "{page}");
    }

    #[test]
    fn the_page_is_what_prometheus_reads() {
        let metrics = Metrics::new("0.1.0", 1);
        metrics.ended("settled");
        metrics.ended("settled");
        metrics.entered_stage("execute");
        metrics.left_stage("execute", Duration::from_millis(20));
        metrics.endpoints(&[EndpointHealth {
            url: "https://u:KEY@rpc.example.com/KEY?k=KEY".into(),
            exchanges: 5,
            failed: 2,
            failures_in_a_row: 1,
            latency: Some(Duration::from_millis(500)),
            height: Some(9),
            lags: false,
            contradicted: 0,
            disputed: 0,
            is_doubted: false,
            clock_ahead: None,
            is_of_another_network: false,
        }]);
        metrics.balance(NearToken::from_millinear(1_500));
        let page = metrics.encode();
        for line in [
            "outlayer_build_info{version=\"0.1.0\",engine_version=\"1\"} 1",
            "outlayer_requests_total{outcome=\"settled\"} 2",
            "outlayer_in_stage{stage=\"execute\"} 0",
            "outlayer_stage_seconds_bucket{le=\"0.01\",stage=\"execute\"} 0",
            "outlayer_stage_seconds_bucket{le=\"0.025\",stage=\"execute\"} 1",
            "outlayer_rpc_calls_total{endpoint=\"https://rpc.example.com\",result=\"ok\"} 3",
            "outlayer_rpc_calls_total{endpoint=\"https://rpc.example.com\",result=\"error\"} 2",
            "outlayer_rpc_latency_seconds{endpoint=\"https://rpc.example.com\"} 0.5",
            "outlayer_rpc_in_order{endpoint=\"https://rpc.example.com\"} 0",
            "outlayer_balance_near 1.5",
            "outlayer_gas_burnt_total 0",
        ] {
            assert!(page.lines().any(|one| one == line), "{line} is not in:\n{page}");
        }
        let names = Metrics::names();
        for name in
            ["outlayer_requests_total", "outlayer_stage_seconds_bucket", "outlayer_balance_near"]
        {
            assert!(names.contains(name), "{name} is not in {names:?}");
        }
    }
}
