//! Fails in a way that the input chooses. The input is one word:
//!
//! * `unreachable`: the Wasm instruction of that name;
//! * `panic`: a Rust panic, whose message goes to the log;
//! * `recurse`: calls itself until the stack overflows;
//! * `allocate`: takes memory until there is no more.
//!
//! Before it fails it writes to the output and to the storage, to show that neither survives.

use std::{hint::black_box, io};

use outlayer_sdk::{input, output, storage};

fn main() -> io::Result<()> {
    let how = input::text()?;
    output::write("written before the trap");
    storage::write(b"trap", how.as_bytes());
    match how.trim() {
        "unreachable" => unreachable_instruction(),
        "panic" => panic!("the input asked for a panic"),
        "recurse" => println!("{}", recurse(black_box(0))),
        "allocate" => allocate(),
        other => {
            eprintln!("expected unreachable, panic, recurse or allocate; found {other:?}");
            std::process::exit(2);
        }
    }
    Ok(())
}

#[cfg(target_arch = "wasm32")]
fn unreachable_instruction() -> ! {
    std::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn unreachable_instruction() -> ! {
    std::process::abort()
}

/// Calls itself until the stack overflows. The work after each call depends on the order of the
/// calls, so that no optimiser can turn the recursion into a loop. Nothing is kept in memory: only
/// the call stack grows.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    recurse(depth + 1).rotate_left(7).wrapping_mul(31) ^ depth
}

fn allocate() {
    const STEP: usize = 1 << 20;
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1_u8; STEP]));
    }
}
