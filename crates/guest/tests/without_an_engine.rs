//! The rules of host functions over a plain memory, without an engine: what they answer, what they
//! charge for and in which order, and what they leave undone when it cannot be paid.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    future::ready,
    pin::pin,
    task::{Context, Poll, Waker},
};

use outlayer_guest::{
    Code, HostCall, Job, MemoryCall, Stop, StorageCall, Work, fuel,
    host::Host,
    outlayer::{component, module},
    preview1,
    verdict::reason,
};
use outlayer_protocol::{
    Compute, ExecutionContext, Limit, NearToken, ResourceLimits, Status, random_seed,
};

const BADF: u32 = 8;
const INVAL: u32 = 28;

/// A guest that is nothing but its memory.
struct Guest {
    memory: Vec<u8>,
    host: Host,
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What it was charged for.
    charged: Vec<Work>,
    fuel: u64,
}

impl Guest {
    fn new() -> Self {
        Self::limited(|_| {})
    }

    fn limited(change: impl FnOnce(&mut ResourceLimits)) -> Self {
        let mut limits = ResourceLimits::default().with_storage(8, 4, 4 << 10);
        change(&mut limits);
        let context = ExecutionContext {
            request_id: 7,
            contract_id: "outlayer.near".parse().unwrap(),
            block_height: 1_000,
            block_timestamp: 1_763_942_400_000_000_000,
            epoch_height: 16,
            random_seed: random_seed(7, &[9; 32]),
            signer_id: "alice.near".parse().unwrap(),
            predecessor_id: "dapp.near".parse().unwrap(),
            attached_deposit: NearToken::from_millinear(500),
        };
        let job = Job {
            args: &["one".to_owned(), "two".to_owned()],
            input: b"input",
            ..Job::new(Code::of(&[]), &limits, &context)
        };
        Self {
            memory: vec![0; 4_096],
            host: Host::new(&job).unwrap(),
            values: BTreeMap::from([(b"key".to_vec(), b"value".to_vec())]),
            charged: Vec::new(),
            fuel: 1_000_000,
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.memory[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Puts a list of buffers, each an address and a length, at address 0.
    fn put_buffers(&mut self, buffers: &[(u32, u32)]) {
        for (index, (pointer, length)) in buffers.iter().enumerate() {
            self.put(index * 8, &pointer.to_le_bytes());
            self.put(index * 8 + 4, &length.to_le_bytes());
        }
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.memory[at..at + 4].try_into().unwrap())
    }

    fn charged(&mut self) -> Vec<Work> {
        std::mem::take(&mut self.charged)
    }
}

impl HostCall for Guest {
    fn host(&mut self) -> &mut Host {
        &mut self.host
    }

    fn charge(&mut self, work: Work) -> Result<(), Stop> {
        self.fuel = self.fuel.checked_sub(fuel::cost(work)).ok_or(Stop::OutOfCompute)?;
        self.charged.push(work);
        Ok(())
    }
}

impl MemoryCall for Guest {
    fn memory(&mut self) -> Result<(&mut [u8], &mut Host), Stop> {
        Ok((&mut self.memory, &mut self.host))
    }
}

impl StorageCall for Guest {
    fn fetch(&mut self, key: &[u8]) -> impl Future<Output = Result<Option<Vec<u8>>, Stop>> + Send {
        ready(Ok(self.values.get(key).cloned()))
    }
}

/// The result of a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

#[test]
fn a_write_gathers_its_buffers_and_pays_for_list_bytes_and_log() {
    let mut guest = Guest::new();
    guest.put(100, b"hello, world");
    guest.put_buffers(&[(107, 5), (105, 2), (100, 5)]);
    assert_eq!(preview1::fd_write(&mut guest, 1, 0, 3, 200), Ok(0));
    assert_eq!(guest.word(200), 12);
    assert_eq!(guest.charged(), [Work::Call, Work::Read(24), Work::Read(12)]);
    assert_eq!(preview1::fd_write(&mut guest, 2, 0, 1, 200), Ok(0));
    assert_eq!(guest.charged(), [Work::Call, Work::Read(8), Work::Read(5), Work::Log(5)]);
    let used = Compute::Fuel(1);
    let execution = guest.host.into_execution(Status::Completed, used);
    assert_eq!((&execution.output[..], &execution.logs[..]), (&b"world, hello"[..], &b"world"[..]));
}

#[test]
fn a_read_fills_its_buffers_until_the_input_ends() {
    let mut guest = Guest::new();
    guest.put_buffers(&[(100, 3), (110, 100)]);
    assert_eq!(preview1::fd_read(&mut guest, 0, 0, 2, 200), Ok(0));
    assert_eq!((guest.word(200), &guest.memory[100..103]), (5, &b"inp"[..]));
    assert_eq!(&guest.memory[110..113], b"ut\0");
    assert_eq!(guest.charged(), [Work::Call, Work::Read(16), Work::Write(5)]);
    assert_eq!(preview1::fd_read(&mut guest, 0, 0, 2, 200), Ok(0));
    assert_eq!(guest.word(200), 0);
}

#[test]
fn arguments_lie_one_after_the_other_and_end_with_a_nul() {
    let mut guest = Guest::new();
    assert_eq!(preview1::args_sizes_get(&mut guest, 0, 4), Ok(0));
    assert_eq!((guest.word(0), guest.word(4)), (3, 14));
    assert_eq!(guest.charged(), [Work::Call]);
    assert_eq!(preview1::args_get(&mut guest, 0, 100), Ok(0));
    assert_eq!([guest.word(0), guest.word(4), guest.word(8)], [100, 106, 110]);
    assert_eq!(&guest.memory[100..114], b"guest\0one\0two\0");
    assert_eq!(guest.charged(), [Work::Call, Work::Write(3 * 4 + 14)]);
    assert_eq!(preview1::environ_get(&mut guest, 0, 100), Ok(0));
    let first = guest.word(0) as usize;
    assert!(guest.memory[first..].contains(&b'='));
}

#[test]
fn a_call_that_fails_is_a_call() {
    let mut guest = Guest::new();
    for errno in [
        preview1::fd_seek(&mut guest, 3),
        preview1::fd_close(&mut guest, 3),
        preview1::fd_prestat_get(&mut guest),
        preview1::path_open(&mut guest, 3),
        preview1::sock_shutdown(&mut guest, 3),
    ] {
        assert_eq!(errno, Ok(BADF));
    }
    assert_eq!(preview1::poll_oneoff(&mut guest, 0, 0, 0, 0), Ok(INVAL));
    assert_eq!(guest.charged(), [Work::Call; 6]);
}

#[test]
fn a_call_beyond_the_limit_is_not_made() {
    let mut guest = Guest::limited(|limits| limits.host_calls = 2);
    assert_eq!(preview1::sched_yield(&mut guest), Ok(0));
    assert_eq!(preview1::clock_time_get(&mut guest, 1, 0), Ok(0));
    let stop = Stop::Limit { which: Limit::HostCalls, limit: 2 };
    assert_eq!(preview1::fd_close(&mut guest, 1), Err(stop));
    assert_eq!(guest.charged(), [Work::Call; 2]);
}

#[test]
fn a_pointer_outside_of_the_memory_is_a_trap() {
    let stop = Stop::Trap(reason::MEMORY_OUT_OF_BOUNDS);
    let mut guest = Guest::new();
    assert_eq!(preview1::clock_time_get(&mut guest, 1, 4_089), Err(stop.clone()));
    assert_eq!(preview1::random_get(&mut guest, u32::MAX, 2), Err(stop.clone()));
    assert_eq!(preview1::fd_write(&mut guest, 1, u32::MAX, 1, 0), Err(stop.clone()));
    assert_eq!(preview1::poll_oneoff(&mut guest, 0, 4_090, 1, 0), Err(stop.clone()));
    assert_eq!(now(module::storage_read(&mut guest, 4_095, 2, 0, 0)), Err(stop));
}

#[test]
fn polling_moves_the_clock_to_the_earliest_deadline() {
    let mut guest = Guest::new();
    for (at, userdata, timeout) in [(0, 1u64, 5_000u64), (48, 2, 3_000)] {
        guest.put(at, &userdata.to_le_bytes());
        guest.put(at + 16, &1u32.to_le_bytes());
        guest.put(at + 24, &timeout.to_le_bytes());
    }
    assert_eq!(preview1::poll_oneoff(&mut guest, 0, 1_000, 2, 2_000), Ok(0));
    assert_eq!((guest.word(2_000), guest.word(1_000)), (1, 2));
    assert_eq!(guest.host.clock.monotonic(), 3_000);
    assert_eq!(guest.charged(), [Work::Call, Work::Read(96), Work::Write(64)]);
}

#[test]
fn the_first_read_of_a_key_is_fetched_and_the_second_is_known() {
    let mut guest = Guest::new();
    guest.put(0, b"key");
    assert_eq!(now(module::storage_read(&mut guest, 0, 3, 100, 2)), Ok(5));
    assert_eq!(&guest.memory[100..103], b"va\0");
    let opened = [Work::Call, Work::Read(3), Work::StorageRead(3)];
    let fetched = [Work::Fetch, Work::Fetched(5)];
    assert_eq!(
        guest.charged(),
        [&opened[..], &fetched, &[Work::Found(5), Work::Write(2)]].concat()
    );
    guest.values.clear();
    let read = now(component::storage_read(&mut guest, b"key"));
    assert_eq!(read, Ok(Some(b"value".to_vec())));
    assert_eq!(guest.charged(), [&opened[..], &[Work::Found(5), Work::Write(5)]].concat());
}

#[test]
fn what_cannot_be_paid_is_not_done() {
    let mut guest = Guest::new();
    guest.fuel = fuel::HOST_CALL + 3 * fuel::HOST_BYTE + fuel::STORAGE_CALL + 1;
    let read = now(component::storage_read(&mut guest, b"key"));
    assert_eq!(read, Err(Stop::OutOfCompute));
    let used = Compute::Fuel(1);
    assert_eq!(guest.host.into_execution(Status::OutOfFuel, used).reads, []);

    let mut guest = Guest::new();
    guest.fuel = fuel::HOST_CALL;
    assert_eq!(preview1::random_get(&mut guest, 0, 8), Err(Stop::OutOfCompute));
    assert_eq!(&guest.memory[..8], &[0; 8]);
}

#[test]
fn modules_and_components_write_the_same_journal() {
    let mut guest = Guest::new();
    guest.put(0, b"key");
    guest.put(3, b"new");
    assert_eq!(module::storage_write(&mut guest, 0, 3, 3, 3), Ok(()));
    let paid = guest.charged();
    assert_eq!(component::storage_write(&mut guest, b"yek".to_vec(), b"new".to_vec()), Ok(()));
    assert_eq!(guest.charged(), paid);
    assert_eq!(
        component::storage_write(&mut guest, Vec::new(), Vec::new()),
        Err(Stop::Trap(reason::EMPTY_KEY))
    );
    let used = Compute::Fuel(1);
    let execution = guest.host.into_execution(Status::Completed, used);
    let keys: Vec<_> = execution.journal.iter().map(|entry| &entry.key[..]).collect();
    assert_eq!(keys, [b"key", b"yek"]);
}

#[test]
fn modules_and_components_plan_the_same() {
    let new = || Guest::limited(|limits| limits.plan_bytes = 1_000);
    let mut guest = new();
    guest.put(0, b"alice.nearnote{}");
    guest.put(100, &9u128.to_le_bytes());
    guest.put(200, &0u32.to_le_bytes());
    assert_eq!(module::plan_promise(&mut guest, 0, 10, 200, 0), Ok(0));
    assert_eq!(guest.charged(), [Work::Call, Work::Read(10), Work::Read(0), Work::Promise(0)]);
    assert_eq!(module::plan_promise(&mut guest, 0, 10, 200, 1), Ok(1));
    assert_eq!(guest.charged(), [Work::Call, Work::Read(10), Work::Read(4), Work::Promise(1)]);
    assert_eq!(module::plan_transfer(&mut guest, 0, 100), Ok(()));
    assert_eq!(guest.charged(), [Work::Call, Work::Read(16), Work::PlannedTransfer]);
    assert_eq!(module::plan_call(&mut guest, 1, 10, 4, 14, 2, 100, 5, 6), Ok(()));
    let read = [4, 2, 16].map(Work::Read);
    assert_eq!(guest.charged(), [&[Work::Call][..], &read, &[Work::PlannedCall(6)]].concat());
    assert_eq!(module::plan_return(&mut guest, 1), Ok(()));
    assert_eq!(guest.charged(), [Work::Call]);
    let by_module = guest.host.into_execution(Status::Completed, Compute::Fuel(1)).plan;

    let mut guest = new();
    assert_eq!(component::plan_promise(&mut guest, "alice.near", vec![]), Ok(0));
    assert_eq!(component::plan_promise(&mut guest, "alice.near", vec![0]), Ok(1));
    assert_eq!(component::plan_transfer(&mut guest, 0, "9"), Ok(()));
    let called = component::plan_call(&mut guest, 1, ("note", b"{}"), "9", (5, 6));
    assert_eq!(called, Ok(()));
    for amount in ["", "-1", "+1", "1.0", "340282366920938463463374607431768211456"] {
        let refused = component::plan_transfer(&mut guest, 0, amount);
        assert_eq!(refused, Err(Stop::Trap(reason::NO_AMOUNT)), "{amount}");
    }
    assert_eq!(component::plan_return(&mut guest, 1), Ok(()));
    let by_component = guest.host.into_execution(Status::Completed, Compute::Fuel(1)).plan;
    assert_eq!((&by_component, by_module.check()), (&by_module, Ok(())));

    // Nothing is copied that the plan cannot hold.
    let mut guest = Guest::limited(|limits| limits.plan_bytes = 40);
    assert_eq!(component::plan_promise(&mut guest, "alice.near", vec![]), Ok(0));
    let called = component::plan_call(&mut guest, 0, ("note", &[0; 100]), "9", (5, 6));
    assert_eq!(called, Err(Stop::limit(Limit::PlanBytes, 40u32)));
    let exited = Status::Exited { code: 1 };
    let plan = guest.host.into_execution(exited, Compute::Fuel(1)).plan;
    assert!(plan.promises.is_empty());
}
