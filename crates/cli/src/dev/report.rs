//! What `outlayer dev` says while it runs, for people or as one JSON object a line.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use outlayer_guest::{Engine, Execution, Fault, Job, Snapshot};
use outlayer_protocol::{AccountId, Bytes, Compute, Hash32, RequestId};
use outlayer_worker::Stage;
use serde::Serialize;

use crate::print;

/// Something that a developer wants to know.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// Everything is there.
    Ready(Ready),
    /// A guest's code is published under its name.
    Published(Published),
    /// What a guest logged while it answered a request.
    Log { request_id: RequestId, text: Bytes },
    /// The functions that a guest was in when it trapped, innermost first.
    Trapped { request_id: RequestId, functions: Vec<String> },
    /// The worker has executed a request.
    Executed { request_id: RequestId, status: &'static str, used: Compute },
    /// A request is no longer live.
    Settled { request_id: RequestId },
    /// Something went wrong, and everything else goes on.
    Failed {
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
        reason: String,
    },
    /// Everything has ended.
    Stopped,
}

/// What was started, and how to reach it.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    /// From the start of the command, milliseconds.
    pub(super) millis: u64,
    pub(super) rpc_url: String,
    pub(super) contract_id: AccountId,
    pub(super) worker_id: AccountId,
    /// The accounts that a developer may use.
    pub(super) accounts: Vec<Account>,
    /// The folder in which the chain is kept; `None` when it ends with the command.
    pub(super) state: Option<PathBuf>,
    /// Whether the chain was there already.
    pub(super) continued: bool,
    pub(super) guests: Vec<Published>,
    /// A command to paste into another terminal.
    pub(super) call: String,
}

/// An account with its key.
#[derive(Debug, Serialize)]
pub(super) struct Account {
    pub(super) account_id: AccountId,
    pub(super) key_file: PathBuf,
}

/// A guest's code that stands in the contract.
#[derive(Debug, Serialize)]
pub(super) struct Published {
    /// OWNER/NAME.
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) code_hash: Hash32,
    pub(super) code_bytes: usize,
    pub(super) file: PathBuf,
    /// How long it took, milliseconds.
    pub(super) millis: u64,
}

/// Prints events in the order in which they come. It never blocks whoever says something, because
/// a terminal that is halted must not halt the worker.
#[derive(Clone)]
pub(super) struct Report {
    events: Sender<Event>,
}

/// The thread that prints, which ends after the last [`Report`].
pub(super) struct Printer(JoinHandle<()>);

impl Report {
    pub(super) fn start(as_json: bool) -> anyhow::Result<(Self, Printer)> {
        let (events, said) = mpsc::channel();
        let printer = thread::Builder::new().name("report".to_owned()).spawn(move || {
            for event in said {
                if as_json {
                    // The types have no map whose keys could fail.
                    let line = serde_json::to_string(&event).unwrap_or_default();
                    print::raw(format_args!("{line}\n"));
                } else {
                    print::raw(text(&event));
                }
            }
        })?;
        Ok((Self { events }, Printer(printer)))
    }

    pub(super) fn say(&self, event: Event) {
        // Fails when the printer has ended, and then nobody reads.
        let _ = self.events.send(event);
    }

    /// What a worker's stage means to a developer.
    pub(super) fn stage(&self, stage: &Stage) {
        match stage {
            Stage::Executed { request_id, status, used, .. } => {
                self.say(Event::Executed { request_id: *request_id, status, used: *used });
            }
            Stage::Settled { request_id } => self.say(Event::Settled { request_id: *request_id }),
            Stage::Failed { request_id, reason } | Stage::Again { request_id, reason } => {
                let (request_id, reason) = (Some(*request_id), reason.clone());
                self.say(Event::Failed { request_id, reason });
            }
            Stage::NeedsEngine { request_id, engine_version } => {
                let reason = format!("it needs engine {}", engine_version.0);
                self.say(Event::Failed { request_id: Some(*request_id), reason });
            }
            _ => {}
        }
    }
}

impl Printer {
    /// Waits until everything is printed.
    pub(super) fn finish(self) {
        // A panic of the thread was reported where it happened.
        let _ = self.0.join();
    }
}

/// An event for people.
fn text(event: &Event) -> String {
    match event {
        Event::Ready(ready) => ready_text(ready),
        Event::Published(published) => {
            let Published { name, version, millis, .. } = published;
            let seconds = seconds(*millis);
            format!("published {name}@{version} in {seconds}: {}\n", code(published))
        }
        Event::Log { request_id, text } => {
            let text = print::text(text);
            text.lines().map(|line| format!("request {request_id} | {line}\n")).collect()
        }
        Event::Trapped { request_id, functions } => {
            let lines = print::frames(functions);
            lines.map(|(how, name)| format!("request {request_id} {how} {name}\n")).collect()
        }
        Event::Executed { request_id, status, used } => {
            format!("request {request_id} executed: {status}, used {used}\n")
        }
        Event::Settled { request_id } => format!("request {request_id} settled\n"),
        Event::Failed { request_id: Some(request_id), reason } => {
            format!("request {request_id} failed: {}\n", print::text(reason.as_bytes()))
        }
        Event::Failed { request_id: None, reason } => {
            format!("failed: {}\n", print::text(reason.as_bytes()))
        }
        Event::Stopped => "stopped\n".to_owned(),
    }
}

fn code(published: &Published) -> String {
    format!("{} bytes, sha256 {}", published.code_bytes, published.code_hash)
}

fn seconds(millis: u64) -> String {
    format!("{}.{:02} s", millis / 1_000, millis % 1_000 / 10)
}

fn ready_text(ready: &Ready) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<10} {value}\n"));
    line("node", ready.rpc_url.clone());
    line("contract", ready.contract_id.to_string());
    line("worker", format!("{}, serving", ready.worker_id));
    for account in &ready.accounts {
        let Account { account_id, key_file } = account;
        line("account", format!("{account_id}, key in {}", key_file.display()));
    }
    for guest in &ready.guests {
        line("guest", format!("{}@{}: {}", guest.name, guest.version, code(guest)));
    }
    match &ready.state {
        Some(state) if ready.continued => line("state", format!("continued {}", state.display())),
        Some(state) => line("state", format!("kept in {}", state.display())),
        None => line("state", "ends with this command; --state FOLDER keeps it".to_owned()),
    }
    format!(
        "{}\nReady in {}. Ctrl-C ends everything. Paste this into another terminal:\n\n    {}\n\n",
        lines.concat(),
        seconds(ready.millis),
        ready.call
    )
}

/// An engine that shows what its guests log, and where they trap.
pub(super) struct Listened<E> {
    pub(super) engine: Arc<E>,
    pub(super) report: Report,
}

impl<E: Engine> Listened<E> {
    fn show(&self, job: &Job<'_>, execution: &Execution) {
        if !execution.logs.is_empty() {
            let (request_id, text) = (job.context.request_id, execution.logs.clone().into());
            self.report.say(Event::Log { request_id, text });
        }
        if !execution.backtrace.is_empty() {
            let functions = execution.backtrace.frames().to_vec();
            self.report.say(Event::Trapped { request_id: job.context.request_id, functions });
        }
    }
}

impl<E: Engine> Engine for Listened<E> {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        let execution = self.engine.execute(job, snapshot)?;
        self.show(job, &execution);
        Ok(execution)
    }

    fn execute_until(
        &self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Execution, Fault> {
        let execution = self.engine.execute_until(job, snapshot, is_over)?;
        self.show(job, &execution);
        Ok(execution)
    }
}
