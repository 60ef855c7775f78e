//! A host that exists once in each thread, for guests whose logic is tested outside OutLayer.

use std::{cell::RefCell, collections::BTreeMap};

use crate::{
    context::{Context, DecodeError},
    http::{Error, Request, Response},
    testing::{PlannedAction, PlannedPromise},
};

/// The state of the stand-in.
#[derive(Default)]
struct Host {
    context: Context,
    storage: BTreeMap<Vec<u8>, Vec<u8>>,
    logs: Vec<String>,
    plan: Vec<PlannedPromise>,
    returned: Option<u32>,
    responses: BTreeMap<String, Result<Response, Error>>,
    requests: Vec<Request>,
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

pub(crate) fn respond(url: &str, response: Result<Response, Error>) {
    with(|host| host.responses.insert(url.to_owned(), response));
}

pub(crate) fn requests() -> Vec<Request> {
    with(|host| host.requests.clone())
}

pub(crate) fn http_fetch(request: &Request) -> Result<Response, Error> {
    with(|host| {
        host.requests.push(request.clone());
        host.responses.get(&request.url).cloned().unwrap_or(Err(Error::Denied))
    })
}

pub(crate) fn plan() -> Vec<PlannedPromise> {
    with(|host| host.plan.clone())
}

pub(crate) fn returned() -> Option<u32> {
    with(|host| host.returned)
}

pub(crate) fn plan_promise(receiver: &str, after: &[u32]) -> u32 {
    with(|host| {
        let (receiver, after) = (receiver.to_owned(), after.to_vec());
        let number = host.plan.len();
        assert!(after.iter().all(|one| (*one as usize) < number), "there is no such promise");
        host.plan.push(PlannedPromise { receiver, after, actions: Vec::new() });
        u32::try_from(number).unwrap_or(u32::MAX)
    })
}

pub(crate) fn plan_call(
    promise: u32,
    (method, args): (&str, &[u8]),
    deposit: u128,
    gas: u64,
    weight: u64,
) {
    let (method, args) = (method.to_owned(), args.to_vec());
    add(promise, PlannedAction::Call { method, args, deposit, gas, weight });
}

pub(crate) fn plan_transfer(promise: u32, deposit: u128) {
    add(promise, PlannedAction::Transfer { deposit });
}

fn add(promise: u32, action: PlannedAction) {
    with(|host| {
        let planned = host.plan.get_mut(promise as usize);
        assert!(planned.is_some(), "there is no such promise");
        planned.into_iter().for_each(|one| one.actions.push(action.clone()));
    });
}

pub(crate) fn plan_return(promise: u32) {
    with(|host| {
        assert!((promise as usize) < host.plan.len(), "there is no such promise");
        host.returned = Some(promise);
    });
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
