//! `outlayer doctor`: whether a worker could serve here, and what to do where it could not.

use std::sync::Arc;

use clap::Args;
use outlayer_client::{Contract, Keys, Node};
use outlayer_guest::{ENGINE_VERSION, EngineId, NEAR_CONFIG_VERSION};
use outlayer_protocol::Config;
use outlayer_sandbox::Sandbox;
use outlayer_telemetry::checks::{self, Confined, Finding, Level, Subject};
use serde::Serialize;

use crate::{
    engine::{self, OtherEngine},
    network::block_on,
    print,
    settings::Settings,
    worker::{Options, account, contract_id, node_config, read_keys, secrets_config},
};

/// Say whether a worker could serve here, and what to do where it could not
///
/// It has the settings of `outlayer worker run`, and asks everything that such a worker depends on.
/// It exits with 0 when the worker could serve, and with 1 when something keeps it from serving.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    settings: Settings<true>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// All answers.
#[derive(Serialize)]
struct Report {
    /// Whether a worker could serve.
    can_serve: bool,
    findings: Vec<Finding>,
}

impl DoctorArgs {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        crate::logs::init("error");
        let settings = &self.settings;
        let mut findings = Vec::new();
        let options = Options::read(settings)
            .inspect_err(|error| findings.push(setting("settings", error)))
            .ok();
        let keys = read_keys(settings)
            .map(|(keys, _)| keys)
            .inspect_err(|error| findings.push(setting("keys", error)))
            .ok();
        let sandboxes = options.as_ref().map(Sandboxes::start);
        let engines = sandboxes.as_ref().map_or_else(|| vec![EngineId::OWN], Sandboxes::ids);
        let window = match subject(settings, keys, engines) {
            Ok(subject) => {
                let report = block_on(async move { Ok(checks::chain(&subject).await) })?;
                findings.extend(report.findings);
                report.config.map(|config| config.config.window)
            }
            Err(error) => {
                findings.push(setting("rpc", &error));
                None
            }
        };
        let window =
            window.unwrap_or_else(|| Config::new(ENGINE_VERSION, NEAR_CONFIG_VERSION).window);
        if let Some((options, sandboxes)) = options.iter().zip(sandboxes).next() {
            machine(options, &sandboxes, &window, &mut findings);
        }
        let can_serve = findings.iter().all(|one| one.level != Level::Fail);
        if self.json {
            print::json(&Report { can_serve, findings })?;
        } else {
            for finding in &findings {
                show(finding);
            }
        }
        Ok(can_serve)
    }
}

/// What the doctor says of settings that cannot be used.
fn setting(check: &'static str, error: &anyhow::Error) -> Finding {
    let found = outlayer_client::with_causes(error.as_ref());
    Finding::fail(check, found, "`outlayer worker run --print-config` shows what is set where.")
}

fn subject(
    settings: &Settings<true>,
    keys: Option<Keys>,
    engines: Vec<EngineId>,
) -> anyhow::Result<Subject> {
    let mut node = node_config(settings)?;
    // Somebody waits for the answer.
    node.attempts = 2;
    let contract = Contract::new(Node::new(&node)?, contract_id(settings)?);
    let public_keys = keys.as_ref().map(Keys::public_keys).unwrap_or_default();
    let account_id = match keys {
        Some(keys) => keys.account_id,
        None => account(settings)?
            .ok_or_else(|| settings.missing("account", "the id of the worker's account"))?,
    };
    let min_balance = Options::min_balance(settings)?;
    let secrets_key = secrets_config(settings)?.public_key();
    Ok(Subject { contract, account_id, public_keys, min_balance, engines, secrets_key })
}

/// The engines that a worker with these options would have.
struct Sandboxes<'a> {
    own: anyhow::Result<Arc<Sandbox>>,
    others: Vec<(&'a OtherEngine, anyhow::Result<Arc<Sandbox>>)>,
}

impl<'a> Sandboxes<'a> {
    fn start(options: &'a Options) -> Self {
        let own = engine::of_worker(options.cache_dir.clone(), 1, options.memory_bytes);
        let beside = own.as_ref().ok().map(|own| &**own);
        let start =
            |other: &'a OtherEngine| (other, other.start(beside, options.cache_dir.as_deref(), 1));
        let others = options.engines.iter().map(start).collect();
        Self { own, others }
    }

    /// The engines that are there. The own one is counted in any case.
    fn ids(&self) -> Vec<EngineId> {
        let others = self.others.iter().filter_map(|(_, sandbox)| sandbox.as_ref().ok());
        [EngineId::OWN].into_iter().chain(others.map(|sandbox| sandbox.engine())).collect()
    }
}

/// Asks what does not need the chain.
fn machine(
    options: &Options,
    sandboxes: &Sandboxes<'_>,
    window: &outlayer_protocol::window::Window,
    findings: &mut Vec<Finding>,
) {
    let sandbox = &sandboxes.own;
    let confined = match sandbox {
        Ok(sandbox) => {
            let confined = sandbox.confined();
            Ok(Confined { files: confined.files, system_calls: confined.syscalls })
        }
        Err(error) => Err(outlayer_client::with_causes(error.as_ref())),
    };
    findings.push(checks::sandbox(confined));
    if let Ok(sandbox) = sandbox {
        let engine = checks::self_test(&**sandbox, sandbox.engine());
        let works = engine.level != Level::Fail;
        findings.push(engine);
        if works {
            findings.push(checks::speed(&**sandbox, window));
        }
    }
    for (other, sandbox) in &sandboxes.others {
        findings.push(match sandbox {
            Ok(sandbox) => checks::self_test(&**sandbox, sandbox.engine()),
            Err(error) => Finding::fail(
                "engine",
                outlayer_client::with_causes(error.as_ref()),
                format!(
                    "`engine` names {}: install an `outlayer` there that has {}, or take it out.",
                    other.program.display(),
                    other.version
                ),
            ),
        });
    }
    let machine = outlayer_sandbox::machine_memory();
    findings.push(checks::memory(machine, options.memory_bytes, options.concurrency));
    findings.push(checks::folder(
        "cache",
        options.cache_dir.as_deref(),
        "Set `cache_dir`: without it, all code is fetched and compiled again after a restart.",
    ));
    findings.push(checks::folder(
        "state",
        options.state_dir.as_deref(),
        "Set `state_dir`: without it, a restarted worker takes up at once what ended its process \
         before.",
    ));
}

fn show(finding: &Finding) {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Warn => "warn",
        Level::Fail => "FAIL",
    };
    print::raw(format_args!(
        "{level:<5} {:<13} {}\n",
        finding.check,
        print::text(finding.found.as_bytes())
    ));
    if let Some(advice) = &finding.advice {
        print::raw(format_args!("{:<19} {advice}\n", ""));
    }
}
