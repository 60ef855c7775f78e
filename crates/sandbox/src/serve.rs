//! The child's side.

use std::{
    fs::{DirBuilder, File},
    io,
    os::{fd::AsFd as _, unix::fs::DirBuilderExt as _},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use outlayer_guest::{
    Code, Engine, EngineId, Execution, Fault, Fetch, FetchError, Fetched, Http, Job, Outgoing,
    Snapshot, SnapshotError,
};
use outlayer_protocol::limits::MAX_VALUE_BYTES;
use rustix::process::getppid;

use crate::{
    codes::Codes,
    config::EngineSettings,
    confine::confine,
    wire::{
        Answer, ConnectedRequest, MAX_FROM_PARENT, MAX_REPLY_BYTES, Reply, Setup, Value,
        WIRE_VERSION, receive, receive_bytes, send,
    },
};

/// How many bytes of code a child keeps.
const KEPT_CODE_BYTES: usize = 64 << 20;
/// The stack of the thread that executes. A NEAR contract is given 32 MiB, and this thread has them
/// already.
const STACK_BYTES: usize = 40 << 20;
/// How often a child looks whether its parent still lives.
const ORPHAN_CHECK: Duration = Duration::from_secs(1);

/// A child that cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The parent is gone, or is no sandbox.
    #[error(
        "there is no sandbox at the other end of the standard input; this command is started by \
         others: {0}"
    )]
    Parent(#[from] io::Error),
    /// The parent does not understand this program any more.
    #[error(
        "the parent needs version {found} or later of the sandbox's messages, this program speaks \
         version {WIRE_VERSION}"
    )]
    Version {
        /// The oldest version that the parent understands.
        found: u32,
    },
    /// The child cannot be confined, or has no engine. The parent has been told.
    #[error("{0}")]
    Setup(String),
}

/// Serves a [`Sandbox`](crate::Sandbox) as its child, over the standard input, until the parent
/// closes it. `engine` makes the engine that `id` names, from its settings and from the child's own
/// folder; this process is confined by then.
///
/// It must be called while the process has one thread.
///
/// # Errors
/// [`ServeError`].
pub fn serve<E: Engine + 'static>(
    id: EngineId,
    engine: impl FnOnce(EngineSettings, PathBuf) -> Result<E, String>,
) -> Result<(), ServeError> {
    close_inherited();
    let mut parent = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let setup: Setup = receive(&mut parent, MAX_FROM_PARENT)?;
    if setup.wire_version > WIRE_VERSION {
        return Err(ServeError::Version { found: setup.wire_version });
    }
    let scratch = PathBuf::from(&setup.scratch_dir);
    if let Some(folder) = &setup.engine.cache_dir {
        // Later it may not be made. An engine that does not find it says so, and does without.
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    }
    let folders: Vec<_> =
        setup.engine.cache_dir.iter().map(PathBuf::from).chain([scratch.clone()]).collect();
    let confined = confine(&folders);
    let ready = confined.and_then(|confined| Ok((confined, engine(setup.engine, scratch)?)));
    let (confined, engine) = match ready {
        Ok(ready) => ready,
        Err(reason) => {
            send(&mut parent, &Answer::Failed(reason.clone()))?;
            return Err(ServeError::Setup(reason));
        }
    };
    end_with_parent()?;
    send(
        &mut parent,
        &Answer::Ready {
            wire_version: WIRE_VERSION,
            engine_version: id.version.0,
            near_config_version: id.near_config_version,
            confined,
        },
    )?;
    let serving = thread::Builder::new().name("outlayer-guests".to_owned()).stack_size(STACK_BYTES);
    let served = serving.spawn(move || requests(&engine, &mut parent))?.join();
    Ok(served.map_err(|_| ServeError::Setup("the engine panicked".to_owned()))??)
}

/// Serves requests until there are no more.
fn requests(engine: &impl Engine, parent: &mut File) -> io::Result<()> {
    let mut codes = Codes::new(KEPT_CODE_BYTES);
    loop {
        let connected: ConnectedRequest = match receive(parent, MAX_FROM_PARENT) {
            Ok(connected) => connected,
            // The parent has no more requests.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let code_hash = connected.0.code_hash;
        let code = match codes.get(&code_hash) {
            Some(code) => code,
            None => {
                send(parent, &Answer::NeedsCode)?;
                let code: Arc<[u8]> = receive_bytes(parent, MAX_FROM_PARENT)?.into();
                codes.keep(code_hash, Arc::clone(&code));
                code
            }
        };
        let done = execute(engine, &connected, &code, parent);
        if let Ok(execution) = &done
            && !execution.backtrace.is_empty()
        {
            send(parent, &Answer::Trapped(execution.backtrace.frames().to_vec()))?;
        }
        if let Ok(execution) = &done
            && !execution.plan.promises.is_empty()
        {
            send(parent, &Answer::Planned(execution.plan.clone()))?;
        }
        if let Ok(execution) = &done
            && !execution.transcript.exchanges.is_empty()
        {
            send(parent, &Answer::Exchanged(execution.transcript.clone()))?;
        }
        send(parent, &Answer::Done(done.map_err(Into::into)))?;
    }
}

fn execute(
    engine: &impl Engine,
    (request, plan_bytes, http): &ConnectedRequest,
    code: &[u8],
    parent: &mut File,
) -> Result<Execution, Fault> {
    let limits = &request.limits.with_plan(*plan_bytes);
    let job = Job {
        code: Code::hashed(request.code_hash, code),
        kind: request.kind,
        args: &request.args,
        env: &request.env,
        secrets: &[],
        input: &request.input,
        limits,
        context: &request.context,
        http: http.as_ref().map(|(access, several)| Http { access, several: *several }),
    };
    engine.execute(&job, &mut Parent(parent))
}

/// The snapshot, which the parent reads.
struct Parent<'a>(&'a mut File);

impl Snapshot for Parent<'_> {
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
        let most = MAX_VALUE_BYTES as usize + 1_024;
        let asked = send(self.0, &Answer::Reads(key.to_vec()));
        let value = asked.and_then(|()| receive::<Value>(self.0, most));
        value
            .unwrap_or_else(|error| Err(format!("the parent does not answer: {error}")))
            .map_err(SnapshotError)
    }

    fn network(&mut self) -> Option<&mut dyn Fetch> {
        Some(self)
    }
}

/// The network, which the parent asks.
impl Fetch for Parent<'_> {
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        let (number, request) = (outgoing.number, outgoing.request.clone());
        let asked = send(self.0, &Answer::Fetches { number, request });
        let reply = asked.and_then(|()| receive::<Reply>(self.0, MAX_REPLY_BYTES));
        let reply = reply
            .map_err(|error| FetchError::Network(format!("the parent does not answer: {error}")))?;
        reply.map(Fetched::from).map_err(|trouble| match Fault::from(trouble) {
            Fault::Fetch(error) => error,
            fault => FetchError::Network(fault.to_string()),
        })
    }
}

/// Closes what the parent had open and did not mean to hand down.
fn close_inherited() {
    #[cfg(target_os = "linux")]
    // SAFETY: this process has just started and has one thread. All that it uses is its standard
    // input, output and error, which are below 3.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
    }
}

/// Ends this process when its parent is gone. A parent that has gone closes the standard input, but
/// nobody reads that while a guest runs.
fn end_with_parent() -> io::Result<()> {
    let parent = getppid();
    thread::Builder::new().name("outlayer-orphan".to_owned()).spawn(move || {
        while getppid() == parent {
            thread::sleep(ORPHAN_CHECK);
        }
        std::process::exit(1);
    })?;
    Ok(())
}
