//! Children that serve, crash, hang, take too much memory, and break their word.
//!
//! This program starts itself again as a child, with an engine that does what the code of a request
//! says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod runner;

use std::{
    cell::Cell,
    collections::HashSet,
    fs::File,
    io::{Read as _, Write as _},
    os::fd::AsFd as _,
    process::{self, ExitCode},
    sync::{
        Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use outlayer_guest::{
    Backtrace, Code, Connected, EmptySnapshot, Engine, EngineId, Execution, Fault, Fetch,
    FetchError, Fetched, Http, Job, Outgoing, Snapshot, SnapshotError,
};
use outlayer_protocol::{
    Compute, EngineVersion, ExecutionContext, Hash32, JournalEntry, NearToken, Plan,
    ResourceLimits, Status,
    http::{Answered, Exchange, HttpAccess, HttpRequest, HttpResponse, Transcript},
    plan::{Action, Promise},
};
use outlayer_sandbox::{Sandbox, SandboxConfig, serve};

/// Does what the code says.
struct Obedient;

impl Engine for Obedient {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        let code = std::str::from_utf8(job.code.bytes()).unwrap();
        let (verb, rest) = code.split_once(' ').unwrap_or((code, ""));
        let output = match verb {
            "pid" => process::id().to_string().into_bytes(),
            "echo" => format!("{:?} {job:?}", job.code.hash()).into_bytes(),
            "read" => snapshot.read(rest.as_bytes())?.unwrap_or_else(|| b"absent".to_vec()),
            "environment" => format!("{:?}", std::env::vars_os().collect::<Vec<_>>()).into_bytes(),
            "files" => match std::fs::read_dir("/proc/self/fd") {
                Ok(_) => b"read".to_vec(),
                Err(error) => error.to_string().into_bytes(),
            },
            "sleep" => {
                thread::sleep(Duration::from_millis(rest.parse().unwrap()));
                process::id().to_string().into_bytes()
            }
            "allocate" => {
                let bytes = vec![1_u8; rest.parse::<usize>().unwrap() << 20];
                bytes.len().to_string().into_bytes()
            }
            "meet" => {
                snapshot.read(b"the others")?;
                process::id().to_string().into_bytes()
            }
            "abort" => process::abort(),
            "exit" => process::exit(rest.parse().unwrap()),
            "panic" => panic!("a guest found a defect"),
            "overflow" => vec![recurse(0)],
            "shout" => {
                std::io::stderr().write_all(&vec![b'!'; 1 << 20]).unwrap();
                b"done".to_vec()
            }
            "ask" => {
                for number in 0..rest.parse::<u32>().unwrap() {
                    snapshot.read(&number.to_le_bytes())?;
                }
                b"asked".to_vec()
            }
            "lie" => vec![0; job.limits.output_bytes as usize + 1],
            "key" => snapshot.read(&[0; 300])?.unwrap_or_default(),
            "trap" | "complete" => {
                let names = (0..40).map(|number| format!("{rest}{number}"));
                let reason = "unreachable".to_owned();
                let trapped = verb == "trap";
                return Ok(Execution {
                    status: if trapped { Status::Trapped { reason } } else { Status::Completed },
                    backtrace: Backtrace::new(names),
                    ..Execution::without_running(job, Status::Completed)
                });
            }
            "plan" => {
                let plan = planned(rest);
                let completed = Execution::without_running(job, Status::Completed);
                return Ok(Execution { plan, ..completed });
            }
            "fault" => return Err(Fault::NativeStack),
            "fetch" => {
                let transcript = exchanged(rest, snapshot)?;
                return Ok(Execution {
                    transcript,
                    ..Execution::without_running(job, Status::Completed)
                });
            }
            _ => unreachable!("{code}"),
        };
        Ok(Execution {
            status: Status::Completed,
            output,
            used: Compute::Fuel(7),
            reads: Vec::new(),
            journal: vec![JournalEntry { key: "k".into(), value: None }],
            plan: Default::default(),
            transcript: Default::default(),
            logs: b"said".to_vec(),
            backtrace: Backtrace::default(),
        })
    }
}

/// Asks for exchanges, one for each URL, with their numbers, and records what it is told. The first
/// word says how the child lies.
fn exchanged(words: &str, snapshot: &mut dyn Snapshot) -> Result<Transcript, Fault> {
    let mut words = words.split(' ');
    let lie = words.next().unwrap();
    let mut exchanges = Vec::new();
    for (number, url) in (0..).zip(words) {
        let mut request = get(url);
        if lie == "header" {
            request.headers.push(("X".to_owned(), "".into()));
        }
        let number = if lie == "number" { number + 1 } else { number };
        let outgoing = Outgoing { request_id: 7, number, request: &request };
        let fetched = snapshot.network().unwrap().fetch(&outgoing)?;
        exchanges.push(match fetched {
            Fetched::Fresh(Ok(response)) => {
                Exchange { request_hash: request.hash(), answered: Answered::Response(response) }
            }
            Fetched::Fresh(Err(error)) => {
                Exchange { request_hash: request.hash(), answered: Answered::Failed(error) }
            }
            Fetched::Recorded(exchange) => exchange,
        });
    }
    let Some(last) = exchanges.last_mut() else { return Ok(Transcript::default()) };
    let response = HttpResponse { status: 200, ..HttpResponse::default() };
    match lie {
        "hash" => last.request_hash = Hash32([0; 32]),
        "answer" => last.answered = Answered::Response(response),
        "status" => {
            last.answered = Answered::Response(HttpResponse { status: 9, ..response });
        }
        "long" => {
            let body = vec![0; 2_000].into();
            last.answered = Answered::Response(HttpResponse { body, ..response });
        }
        "less" => drop(exchanges.pop()),
        "more" => exchanges.push(exchanges[0].clone()),
        _ => {}
    }
    Ok(Transcript { exchanges })
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Default::default(),
    }
}

#[allow(unconditional_recursion)]
fn recurse(depth: u8) -> u8 {
    let here = std::hint::black_box([depth; 4_096]);
    recurse(here[7]) + here[9]
}

/// A child as it was before its messages had another version, with an engine of version 1. All that
/// it says is written out here, byte by byte: what an older program says never changes.
fn of_version_1() {
    fn hear() -> Option<Vec<u8>> {
        let mut length = [0; 4];
        std::io::stdin().read_exact(&mut length).ok()?;
        let mut message = vec![0; u32::from_le_bytes(length) as usize];
        std::io::stdin().read_exact(&mut message).unwrap();
        Some(message)
    }
    fn say(message: &[u8]) {
        // The standard input is a socket, and its other end reads what is written to it.
        let mut socket = File::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
        socket.write_all(&u32::try_from(message.len()).unwrap().to_le_bytes()).unwrap();
        socket.write_all(message).unwrap();
    }
    let setup = hear().unwrap();
    assert_eq!(setup[..4], [1, 0, 0, 0], "such a child ends when it is asked for more");
    // `Ready`: the versions of messages, engine and NEAR's configuration, and what confines.
    say(&[&[0][..], &[1, 0, 0, 0], &[1, 0, 0, 0], &[84, 0, 0, 0], &[0, 0]].concat());
    while let Some(request) = hear() {
        say(&[2]);
        let code = hear().unwrap();
        assert_eq!(request[..32], Hash32::of(&code).0);
        // `Done` with an execution: trapped as "x", no output, 7 units of fuel, a log.
        let status = [&[2][..], &[1, 0, 0, 0], b"x"].concat();
        let used = [0, 7, 0, 0, 0, 0, 0, 0, 0];
        say(&[&[4, 1][..], &status, &[0; 4], &used, &[0; 4], &[0; 4], &[3, 0, 0, 0], b"log"]
            .concat());
    }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("child-of-version-1") {
        of_version_1();
        return ExitCode::SUCCESS;
    }
    if std::env::args().nth(1).as_deref() == Some("child") {
        serve(EngineId::OWN, |_, _| Ok(Obedient)).unwrap();
        return ExitCode::SUCCESS;
    }
    runner::run(&[
        ("a job and an execution arrive as they are", arrives),
        ("the parent reads for the child", reads),
        ("a child has no files, and no environment but its threads", nothing),
        ("a child is used again, and has its code", used_again),
        ("a child that was told a secret serves nobody else", told_a_secret),
        ("a child that ends costs its own request only", crashes),
        ("a child that hangs is given up", hangs),
        ("a child is ended when its answer is of no use any more", ended),
        ("a child has the memory of its request", memory),
        ("a child that breaks its word is replaced", lies),
        ("children serve side by side, and no more than there may be", side_by_side),
        ("what does not fit into the budget is said", too_large),
        ("a child that shouts does not wait for a listener", shouts),
        ("a program that is no child is said to be none", no_child),
        ("where a guest trapped arrives, cut and made harmless", trapped),
        ("a plan arrives, and only one that could be carried out", plans),
        ("an exchange goes through the parent, and its transcript arrives", exchanges),
        ("an execution that is over during an exchange has no verdict", over_in_an_exchange),
        ("an exchange that the request does not allow ends the child", no_exchange),
        ("a transcript of what was not exchanged ends the child", forged_transcript),
        ("a child may be of an older release", older),
        ("engines beside each other share one budget", beside),
    ])
}

fn config() -> SandboxConfig {
    let mut config = SandboxConfig::new(std::env::current_exe().unwrap(), ["child".into()]);
    // Only the test of a child that hangs waits for the end of it.
    config.patience = PATIENCE;
    config
}

/// How long what takes a moment may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a child does that is to be given up long before it is done.
const HANG: &str = "sleep 900000";

fn sandbox() -> Sandbox {
    Sandbox::start(config()).unwrap()
}

fn context() -> ExecutionContext {
    ExecutionContext {
        request_id: 7,
        contract_id: "outlayer.near".parse().unwrap(),
        block_height: 1,
        block_timestamp: 2,
        epoch_height: 3,
        random_seed: Hash32([4; 32]),
        signer_id: "alice.near".parse().unwrap(),
        predecessor_id: "dapp.near".parse().unwrap(),
        attached_deposit: NearToken::from_yoctonear(5),
    }
}

fn limits() -> ResourceLimits {
    ResourceLimits { memory_bytes: 16 << 20, output_bytes: 4 << 10, ..ResourceLimits::default() }
        .with_storage(8, 4, 4 << 10)
        .with_plan(100)
}

/// Executes `code`, with what the snapshot gives.
fn run_over(
    sandbox: &Sandbox,
    code: &str,
    snapshot: &mut dyn Snapshot,
) -> Result<Execution, Fault> {
    let (limits, context) = (limits(), context());
    let job = Job {
        args: &["an argument".to_owned()],
        env: &[("NAME".to_owned(), "value".to_owned())],
        input: b"the input",
        ..Job::new(Code::of(code.as_bytes()), &limits, &context)
    };
    sandbox.execute(&job, snapshot)
}

fn told_a_secret() {
    let sandbox = sandbox();
    let (limits, context) = (limits(), context());
    let run = |secrets: &[(String, String)]| {
        let job = Job { secrets, ..Job::new(Code::of(b"pid"), &limits, &context) };
        sandbox.execute(&job, &mut EmptySnapshot).unwrap().output
    };
    let pids = [run(&[]), run(&[]), run(&[("KEY".to_owned(), "hunter2".to_owned())]), run(&[])];
    assert_eq!((&pids[0], &pids[0]), (&pids[1], &pids[2]));
    assert_ne!(pids[2], pids[3]);
}

fn run(sandbox: &Sandbox, code: &str) -> Result<String, Fault> {
    let execution = run_over(sandbox, code, &mut EmptySnapshot)?;
    Ok(String::from_utf8(execution.output).unwrap())
}

fn process_fault(result: Result<String, Fault>) -> String {
    match result {
        Err(Fault::Process(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn arrives() {
    let sandbox = sandbox();
    let execution = run_over(&sandbox, "echo", &mut EmptySnapshot).unwrap();
    let said = String::from_utf8(execution.output.clone()).unwrap();
    for part in ["an argument", "NAME", "value", "alice.near", "16777216"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(said.starts_with(&format!("{:?}", Hash32::of(b"echo"))), "{said}");
    assert_eq!(execution.used, Compute::Fuel(7));
    assert_eq!(execution.logs, b"said");
    assert_eq!(execution.journal.len(), 1);
    // A fault arrives as what it is.
    assert_eq!(run(&sandbox, "fault"), Err(Fault::NativeStack));
}

fn reads() {
    let sandbox = sandbox();
    let mut snapshot = |key: &[u8]| match key {
        b"there" => Ok(Some(vec![b'v'; 4_000])),
        b"away" => Err(SnapshotError("the node is away".to_owned())),
        b"long" => Ok(Some(vec![0; 70_000])),
        _ => Ok(None),
    };
    let mut read = |code: &str| run_over(&sandbox, code, &mut snapshot).map(|done| done.output);
    assert_eq!(read("read there"), Ok(vec![b'v'; 4_000]));
    assert_eq!(read("read nothing"), Ok(b"absent".to_vec()));
    let away = read("read away").unwrap_err();
    assert_eq!(away, Fault::Snapshot(SnapshotError("the node is away".to_owned())));
    let long = read("read long").unwrap_err().to_string();
    assert!(long.contains("70000 bytes"), "{long}");
}

fn nothing() {
    let sandbox = sandbox();
    // SAFETY: no other thread of this process reads the environment.
    #[allow(unsafe_code)]
    unsafe {
        std::env::set_var("OUTLAYER_SECRET_KEY", "ed25519:secret");
    }
    let environment = run(&sandbox, "environment").unwrap();
    assert!(environment.starts_with("[(\"RAYON_NUM_THREADS\", "), "{environment}");
    assert_eq!(environment.matches('(').count(), 1, "{environment}");
    let files = run(&sandbox, "files").unwrap();
    let confined = sandbox.confined();
    assert!(!(confined.files || confined.syscalls) || files.contains("ermi"), "{files}");
}

fn used_again() {
    let sandbox = sandbox();
    let pids: HashSet<_> = (0..20).map(|_| run(&sandbox, "pid").unwrap()).collect();
    assert_eq!(pids.len(), 1);
    run(&sandbox, "fault").unwrap_err();
    assert!(!pids.contains(&run(&sandbox, "pid").unwrap()), "replaced after a fault");
}

fn crashes() {
    let sandbox = sandbox();
    for (code, how) in [
        ("abort", "signal 6 (SIGABRT)"),
        ("overflow", "signal 6 (SIGABRT)"),
        ("exit 3", "exited with 3"),
        ("panic", "exited with 101"),
    ] {
        let why = process_fault(run(&sandbox, code));
        assert!(why.contains(how), "{code}: {why}");
        assert!(run(&sandbox, "pid").is_ok(), "after {code}");
    }
}

fn hangs() {
    let mut config = config();
    config.engine.deadline_millis = 100;
    config.patience = Duration::from_millis(200);
    let sandbox = Sandbox::start(config).unwrap();
    let began = Instant::now();
    let why = process_fault(run(&sandbox, HANG));
    assert!(why.contains("silent"), "{why}");
    assert!(began.elapsed() < PATIENCE);
}

fn ended() {
    let patience = Duration::from_secs(1_000);
    let sandbox = Sandbox::start(SandboxConfig { patience, ..config() }).unwrap();
    let (limits, context) = (limits(), context());
    let job = |code| Job::new(Code::of(code), &limits, &context);
    let began = Instant::now();
    let is_over = || began.elapsed() > Duration::from_millis(300);
    let ended = sandbox.execute_until(&job(HANG.as_bytes()), &mut EmptySnapshot, &is_over);
    assert!(matches!(ended, Err(Fault::Deadline(_))), "{ended:?}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < PATIENCE, "{took:?}");
    assert_eq!(sandbox.children(), 0, "it is ended, and not kept");
    // What is done in time is not touched, and the sandbox goes on.
    let done = sandbox.execute_until(&job(b"pid"), &mut EmptySnapshot, &|| false);
    assert!(done.is_ok(), "{done:?}");
}

fn memory() {
    let sandbox = sandbox();
    // Three times the guest's 16 MiB, and what the child itself needs.
    assert_eq!(run(&sandbox, "allocate 48").unwrap(), (48 << 20).to_string());
    // Those, and the addresses of a stack of 256 MiB, which counts as a whole.
    let why = process_fault(run(&sandbox, "allocate 600"));
    assert!(why.contains("SIGABRT"), "{why}");
}

fn lies() {
    let sandbox = sandbox();
    // As many keys as the request allows, and one more.
    let most = limits().storage_reads;
    assert_eq!(run(&sandbox, &format!("ask {most}")).unwrap(), "asked");
    let more = format!("ask {}", most + 1);
    for code in ["lie", "key", &more] {
        process_fault(run(&sandbox, code));
        assert!(run(&sandbox, "pid").is_ok());
    }
}

fn side_by_side() {
    const PROCESSES: usize = 3;
    let sandbox = Sandbox::start(SandboxConfig { processes: PROCESSES, ..config() }).unwrap();
    // Each child reads a key, and is given it when as many as there may be are reading.
    let (arrived, changed) = (Mutex::new(0), Condvar::new());
    let (reading, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let meet = |_: &[u8]| {
        most.fetch_max(reading.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let mut count = arrived.lock().unwrap();
        *count += 1;
        let all = usize::div_ceil(*count, PROCESSES) * PROCESSES;
        changed.notify_all();
        let waited = changed.wait_timeout_while(count, PATIENCE, |count| *count < all);
        assert!(!waited.unwrap().1.timed_out(), "fewer children than there may be");
        reading.fetch_sub(1, Ordering::SeqCst);
        Ok::<_, SnapshotError>(None)
    };
    let pids: HashSet<_> = thread::scope(|scope| {
        let one = || run_over(&sandbox, "meet", &mut { meet }).unwrap().output;
        let threads: Vec<_> = (0..4 * PROCESSES).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(arrived.into_inner().unwrap(), 4 * PROCESSES);
    assert_eq!(most.into_inner(), PROCESSES, "more at once than there may be");
    assert_eq!(pids.len(), PROCESSES, "{pids:?}");
}

fn too_large() {
    let sandbox = Sandbox::start(SandboxConfig { memory_bytes: 64 << 20, ..config() }).unwrap();
    let fault = run(&sandbox, "pid").unwrap_err();
    assert!(matches!(fault, Fault::HostMemory(_)), "{fault}");
    assert!(fault.to_string().contains("67108864"), "{fault}");
}

fn shouts() {
    assert_eq!(run(&sandbox(), "shout").unwrap(), "done");
}

fn no_child() {
    for (program, says) in [
        ("/bin/true", "/bin/true is no child of a sandbox: it exited with 0"),
        ("/no/such/program", "/no/such/program cannot be started"),
    ] {
        let error = Sandbox::start(SandboxConfig::new(program, [])).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

fn trapped() {
    let sandbox = sandbox();
    let execution = run_over(&sandbox, "trap \u{1b}[2J", &mut EmptySnapshot).unwrap();
    let frames = execution.backtrace.frames();
    assert_eq!((frames.len(), &frames[0][..], &frames[32][..]), (33, r"\u{1b}[2J0", "…"));
    assert_eq!(execution.status, Status::Trapped { reason: "unreachable".to_owned() });
    // A guest that has not trapped was nowhere, whatever a child says.
    let execution = run_over(&sandbox, "complete x", &mut EmptySnapshot).unwrap();
    assert!(execution.backtrace.is_empty(), "{execution:?}");
}

/// The plan whose promises wait for these, one for each.
fn planned(after: &str) -> Plan {
    let promise = |after: char| Promise {
        receiver: "alice.near".parse().unwrap(),
        after: after.to_digit(10).into_iter().collect(),
        actions: vec![Action::Transfer { deposit: NearToken::from_yoctonear(7) }],
    };
    Plan { promises: after.chars().map(promise).collect(), returns: None }
}

fn plans() {
    let sandbox = sandbox();
    for code in ["plan ", "plan -", "plan -0"] {
        let execution = run_over(&sandbox, code, &mut EmptySnapshot).unwrap();
        assert_eq!(execution.plan, planned(&code[5..]), "{code}");
    }
    // It waits for itself, or is longer than the request allows.
    for code in ["plan 0", "plan -0123456789"] {
        let why = process_fault(run(&sandbox, code));
        assert!(why.contains("promise 0 waits for") || why.contains("plan_bytes"), "{why}");
    }
}

const HOST: &str = "https://a.example/";

/// Executes `code` with access to a host and this network.
fn run_with(sandbox: &Sandbox, code: &str, network: &mut dyn Fetch) -> Result<Execution, Fault> {
    run_until(sandbox, code, network, &|| false)
}

fn run_until(
    sandbox: &Sandbox,
    code: &str,
    network: &mut dyn Fetch,
    is_over: &dyn Fn() -> bool,
) -> Result<Execution, Fault> {
    let access = HttpAccess {
        max_exchanges: 2,
        max_bytes: 1_000,
        ..HttpAccess::to(vec!["a.example".to_owned()])
    };
    let (limits, context) = (limits(), context());
    let job = Job {
        http: Some(Http { access: &access, several: false }),
        ..Job::new(Code::of(code.as_bytes()), &limits, &context)
    };
    let mut outside = Connected { snapshot: EmptySnapshot, network };
    sandbox.execute_until(&job, &mut outside, is_over)
}

fn over_in_an_exchange() {
    /// Breaks off, as the network does when nobody has a use for the exchange any more.
    struct Over<'a>(&'a Cell<bool>);
    impl Fetch for Over<'_> {
        fn fetch(&mut self, _: &Outgoing<'_>) -> Result<Fetched, FetchError> {
            self.0.set(true);
            Err(FetchError::Network("the execution is over".to_owned()))
        }
    }
    let (sandbox, is_over) = (sandbox(), Cell::new(false));
    let code = format!("fetch truly {HOST}a");
    let ended = run_until(&sandbox, &code, &mut Over(&is_over), &|| is_over.get());
    assert!(matches!(ended, Err(Fault::Deadline(_))), "{ended:?}");
    assert!(run(&sandbox, "pid").is_ok());
}

/// Answers every request with its URL and a header that is not kept.
struct Echo;

impl Fetch for Echo {
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        assert_eq!(outgoing.request_id, 7);
        let headers = vec![("Set-Cookie".to_owned(), "a".into())];
        let body = outgoing.request.url.as_bytes().to_vec().into();
        Ok(Fetched::Fresh(Ok(HttpResponse { status: 200, headers, body })))
    }
}

/// What an honest child records of it.
fn echoed(paths: &[&str]) -> Transcript {
    let exchange = |path: &&str| {
        let request = get(&format!("{HOST}{path}"));
        let body = request.url.as_bytes().to_vec().into();
        let response = HttpResponse { status: 200, headers: Vec::new(), body };
        Exchange { request_hash: request.hash(), answered: Answered::Response(response) }
    };
    Transcript { exchanges: paths.iter().map(exchange).collect() }
}

fn exchanges() {
    let sandbox = sandbox();
    let code = format!("fetch honestly {HOST}1 {HOST}2");
    let execution = run_with(&sandbox, &code, &mut Echo).unwrap();
    assert_eq!(execution.transcript, echoed(&["1", "2"]));
    let mut transcript = execution.transcript.clone();
    assert_eq!(run_with(&sandbox, &code, &mut transcript), Ok(execution));
    // What the network cannot say arrives as what it is.
    let missing =
        FetchError::NotInTranscript { number: 1, request_hash: get(&format!("{HOST}2")).hash() };
    let fault = run_with(&sandbox, &code, &mut echoed(&["1"]));
    assert_eq!(fault, Err(Fault::Fetch(missing)));
}

fn no_exchange() {
    let sandbox = sandbox();
    let ends = |code: &str, says: &str| {
        let ended = run_with(&sandbox, code, &mut Echo);
        let why = process_fault(ended.map(|_| String::new()));
        assert!(why.contains(says), "{code}: {why}");
        assert!(run(&sandbox, "pid").is_ok());
    };
    ends("fetch honestly https://b.example/", "the request does not permit it");
    ends("fetch honestly http://a.example/", "the request does not permit it");
    ends("fetch honestly https://a.example", "in another form");
    ends(&format!("fetch header {HOST}"), "in another form");
    ends(&format!("fetch number {HOST}"), "exchange 1 after 0 of 2");
    ends(&format!("fetch honestly {HOST} {HOST} {HOST}"), "exchange 2 after 2 of 2");
    let why = process_fault(run(&sandbox, &format!("fetch honestly {HOST}")));
    assert!(why.contains("its request has no HTTP"), "{why}");
}

fn forged_transcript() {
    let sandbox = sandbox();
    for (lie, says) in [
        ("hash", "another exchange than it was told"),
        ("status", "no transcript keeps"),
        ("long", "longer than its request allows"),
        ("less", "other exchanges than it has asked for"),
        ("more", "other exchanges than it has asked for"),
    ] {
        let ended = run_with(&sandbox, &format!("fetch {lie} {HOST}1"), &mut Echo);
        let why = process_fault(ended.map(|_| String::new()));
        assert!(why.contains(says), "{lie}: {why}");
    }
    // A transform may answer anything, but what is replayed stays as it is.
    let code = format!("fetch answer {HOST}1");
    assert!(run_with(&sandbox, &code, &mut Echo).is_ok());
    let ended = run_with(&sandbox, &code, &mut echoed(&["1"]));
    let why = process_fault(ended.map(|_| String::new()));
    assert!(why.contains("another exchange than it was told"), "{why}");
}

fn older() {
    let version = EngineVersion(1);
    let config = SandboxConfig {
        args: vec!["child-of-version-1".into()],
        engine_version: version,
        ..config()
    };
    let sandbox = Sandbox::start(config.clone()).unwrap();
    assert_eq!(sandbox.engine(), EngineId { version, near_config_version: 84 });
    for code in ["one", "two"] {
        let execution = run_over(&sandbox, code, &mut EmptySnapshot).unwrap();
        assert_eq!(execution.status, Status::Trapped { reason: "x".to_owned() });
        assert_eq!((execution.used, &execution.logs[..]), (Compute::Fuel(7), &b"log"[..]));
        assert!(execution.backtrace.is_empty());
    }
    // It does not know of HTTP, and is not asked.
    let fault = run_with(&sandbox, "one", &mut Echo).unwrap_err().to_string();
    assert!(fault.contains("speaks version 1 of the sandbox's messages"), "{fault}");
    let engine_version = EngineId::OWN.version;
    let error = Sandbox::start(SandboxConfig { engine_version, ..config }).unwrap_err();
    let expected = format!("has engine 1 (NEAR config 84), expected {}", EngineId::OWN);
    assert!(error.to_string().ends_with(&expected), "{error}");
}

fn beside() {
    let own = Sandbox::start(SandboxConfig { memory_bytes: 64 << 20, ..config() }).unwrap();
    let other = own.beside(SandboxConfig { memory_bytes: 64 << 30, ..config() }).unwrap();
    let fault = run(&other, "pid").unwrap_err();
    assert!(fault.to_string().contains("67108864"), "{fault}");
}
