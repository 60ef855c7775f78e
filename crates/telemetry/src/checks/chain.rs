//! Questions to the chain: the node, the contract, the account with its keys, and the registration.

use std::time::{Duration, SystemTime};

use outlayer_client::{
    AccessKeyView, AccountBalance, At, ChainError, Contract, EndpointHealth, NodeStatus,
    Permission, PublicKey,
};
use outlayer_guest::EngineId;
use outlayer_protocol::{
    AccountId, NearToken, methods,
    secrets::{key_in_metadata, key_word},
    views::{ConfigView, WorkerView},
};

use super::{Finding, Level, near};

/// Whom the questions are about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The contract on its node.
    pub contract: Contract,
    /// The worker's account.
    pub account_id: AccountId,
    /// The public parts of its keys.
    pub public_keys: Vec<PublicKey>,
    /// What the account should be able to spend at the least.
    pub min_balance: NearToken,
    /// The engines that the worker has.
    pub engines: Vec<EngineId>,
    /// The public half of the key to which secrets should be sealed for it, if it has one.
    pub secrets_key: Option<[u8; 32]>,
}

/// What was found, as answers and as numbers.
#[derive(Clone, Debug, Default)]
pub struct ChainReport {
    /// An answer for every question that could be asked, in order.
    pub findings: Vec<Finding>,
    /// The node, and how old its newest block was.
    pub node: Option<(NodeStatus, Duration)>,
    /// The contract's configuration.
    pub config: Option<ConfigView>,
    /// What the account has.
    pub balance: Option<AccountBalance>,
    /// The account's registration: `None` when the chain did not say, `Some(None)` when the account
    /// is not registered.
    pub worker: Option<Option<WorkerView>>,
}

/// A block that is older than this is behind what a worker needs.
const OLD: Duration = Duration::from_secs(15);
/// With a block that is older than this, requests time out before they are seen.
const TOO_OLD: Duration = Duration::from_secs(60);
/// How far this machine's clock may be from others.
const APART: Duration = Duration::from_secs(5);
/// A key that may pay for less gas than this will soon stop signing.
const LOW_ALLOWANCE: NearToken = NearToken::from_millinear(100);
/// The methods that a worker calls.
const CALLED: [&str; 7] = [
    methods::RESOLVE_EXECUTION,
    methods::RESOLVE_MANY,
    methods::CLAIM_EXECUTION,
    methods::STAGE_RESPONSE,
    methods::COMMIT_EXECUTION,
    methods::REVEAL_EXECUTION,
    methods::CLOSE,
];

/// Asks everything that the chain can answer. When the node does not answer at all, only that is
/// reported.
pub async fn chain(subject: &Subject) -> ChainReport {
    let mut report = ChainReport::default();
    match subject.contract.node().status().await {
        Ok(status) => report.node(subject, status),
        Err(error) => {
            report.findings.push(unreachable("rpc", subject, &error));
            return report;
        }
    }
    match subject.contract.config(At::Optimistic).await {
        Ok(config) => report.contract(subject, config),
        Err(error) => report.findings.push(Finding::fail(
            "contract",
            error.to_string(),
            format!(
                "Is OutLayer deployed at {} on this chain? Look at `contract` and `rpc_url`.",
                subject.contract.id()
            ),
        )),
    }
    let node = subject.contract.node();
    match node.balance(&subject.account_id, At::Optimistic).await {
        Ok(Some(balance)) => report.balance(subject, balance),
        Ok(None) => report.findings.push(Finding::fail(
            "account",
            format!("{} does not exist on this chain", subject.account_id),
            "Look at `account` and `rpc_url`: is this the right network?",
        )),
        Err(error) => report.findings.push(unreachable("account", subject, &error)),
    }
    for key in &subject.public_keys {
        match node.access_key(&subject.account_id, key, At::Optimistic).await {
            Ok(Some(view)) => report.key(subject, key, &view),
            Ok(None) => report.findings.push(Finding::fail(
                "keys",
                format!("{} does not have the access key {key}", subject.account_id),
                "Add the key to the account, or remove its file.",
            )),
            Err(error) => report.findings.push(unreachable("keys", subject, &error)),
        }
    }
    report.one_key_is_enough();
    match subject.contract.worker(&subject.account_id, At::Optimistic).await {
        Ok(worker) => report.registration(subject, worker),
        Err(error) => report.findings.push(unreachable("registration", subject, &error)),
    }
    report
}

fn unreachable(check: &'static str, subject: &Subject, error: &ChainError) -> Finding {
    let shown = subject.contract.node().shown_url();
    let advice = format!("Does the node at {shown} run, and is `rpc_url` right?");
    Finding::fail(check, error.to_string(), advice)
}

/// Whether this machine's clock is right, by the newest block, which is so much `ahead` of it, and
/// by the dates that endpoints send. A block cannot be in the future, but an old one may mean that
/// the node lags, so only the dates tell that the clock is ahead. The endpoint that comes closest
/// is believed: one of several that is wrong raises no alarm.
fn clock(ahead: Duration, endpoints: &[EndpointHealth]) -> Finding {
    const CHECK: &str = "clock";
    let wrong =
        |found: String| Finding::warn(CHECK, found, "Set the clock, and keep it right with NTP.");
    if ahead > APART {
        return wrong(format!("the clock is {} s behind the newest block", ahead.as_secs()));
    }
    let dates = endpoints.iter().filter_map(|one| Some((&one.url, one.clock_ahead?)));
    match dates.min_by_key(|(_, seconds)| seconds.unsigned_abs()) {
        Some((url, seconds)) if seconds.unsigned_abs() > APART.as_secs() => {
            let which = if seconds > 0 { "ahead of" } else { "behind" };
            let seconds = seconds.unsigned_abs();
            wrong(format!("the clock is {seconds} s {which} that of {url}"))
        }
        Some((url, _)) => Finding::ok(CHECK, format!("as at {url}, to a few seconds")),
        None => Finding::ok(CHECK, "not behind the newest block; no endpoint says its time"),
    }
}

impl ChainReport {
    fn node(&mut self, subject: &Subject, status: NodeStatus) {
        let block = SystemTime::UNIX_EPOCH + Duration::from_nanos(status.timestamp);
        let now = SystemTime::now();
        let age = now.duration_since(block).unwrap_or_default();
        let found = format!(
            "{}, {} {}, block {} is {}.{} s old",
            subject.contract.node().shown_url(),
            status.chain_id,
            status.version,
            status.height,
            age.as_secs(),
            age.subsec_millis() / 100,
        );
        let behind = "The node lags, the chain stands still, or this machine's clock is fast. \
                      Use another node until it has caught up.";
        self.findings.push(if status.syncing {
            Finding::warn("rpc", format!("{found}, and it is still syncing"), behind)
        } else if age > TOO_OLD {
            Finding::fail("rpc", found, behind)
        } else if age > OLD {
            Finding::warn("rpc", found, behind)
        } else {
            Finding::ok("rpc", found)
        });
        let ahead = block.duration_since(now).unwrap_or_default();
        self.findings.push(clock(ahead, &subject.contract.node().health()));
        self.node = Some((status, age));
    }

    fn contract(&mut self, subject: &Subject, config: ConfigView) {
        let (version, near) = (config.config.engine_version, config.config.near_config_version);
        let needed = EngineId { version, near_config_version: near };
        let found = format!("{} asks for {version}", subject.contract.id());
        let listed = |describe: fn(&EngineId) -> String| {
            subject.engines.iter().map(describe).collect::<Vec<_>>().join(", ")
        };
        self.findings.push(if !subject.engines.iter().any(|one| one.version == version) {
            let advice = "Install the release whose engine version the contract asks for; \
                          CHANGELOG.md has the table. During an upgrade, `engine` names a second \
                          one.";
            let has = listed(|one| one.version.to_string());
            Finding::fail("contract", format!("{found}, this worker has {has}"), advice)
        } else if !subject.engines.contains(&needed) {
            let advice =
                "Install a release that is built for NEAR's configuration of the contract.";
            let has = listed(|one| one.near_config_version.to_string());
            let has = format!("{found} under NEAR's configuration {near}, this worker has {has}");
            Finding::fail("contract", has, advice)
        } else if config.paused {
            let advice = "Nothing to do: only the owner ends a pause.";
            Finding::warn("contract", format!("{found}; it is paused"), advice)
        } else {
            Finding::ok("contract", found)
        });
        self.config = Some(config);
    }

    fn balance(&mut self, subject: &Subject, balance: AccountBalance) {
        self.findings.push(Finding::ok("account", format!("{} exists", subject.account_id)));
        let free = balance.free();
        let found = format!("{} can be spent", near(free));
        self.findings.push(if free < subject.min_balance {
            let found = format!("{found}, expected at least {}", near(subject.min_balance));
            let advice = "Send NEAR to the account, or withdraw its earnings with \
                          `outlayer worker withdraw`.";
            Finding::fail("balance", found, advice)
        } else {
            Finding::ok("balance", found)
        });
        self.balance = Some(balance);
    }

    fn key(&mut self, subject: &Subject, key: &PublicKey, view: &AccessKeyView) {
        let contract_id = subject.contract.id();
        let missing: Vec<_> = CALLED
            .into_iter()
            .filter(|method| !view.permission.may_call(contract_id, method))
            .collect();
        self.findings.push(match &view.permission {
            _ if !missing.is_empty() => Finding::fail(
                "keys",
                format!("{key} may not call {} of {contract_id}", missing.join(", ")),
                "Give the worker a function-call key for the contract, without a list of methods.",
            ),
            Permission::FunctionCall { allowance: Some(left), .. } if *left < LOW_ALLOWANCE => {
                Finding::warn(
                    "keys",
                    format!("{key} may pay for {} of gas more", near(*left)),
                    "Add a key with a larger allowance and put it beside this one.",
                )
            }
            Permission::FunctionCall { .. } => {
                Finding::ok("keys", format!("{key} may call the contract"))
            }
            Permission::FullAccess => Finding::warn(
                "keys",
                format!("{key} may do everything with the account"),
                "A worker needs no more than a function-call key for the contract.",
            ),
        });
    }

    /// A worker signs with the keys that can, so the others are no more than a warning.
    fn one_key_is_enough(&mut self) {
        let mut keys: Vec<_> = self.findings.iter_mut().filter(|one| one.check == "keys").collect();
        if keys.iter().any(|one| one.level != Level::Fail) {
            keys.iter_mut().for_each(|one| one.level = one.level.min(Level::Warn));
        }
    }

    fn registration(&mut self, subject: &Subject, worker: Option<WorkerView>) {
        let account_id = &subject.account_id;
        self.findings.push(match &worker {
            None => Finding::fail(
                "registration",
                format!("{account_id} is not registered with {}", subject.contract.id()),
                "Ask the contract's owner to register it, see `outlayer worker register`.",
            ),
            Some(worker) if worker.suspended => Finding::fail(
                "registration",
                format!("{account_id} is suspended"),
                "Ask the contract's owner why, and to end the suspension.",
            ),
            Some(worker) => {
                let found = format!(
                    "registered; {} answers settled, {} commitments lost, {} earned",
                    worker.settled,
                    worker.lost,
                    near(worker.earnings)
                );
                Finding::ok("registration", found)
            }
        });
        if let Some((worker, key)) = worker.as_ref().zip(subject.secrets_key) {
            self.findings.push(secrets(&worker.metadata, &key));
        }
        self.worker = Some(worker);
    }
}

/// Whether what the registration publishes is the worker's own key.
fn secrets(metadata: &str, key: &[u8; 32]) -> Finding {
    let publish = format!(
        "Ask the contract's owner to publish it: `outlayer worker register --secrets-key {}`.",
        key_word(key)
    );
    match key_in_metadata(metadata) {
        Some(found) if found == *key => Finding::ok("secrets", "its key is published"),
        Some(found) => Finding::warn(
            "secrets",
            format!("{} is published, which is not the first of its keys", key_word(&found)),
            publish,
        ),
        None => Finding::warn(
            "secrets",
            "its key is not published, so nobody can seal a secret to it",
            publish,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_is_published_should_be_the_workers() {
        let (own, other) = ([1; 32], [2; 32]);
        let level = |metadata: &str| secrets(metadata, &own).level;
        assert_eq!(level(&format!("a worker {}", key_word(&own))), Level::Ok);
        assert_eq!((level(&key_word(&other)), level("a worker")), (Level::Warn, Level::Warn));
        let advice = secrets("", &own).advice.unwrap();
        assert!(advice.contains(&key_word(&own)), "{advice}");
    }

    fn endpoint(clock_ahead: Option<i64>) -> EndpointHealth {
        EndpointHealth {
            url: "http://localhost:3030/SECRET".into(),
            exchanges: 1,
            failed: 0,
            failures_in_a_row: 0,
            latency: None,
            height: None,
            lags: false,
            contradicted: 0,
            disputed: 0,
            is_doubted: false,
            clock_ahead,
            is_of_another_network: false,
        }
    }

    #[test]
    fn a_clock_that_is_wrong_in_either_direction_is_seen() {
        let found = |ahead: u64, dates: &[Option<i64>]| {
            let endpoints: Vec<_> = dates.iter().copied().map(endpoint).collect();
            let finding = clock(Duration::from_secs(ahead), &endpoints);
            (finding.level == Level::Warn).then_some(finding.found)
        };
        let text = |seconds: &str| Some(format!("the clock is {seconds}"));
        assert_eq!(found(0, &[]), None);
        assert_eq!(found(5, &[None, Some(5), Some(-5)]), None);
        assert_eq!(found(6, &[Some(0)]), text("6 s behind the newest block"));
        assert_eq!(found(0, &[Some(6)]), text("6 s ahead of that of http://localhost:3030"));
        assert_eq!(found(0, &[None, Some(-90)]), text("90 s behind that of http://localhost:3030"));
        assert_eq!(found(0, &[Some(i64::MIN), Some(i64::MAX), Some(1)]), None, "one is right");
        assert!(found(0, &[Some(i64::MIN)]).is_some());
    }

    #[test]
    fn a_key_that_cannot_sign_is_a_warning_beside_one_that_can() {
        let bad = || Finding::fail("keys", "not on the account", "Add it.");
        let mut report = ChainReport { findings: vec![bad(), bad()], ..ChainReport::default() };
        report.one_key_is_enough();
        assert!(report.findings.iter().all(|one| one.level == Level::Fail));
        report.findings.push(Finding::ok("keys", "may call the contract"));
        report.findings.push(Finding::fail("rpc", "away", "Wait."));
        report.one_key_is_enough();
        let levels: Vec<_> = report.findings.iter().map(|one| one.level).collect();
        assert_eq!(levels, [Level::Warn, Level::Warn, Level::Ok, Level::Fail]);
    }
}
