//! One child, as its parent sees it.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt as _},
    },
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use outlayer_guest::{Backtrace, EngineId, Execution, Fault, Job, Snapshot, SnapshotError};
use outlayer_protocol::{
    EngineVersion, GuestKind, Hash32, Meter, Plan, Status,
    http::Transcript,
    limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES},
};

use crate::{
    config::SandboxConfig,
    confine::Confinement,
    memory,
    network::Network,
    scratch::Scratch,
    wire::{
        Answer, ConnectedRequest, HTTP_SINCE, OLDEST_WIRE_VERSION, PLANS_SINCE, PlannedRequest,
        Request, Setup, Value, WIRE_VERSION, checked, max_answer, receive, send, send_bytes, shown,
    },
};

/// How many caches of compiled code an engine has.
const CACHES: u64 = 4;
/// What a child keeps between two executions beside compiled code: code, and what its allocator
/// does not give back.
const IDLE_BYTES: u64 = 256 << 20;
/// How long a child may take to set itself up.
const START: Duration = Duration::from_secs(30);
/// How long a child that has closed its socket may take to end. Nobody waits for that long, unless
/// the machine is busy or the child does not mean to end.
const END: Duration = Duration::from_secs(30);
/// How often it is asked whether an execution is still wanted.
const GLANCE: Duration = Duration::from_millis(200);
/// The longest answer of a child that is set up.
const MAX_READY_BYTES: usize = 64 << 10;
/// The most characters of a line that a child prints.
const MAX_LINE_BYTES: u64 = 1 << 10;
/// How many lines of a child are shown.
const MAX_LINES: usize = 100;

/// A child that is set up. It ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    socket: UnixStream,
    confined: Confinement,
    /// The engine that it says it has.
    engine: EngineId,
    /// The version of the messages that the child speaks.
    wire_version: u32,
    /// The child's own folder. It goes with the child.
    scratch: Scratch,
    /// What it executed last.
    recent: Recent,
    /// What it had when it was last seen with nothing to do, bytes.
    idle_bytes: u64,
    /// A child that has more than this then is not used again.
    most_idle_bytes: u64,
}

/// What an engine compiles once: code, for one kind of guest and one meter.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Run(Hash32, Option<GuestKind>, Meter);

impl Run {
    fn of(job: &Job<'_>) -> Self {
        Self(job.code.hash(), job.kind, job.limits.compute.meter())
    }
}

/// What a child has executed last, with the length of the code: no more than its engine keeps.
#[derive(Default)]
struct Recent(VecDeque<(Run, usize)>);

impl Recent {
    const MOST: usize = 64;
    const MOST_BYTES: usize = 12 << 20;

    fn note(&mut self, run: Run, bytes: usize) {
        self.0.retain(|(known, _)| *known != run);
        self.0.push_front((run, bytes));
        while self.0.len() > Self::MOST
            || self.0.iter().map(|(_, bytes)| bytes).sum::<usize>() > Self::MOST_BYTES
        {
            self.0.pop_back();
        }
    }
}

impl Process {
    /// Starts a child, and waits until it is set up.
    pub(crate) fn start(config: &SandboxConfig) -> Result<Self, String> {
        let scratch =
            Scratch::make().map_err(|error| format!("there is no temporary folder: {error}"))?;
        let (socket, theirs) =
            UnixStream::pair().map_err(|error| format!("there is no socket: {error}"))?;
        let child = Command::new(&config.program)
            .args(&config.args)
            .env_clear()
            // Each thread of the compiler takes memory.
            .env("RAYON_NUM_THREADS", memory::compiler_threads().to_string())
            .current_dir(scratch.path())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", config.program.display()))?;
        let mut process = Self {
            child,
            socket,
            confined: Confinement { files: false, syscalls: false },
            engine: EngineId::OWN,
            wire_version: OLDEST_WIRE_VERSION,
            scratch,
            recent: Recent::default(),
            idle_bytes: 0,
            most_idle_bytes: u64::MAX,
        };
        if let Some(stderr) = process.child.stderr.take() {
            pass_on(stderr, process.child.id())?;
        }
        let setup = Setup {
            wire_version: OLDEST_WIRE_VERSION,
            engine: config.engine.clone(),
            scratch_dir: text(process.scratch.path())?,
        };
        let ready = Timed::new(&process.socket, START).and_then(|mut timed| {
            send(&mut timed, &setup)?;
            receive::<Answer>(&mut timed, MAX_READY_BYTES)
        });
        match ready {
            Ok(Answer::Ready { wire_version, engine_version, near_config_version, confined }) => {
                let version = EngineVersion(engine_version);
                process.engine = EngineId { version, near_config_version };
                process.wire_version = wire_version;
                check(wire_version, process.engine, config.engine_version)
                    .map_err(|error| format!("{} {error}", config.program.display()))?;
                process.confined = confined;
                let kept = config.engine.cache_bytes.saturating_mul(CACHES) + IDLE_BYTES;
                process.idle_bytes = memory::data_bytes(process.child.id())
                    .map_err(|error| format!("its memory cannot be seen: {error}"))?;
                process.most_idle_bytes = process.idle_bytes.saturating_add(kept);
                Ok(process)
            }
            Ok(Answer::Failed(reason)) => Err(shown(&reason)),
            Ok(_) => Err(OUT_OF_TURN.to_owned()),
            Err(error) => Err(format!(
                "{} is no child of a sandbox: {}",
                config.program.display(),
                process.end(&error)
            )),
        }
    }

    /// The engine that the child says it has.
    pub(crate) fn engine(&self) -> EngineId {
        self.engine
    }

    /// Which of the kernel's means hold for the child.
    pub(crate) fn confined(&self) -> Confinement {
        self.confined
    }

    /// Whether the child has executed this code lately, under the same meter.
    pub(crate) fn knows(&self, job: &Job<'_>) -> bool {
        let run = Run::of(job);
        self.recent.0.iter().any(|(known, _)| *known == run)
    }

    /// Looks at the child's memory when it has nothing to do. True when it has no more than what
    /// its engine keeps between executions.
    pub(crate) fn is_lean(&mut self) -> bool {
        let Ok(has) = memory::data_bytes(self.child.id()) else {
            return false;
        };
        self.idle_bytes = has;
        has <= self.most_idle_bytes
    }

    /// Executes a job in the child, which may take `memory_bytes` for it, and may keep silent for
    /// so long; less when the question, asked now and then, says that it is over. After a fault the
    /// child cannot be used again.
    pub(crate) fn execute(
        &mut self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
        memory_bytes: u64,
        limits: (Duration, Option<&dyn Fn() -> bool>),
    ) -> Result<Execution, Fault> {
        let most = self.idle_bytes.saturating_add(memory_bytes);
        let most = most.saturating_add(memory::STACK_ADDRESSES);
        memory::limit(self.child.id(), most).map_err(|error| {
            Fault::engine(format!("the memory of a child cannot be bounded: {error}"))
        })?;
        self.converse(job, snapshot, limits).map_err(|error| match error {
            Talk::Fault(fault) => fault,
            Talk::Io(error) => Fault::Process(self.end(&error)),
        })
    }

    fn converse(
        &mut self,
        job: &Job<'_>,
        snapshot: &mut dyn Snapshot,
        (patience, is_over): (Duration, Option<&dyn Fn() -> bool>),
    ) -> Result<Execution, Talk> {
        let mut timed = Timed::new(&self.socket, patience)?;
        timed.is_over = is_over;
        let code_hash = job.code.hash();
        if self.wire_version < HTTP_SINCE && job.http.is_some() {
            return Err(Talk::Fault(Fault::engine(format!(
                "the program with {} speaks version {} of the sandbox's messages, in which guests \
                 have no HTTP",
                self.engine, self.wire_version
            ))));
        }
        let request = Request {
            code_hash,
            kind: job.kind,
            args: job.args.to_vec(),
            env: job.variables().cloned().collect(),
            input: job.input.to_vec(),
            limits: job.limits.into(),
            context: job.context.clone(),
        };
        if self.wire_version < PLANS_SINCE {
            send(&mut timed, &request)?;
        } else if self.wire_version < HTTP_SINCE {
            let planned: PlannedRequest = (request, job.limits.plan_bytes);
            send(&mut timed, &planned)?;
        } else {
            let http = job.http.map(|http| (http.access.clone(), http.several));
            let connected: ConnectedRequest = (request, job.limits.plan_bytes, http);
            send(&mut timed, &connected)?;
        }
        let most = max_answer(job);
        let mut network = Network::new(job);
        let (mut needs_code, mut reads) = (true, 0);
        let (mut backtrace, mut plan) = (Backtrace::default(), Plan::default());
        let mut transcript = Transcript::default();
        loop {
            match receive::<Answer>(&mut timed, most)? {
                Answer::NeedsCode if needs_code => {
                    needs_code = false;
                    send_bytes(&mut timed, job.code.bytes())?;
                }
                // An engine reads each key once, and no more of them than the request allows.
                Answer::Reads(key) if reads < job.limits.storage_reads => {
                    reads += 1;
                    let value = timed.pause(|| read(snapshot, &key))?;
                    send(&mut timed, &value)?;
                }
                Answer::Trapped(names) if backtrace.is_empty() => {
                    backtrace = Backtrace::new(names);
                }
                Answer::Planned(planned) if plan.promises.is_empty() => {
                    planned.check().map_err(io::Error::other)?;
                    plan = planned;
                }
                Answer::Fetches { number, request } => {
                    let hash = network.check(number, &request).map_err(io::Error::other)?;
                    let reply = timed.pause(|| network.fetch(snapshot, hash, &request));
                    send(&mut timed, &reply)?;
                }
                Answer::Exchanged(exchanged) if transcript.exchanges.is_empty() => {
                    transcript = exchanged;
                }
                Answer::Done(Ok(execution)) => {
                    network.check_transcript(&transcript).map_err(io::Error::other)?;
                    let execution = Execution { plan, transcript, ..execution };
                    let http = job.http.map(|http| http.access).into();
                    let execution = checked(execution, job.limits, http);
                    let mut execution = execution.map_err(io::Error::other)?;
                    let status = &execution.status;
                    if matches!(status, Status::Trapped { .. } | Status::StackOverflow) {
                        execution.backtrace = backtrace;
                    }
                    // Without fuel it was compiled all the same.
                    let is_compiled = execution.used.amount() > 0
                        || matches!(execution.status, Status::OutOfFuel | Status::OutOfGas);
                    if is_compiled {
                        self.recent.note(Run::of(job), job.code.bytes().len());
                    }
                    return Ok(execution);
                }
                Answer::Done(Err(trouble)) => return Err(Talk::Fault(trouble.into())),
                _ => return Err(Talk::Io(io::Error::other(OUT_OF_TURN))),
            }
        }
    }

    /// Ends the child after `error`, and says what became of it.
    fn end(&mut self, error: &io::Error) -> String {
        match error.kind() {
            // It has closed its socket, so it is ending.
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset => match self.wait() {
                Some(status) => ended(status),
                None => "it closed its socket".to_owned(),
            },
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                "it kept silent for too long".to_owned()
            }
            _ => shown(&error.to_string()),
        }
    }

    fn wait(&mut self) -> Option<ExitStatus> {
        let until = Instant::now() + END;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
                _ => return None,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a child that speaks version `wire` and has `engine` serves a sandbox that needs an
/// engine of version `needed`.
fn check(wire: u32, engine: EngineId, needed: EngineVersion) -> Result<(), String> {
    if !(OLDEST_WIRE_VERSION..=WIRE_VERSION).contains(&wire) {
        return Err(format!(
            "speaks version {wire} of the sandbox's messages, this program understands \
             {OLDEST_WIRE_VERSION} to {WIRE_VERSION}: start the newer of the two programs, and \
             name the older one beside it"
        ));
    }
    let is_other = needed == EngineId::OWN.version && engine != EngineId::OWN;
    if engine.version != needed || is_other {
        let expected = if is_other { EngineId::OWN.to_string() } else { needed.to_string() };
        return Err(format!("has {engine}, expected {expected}"));
    }
    Ok(())
}

const OUT_OF_TURN: &str = "it said what is not its turn to say";

/// Why a conversation ended without an execution.
enum Talk {
    Fault(Fault),
    Io(io::Error),
}

impl From<io::Error> for Talk {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a key for the child. What the snapshot cannot give is told to the child, which ends the
/// execution; a key that no guest can ask for ends the child.
fn read(snapshot: &mut dyn Snapshot, key: &[u8]) -> io::Result<Value> {
    if key.len() > MAX_KEY_BYTES as usize {
        return Err(io::Error::other(format!("it read a key of {} bytes", key.len())));
    }
    Ok(match snapshot.read(key) {
        Ok(Some(value)) if value.len() > MAX_VALUE_BYTES as usize => {
            Err(SnapshotError::too_long(value.len()).0)
        }
        Ok(value) => Ok(value),
        Err(SnapshotError(text)) => Err(text),
    })
}

/// How a child ended, for the operator.
fn ended(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("it was ended by signal {signal}{}", named(signal)),
        (None, Some(code)) => format!("it exited with {code}"),
        (None, None) => "it ended".to_owned(),
    }
}

fn named(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        31 => " (SIGSYS)",
        _ => "",
    }
}

fn text(path: &Path) -> Result<String, String> {
    let text = path.to_str();
    text.map(str::to_owned).ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

/// Shows what a child prints, as warnings, within bounds: it may be whatever a guest has made of
/// it.
fn pass_on(stderr: ChildStderr, pid: u32) -> Result<(), String> {
    let shown = move || {
        let mut stderr = BufReader::new(stderr);
        for count in 0.. {
            let mut line = Vec::new();
            match stderr.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(1..) if count < MAX_LINES => {
                    let line = String::from_utf8_lossy(&line);
                    tracing::warn!(pid, "a child says: {}", line.trim_end().escape_debug());
                }
                // It is read on, so that the child does not wait for a reader.
                Ok(1..) => {}
                _ => return,
            }
        }
    };
    thread::Builder::new()
        .name("outlayer-child".to_owned())
        .spawn(shown)
        .map(|_| ())
        .map_err(|error| format!("there is no thread: {error}"))
}

/// The socket, with an end to patience that does not begin anew with each byte.
struct Timed<'a> {
    socket: &'a UnixStream,
    until: Instant,
    /// Asked now and then while nothing comes; it is over when the answer is true.
    is_over: Option<&'a dyn Fn() -> bool>,
}

impl<'a> Timed<'a> {
    fn new(socket: &'a UnixStream, patience: Duration) -> io::Result<Self> {
        let until = Instant::now().checked_add(patience);
        let until = until.ok_or_else(|| io::Error::other("the patience is endless"))?;
        Ok(Self { socket, until, is_over: None })
    }

    /// What `work` takes is not the child's time.
    fn pause<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.until += began.elapsed();
        done
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.left()?;
            let wait = if self.is_over.is_some() { left.min(GLANCE) } else { left };
            self.socket.set_read_timeout(Some(wait))?;
            match (self.socket.read(buffer), self.is_over) {
                (Err(error), Some(is_over)) if is_timeout(&error) && wait < left => {
                    if is_over() {
                        return Err(error);
                    }
                }
                (read, _) => return read,
            }
        }
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_may_be_older_and_must_have_the_engine_that_is_needed() {
        let (own, needed) = (EngineId::OWN, EngineId::OWN.version);
        for wire in OLDEST_WIRE_VERSION..=WIRE_VERSION {
            assert_eq!(check(wire, own, needed), Ok(()));
        }
        for wire in [0, WIRE_VERSION + 1] {
            let error = check(wire, own, needed).unwrap_err();
            assert!(error.contains("start the newer of the two programs"), "{error}");
        }
        let other = EngineId { version: EngineVersion(7), near_config_version: 84 };
        assert_eq!(check(WIRE_VERSION, other, EngineVersion(7)), Ok(()));
        assert_eq!(
            check(WIRE_VERSION, other, EngineVersion(6)).unwrap_err(),
            "has engine 7 (NEAR config 84), expected engine 6"
        );
        // Of the own version, the other number must be the own one, too.
        let other = EngineId { near_config_version: 84, ..own };
        assert_eq!(
            check(WIRE_VERSION, other, needed).unwrap_err(),
            format!("has {other}, expected {own}")
        );
    }

    #[test]
    fn what_the_snapshot_takes_is_not_the_childs_time() {
        let (socket, _theirs) = UnixStream::pair().unwrap();
        let mut timed = Timed::new(&socket, Duration::from_secs(60)).unwrap();
        let (work, before) = (Duration::from_millis(20), timed.until);
        timed.pause(|| thread::sleep(work));
        assert!(timed.until >= before + work);
    }
}
