//! Memory does not grow: the window bounds how much is kept, not the length of the chain.

use outlayer_localnet::{Config, Handle, spawn};

use crate::{manual, send};

fn chain_of(window: usize) -> Handle {
    spawn(Config { window, seed: Some("memory".to_owned()), ..manual() }).unwrap()
}

/// Produces `blocks` blocks, with a transfer in every tenth.
fn grow(handle: &Handle, blocks: u64, nonce: &mut u64) {
    for number in 0..blocks {
        if number % 10 == 0 {
            *nonce += 1;
            send(handle, *nonce);
        }
        handle.produce_block().unwrap();
    }
}

/// The resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_default()
}

#[test]
fn a_hundred_thousand_blocks_leave_as_much_as_a_thousand() {
    let handle = chain_of(500);
    let mut nonce = 0;
    grow(&handle, 1_000, &mut nonce);
    let early = handle.node().chain().history().sizes();
    assert_eq!(early[0], 500);
    grow(&handle, 99_000, &mut nonce);
    assert_eq!(handle.height(), 100_000);
    assert_eq!(handle.node().chain().history().sizes(), early);
    assert_eq!(handle.node().chain().optimistic_blocks(), 2);
    assert_eq!(handle.node().chain().pending_transactions(), 0);
}

#[test]
#[ignore = "takes minutes, and prints what BENCHMARKS.md shows"]
fn a_million_blocks_measured() {
    let handle = chain_of(2_000);
    let mut nonce = 0;
    for _ in 0..10 {
        grow(&handle, 100_000, &mut nonce);
        println!("height {}: {} KiB", handle.height(), resident());
    }
}
