//! No guest takes many instructions for a unit of fuel, whatever it does.
//!
//! A clock would measure the machine and what else it does. This counts instructions instead: a
//! child process executes each guest, and this process steps through it, one instruction at a time,
//! from where the guest has done what it does once to where its fuel ends. The host's instructions
//! count like the guest's, so a function of the engine that works without being paid for is found,
//! whichever it is.
//!
//! What it does not see is how long an instruction takes. A division or a square root takes some
//! tens of cycles, and a load that misses every cache takes a few hundred. Both are bounded for
//! each operator, and so for each unit: `crates/calibrate/README.md` has the times. A string
//! instruction counts as often as it repeats.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    env,
    ffi::{c_int, c_long},
    process::{Command, Stdio},
    ptr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use common::{Run, executor};
use outlayer_executor::{Code, Job, Snapshot, SnapshotError};
use outlayer_kernels::{
    composition::{
        Encoding::{Utf8, Utf16},
        StringPassage,
    },
    worst::{Worst, worst},
};

/// The most instructions that a unit of fuel may take.
const MOST: f64 = 40.0;

/// So many children share the guests, each stepped through by a thread of its own.
const PARTS: usize = 2;
/// Set in a child: which part of the guests is its own.
const CHILD: &str = "OUTLAYER_STEPPED";
/// How the child exits where it may not have itself traced.
const FORBIDDEN: c_int = 77;
/// How much fuel a guest has for what it does again and again.
const MORE: u64 = 2_000;
/// The same for a guest of several components.
const COMPOSITION: u64 = 6_000;

const TRACEME: c_int = 0;
const CONTINUE: c_int = 7;
const SINGLE_STEP: c_int = 9;
const SIGTRAP: c_int = 5;
const SIGUSR1: c_int = 10;
/// Wait for threads too.
const WALL: c_int = 0x4000_0000;
/// Wait for no child of another thread.
const WNOTHREAD: c_int = 0x2000_0000;

unsafe extern "C" {
    fn ptrace(request: c_int, ...) -> c_long;
    fn raise(signal: c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn sched_getaffinity(pid: c_int, size: usize, mask: *mut u64) -> c_int;
    fn sched_setaffinity(pid: c_int, size: usize, mask: *const u64) -> c_int;
}

/// The guests of a part.
fn guests(part: usize) -> Vec<Worst> {
    let mut guests = worst(1 << 20, 1_000).unwrap();
    // The chases need more for their setup, and differ in what they miss.
    guests.retain(|guest| {
        !["a load", "string", "list", "handles"].iter().any(|name| guest.name.starts_with(name))
    });
    guests.into_iter().skip(part).step_by(PARTS).collect()
}

/// Values between components, those of a part. Stepping begins with the execution, which takes
/// longer.
fn compositions(part: usize) -> Vec<(String, String)> {
    let pairs = [(Utf8, Utf8), (Utf16, Utf8)];
    let strings = pairs.map(|(from, to)| {
        let passage = StringPassage { times: u32::MAX, ..StringPassage::new(from, to, 1_000) };
        (format!("string {from} to {to}"), passage.text_format())
    });
    strings.into_iter().skip(part).step_by(PARTS).collect()
}

/// Begins the stepping when a key is read.
struct Mark(bool);

impl Snapshot for Mark {
    fn read(&mut self, _: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
        if !std::mem::replace(&mut self.0, true) && traced() {
            mark();
        }
        Ok(None)
    }
}

/// Executes a guest. Returns what it used, and whether it has read a key.
fn run(code: &[u8], fuel: u64) -> (u64, bool) {
    let run = Run::bytes(code.to_vec()).fuel(fuel).limits(|limits| limits.host_calls = u64::MAX);
    let Run { code, kind, args, env, input, limits, context, .. } = &run;
    let code = Code::of(code);
    let job =
        Job { code, kind: *kind, args, env, secrets: &[], input, limits, context, http: None };
    let mut snapshot = Mark(false);
    let execution = executor().execute(&job, &mut snapshot).unwrap();
    (execution.used.amount(), snapshot.0)
}

/// How much fuel a guest needs to get to the key that it reads.
fn setup(code: &[u8]) -> u64 {
    let (mut less, mut enough) = (0, 1 << 20);
    assert!(run(code, enough).1);
    while enough - less > 1 {
        let fuel = (less + enough) / 2;
        if run(code, fuel).1 { enough = fuel } else { less = fuel }
    }
    enough
}

static TRACED: AtomicBool = AtomicBool::new(false);

fn traced() -> bool {
    TRACED.load(Ordering::Relaxed)
}

fn mark() {
    // SAFETY: the parent takes the signal away.
    unsafe { raise(SIGUSR1) };
}

/// The child: has itself traced, and says where each execution begins and ends.
#[test]
fn child() {
    let Ok(part) = env::var(CHILD) else {
        return;
    };
    let part = part.parse().unwrap();
    let guests = guests(part);
    let setups: Vec<u64> = guests.iter().map(|guest| setup(&guest.wasm)).collect();
    let compositions: Vec<Vec<u8>> =
        compositions(part).iter().map(|(_, text)| wat::parse_str(text).unwrap()).collect();
    for code in &compositions {
        run(code, 0);
    }
    // SAFETY: the request takes no other arguments; the parent waits for what follows.
    let asked = unsafe { ptrace(TRACEME, 0, ptr::null_mut::<u8>(), ptr::null_mut::<u8>()) };
    if asked != 0 {
        std::process::exit(FORBIDDEN);
    }
    TRACED.store(true, Ordering::Relaxed);
    // What follows when the fuel ends at once is the same for all.
    let first = guests.first().zip(setups.first()).map(|(guest, setup)| (guest, *setup));
    let all = guests.iter().zip(setups.iter().map(|setup| setup + MORE));
    for (guest, fuel) in first.into_iter().chain(all) {
        run(&guest.wasm, fuel);
        mark();
    }
    for code in &compositions {
        for fuel in [COMPOSITION, COMPOSITION * 2] {
            mark();
            run(code, fuel);
            mark();
        }
    }
}

/// Waits for the traced thread. Returns its number and the signal at which it has stopped, or how
/// the child has exited.
fn wait() -> Result<(c_int, c_int), c_int> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    let thread = unsafe { waitpid(-1, &raw mut status, WALL | WNOTHREAD) };
    assert!(thread > 0, "the child is gone");
    let said = status >> 8 & 0xff;
    if status & 0xff == 0x7f { Ok((thread, said)) } else { Err(said) }
}

fn resume(request: c_int, thread: c_int, signal: c_int) {
    // SAFETY: the thread has stopped and is traced by this one.
    let resumed = unsafe { ptrace(request, thread, ptr::null_mut::<u8>(), c_long::from(signal)) };
    assert_eq!(resumed, 0, "ptrace({request})");
}

/// Lets the child run to its next mark. An error says how it has exited instead.
fn to_mark(thread: &mut Option<c_int>) -> Result<(), c_int> {
    if let Some(thread) = *thread {
        resume(CONTINUE, thread, 0);
    }
    loop {
        match wait()? {
            (stopped, SIGUSR1) => {
                *thread = Some(stopped);
                return Ok(());
            }
            (stopped, signal) => resume(CONTINUE, stopped, signal),
        }
    }
}

/// How many instructions the child executes from one mark to the next.
fn steps(thread: c_int) -> u64 {
    let (mut count, mut signal) = (0, 0);
    loop {
        resume(SINGLE_STEP, thread, signal);
        match wait() {
            Ok((_, SIGTRAP)) => (count, signal) = (count + 1, 0),
            Ok((_, SIGUSR1)) => return count,
            Ok((_, other)) => signal = other,
            Err(code) => panic!("the child has exited with {code}"),
        }
    }
}

/// Has this thread, and the children that it starts, run on one processor: the two take turns then
/// without waking another one up. Each part gets another one where there are several. Failing costs
/// only time.
fn stay_on_one_processor(part: usize) {
    let mut allowed = 0u64;
    // SAFETY: both masks outlive the calls and are as long as they say.
    unsafe {
        if sched_getaffinity(0, size_of::<u64>(), &raw mut allowed) <= 0 {
            return;
        }
        let all: Vec<u64> = (0..64).map(|n| 1 << n).filter(|one| allowed & one != 0).collect();
        if let Some(mask) = all.get(part % all.len().max(1)) {
            sched_setaffinity(0, size_of::<u64>(), mask);
        }
    }
}

/// The instructions for each unit of fuel, of each guest of a part, by name. `None` where a process
/// may not have itself traced.
fn count(part: usize) -> Option<Vec<(String, f64)>> {
    stay_on_one_processor(part);
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, part.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(child);
    let (mut thread, mut counts) = (None, Vec::new());
    let exited = loop {
        match to_mark(&mut thread) {
            Ok(()) => counts.push(steps(thread.unwrap())),
            Err(code) => break code,
        }
    };
    if exited == FORBIDDEN {
        return None;
    }
    let (guests, compositions) = (guests(part), compositions(part));
    let expected = 1 + guests.len() + 2 * compositions.len();
    assert_eq!(counts.len(), expected, "the child has exited with {exited} before its end");
    let (ending, counts) = counts.split_first().unwrap();
    let (of_guests, of_compositions) = counts.split_at(guests.len());
    let guests = guests.iter().zip(of_guests).map(|(guest, count)| {
        (guest.name.clone(), count.saturating_sub(*ending) as f64 / MORE as f64)
    });
    let compositions = compositions.into_iter().zip(of_compositions.chunks(2));
    let compositions = compositions.map(|((name, _), counts)| {
        (name, counts[1].saturating_sub(counts[0]) as f64 / COMPOSITION as f64)
    });
    Some(guests.chain(compositions).collect())
}

#[test]
fn no_unit_of_fuel_takes_many_instructions() {
    if env::var_os(CHILD).is_some() {
        return;
    }
    let parts: Vec<_> = (0..PARTS).map(|part| thread::spawn(move || count(part))).collect();
    let counted: Option<Vec<_>> = parts.into_iter().map(|part| part.join().unwrap()).collect();
    let Some(counted) = counted else {
        println!("NOT COUNTED: this system does not let a process have itself traced (ptrace)");
        return;
    };
    let mut slow = Vec::new();
    for (name, each) in counted.into_iter().flatten() {
        println!("{each:8.2} {name}");
        if each > MOST {
            slow.push(format!("{each:.1} instructions a unit: {name}"));
        }
    }
    assert!(slow.is_empty(), "more than {MOST}:\n{}", slow.join("\n"));
}
