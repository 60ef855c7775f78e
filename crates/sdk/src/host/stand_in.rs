//! A host that exists once in each thread, for guests whose logic is tested outside OutLayer.

use std::{cell::RefCell, collections::BTreeMap};

use crate::context::{Context, DecodeError};

/// The state of the stand-in.
#[derive(Default)]
struct Host {
    context: Context,
    storage: BTreeMap<Vec<u8>, Vec<u8>>,
    logs: Vec<String>,
    /// The state of the random sequence; `None` until the first draw.
    random: Option<u64>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

fn with<T>(f: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(f)
}

pub(crate) fn set_context(context: Context) {
    with(|host| {
        host.context = context;
        host.random = None;
    });
}

pub(crate) fn reset() {
    with(|host| *host = Host::default());
}

pub(crate) fn logs() -> Vec<String> {
    with(|host| host.logs.clone())
}

pub(crate) fn context() -> Result<Context, DecodeError> {
    Ok(with(|host| host.context.clone()))
}

pub(crate) fn storage_read(key: &[u8]) -> Option<Vec<u8>> {
    with(|host| host.storage.get(key).cloned())
}

pub(crate) fn storage_contains(key: &[u8]) -> bool {
    with(|host| host.storage.contains_key(key))
}

pub(crate) fn storage_write(key: &[u8], value: &[u8]) {
    with(|host| host.storage.insert(key.to_vec(), value.to_vec()));
}

pub(crate) fn storage_remove(key: &[u8]) -> bool {
    with(|host| host.storage.remove(key).is_some())
}

pub(crate) fn log(line: &str) {
    eprintln!("{line}");
    with(|host| host.logs.push(line.to_owned()));
}

/// SplitMix64, started from a digest of the context's seed: small, and good enough for tests.
pub(crate) fn random_fill(buffer: &mut [u8]) {
    with(|host| {
        let mut state = host.random.unwrap_or_else(|| {
            host.context
                .random_seed
                .iter()
                .fold(0, |state, byte| next(&mut (state ^ u64::from(*byte))))
        });
        for slice in buffer.chunks_mut(8) {
            let word = next(&mut state).to_le_bytes();
            slice.copy_from_slice(&word[..slice.len()]);
        }
        host.random = Some(state);
    });
}

/// One step of SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
