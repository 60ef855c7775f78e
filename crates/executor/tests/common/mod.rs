//! Guests written as text, and a way to run them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub(crate) mod components;
pub(crate) mod corpus;
pub(crate) mod kernels;
pub(crate) mod node;
pub(crate) mod web;

use std::{collections::BTreeMap, sync::OnceLock};

use outlayer_executor::{
    Code, Execution, Executor, ExecutorConfig, Fault, Job, Snapshot, SnapshotError,
};
use outlayer_guest::{Connected, Fetch, Http};
use outlayer_protocol::{
    Bytes, Compute, ExecutionContext, GuestKind, HttpAccess, JournalEntry, NearToken,
    ResourceLimits, Status, random_seed,
};

pub(crate) fn context() -> ExecutionContext {
    ExecutionContext {
        request_id: 7,
        contract_id: "outlayer.near".parse().unwrap(),
        block_height: 1_000,
        block_timestamp: 1_763_942_400_000_000_000,
        epoch_height: 16,
        random_seed: random_seed(7, &[9; 32]),
        signer_id: "alice.near".parse().unwrap(),
        predecessor_id: "dapp.near".parse().unwrap(),
        attached_deposit: NearToken::from_millinear(500),
    }
}

pub(crate) fn executor() -> &'static Executor {
    static EXECUTOR: OnceLock<Executor> = OnceLock::new();
    EXECUTOR.get_or_init(|| Executor::new(ExecutorConfig::default()).unwrap())
}

/// A namespace in memory that counts what it is asked.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    pub(crate) values: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) asked: Vec<Vec<u8>>,
    pub(crate) broken: bool,
}

impl Snapshot for Memory {
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
        if self.broken {
            return Err(SnapshotError("the node is away".to_owned()));
        }
        self.asked.push(key.to_vec());
        Ok(self.values.get(key).cloned())
    }
}

/// A guest, with everything that its execution is given.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) code: Vec<u8>,
    pub(crate) kind: Option<GuestKind>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) input: Vec<u8>,
    pub(crate) limits: ResourceLimits,
    pub(crate) context: ExecutionContext,
    pub(crate) storage: Memory,
    /// What it may reach over HTTP, and whether several workers must agree.
    pub(crate) http: Option<(HttpAccess, bool)>,
}

impl Run {
    pub(crate) fn bytes(code: Vec<u8>) -> Self {
        Self {
            code,
            kind: None,
            args: Vec::new(),
            env: Vec::new(),
            input: Vec::new(),
            limits: ResourceLimits { output_bytes: 4 << 10, ..ResourceLimits::default() }
                .with_storage(8, 4, 4 << 10),
            context: context(),
            storage: Memory::default(),
            http: None,
        }
    }

    /// A module written as text.
    pub(crate) fn wat(text: &str) -> Self {
        Self::bytes(wat::parse_str(text).unwrap())
    }

    /// A module with the usual imports and helpers around `items`.
    pub(crate) fn module(items: &str) -> Self {
        Self::wat(&format!("(module {PRELUDE} {items})"))
    }

    /// A module whose `_start` has this body.
    pub(crate) fn start(body: &str) -> Self {
        Self::module(&format!(
            r#"(func (export "_start") (local $i i32) (local $j i32) (local $x i64) {body})"#
        ))
    }

    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    pub(crate) fn fuel(self, fuel: u64) -> Self {
        self.limits(|limits| limits.compute = Compute::Fuel(fuel))
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut ResourceLimits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub(crate) fn value(mut self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.storage.values.insert(key.as_bytes().to_vec(), value.into());
        self
    }

    pub(crate) fn on(&mut self, executor: &Executor) -> Result<Execution, Fault> {
        self.run_by(|job, storage| executor.execute(job, storage))
    }

    /// Runs it in another way, and holds what comes of it to what comes of any execution.
    pub(crate) fn run_by(
        &mut self,
        run: impl FnOnce(&Job<'_>, &mut Memory) -> Result<Execution, Fault>,
    ) -> Result<Execution, Fault> {
        let Self { code, kind, args, env, input, limits, context, storage, http } = self;
        let job = Job {
            code: Code::of(code),
            kind: *kind,
            args,
            env,
            secrets: &[],
            input,
            limits,
            context,
            http: http.as_ref().map(|(access, several)| Http { access, several: *several }),
        };
        let execution = run(&job, storage)?;
        // What comes of any execution must make a body that the contract accepts.
        let response = execution.clone().into_response(context.request_id);
        response
            .validate(context.request_id, limits, http.as_ref().map(|(access, _)| access).into())
            .unwrap();
        Ok(execution)
    }

    /// Runs it with this network.
    pub(crate) fn with_network(&mut self, network: &mut dyn Fetch) -> Result<Execution, Fault> {
        self.run_by(|job, storage| {
            let snapshot = storage.clone();
            executor().execute(job, &mut Connected { snapshot, network })
        })
    }

    pub(crate) fn try_run(&mut self) -> Result<Execution, Fault> {
        self.on(executor())
    }

    pub(crate) fn run(&mut self) -> Execution {
        self.try_run().unwrap()
    }

    pub(crate) fn status(&mut self) -> Status {
        self.run().status
    }

    /// Runs the guest, which must complete, and returns its output.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        let execution = self.run();
        assert_eq!(
            execution.status,
            Status::Completed,
            "{}",
            String::from_utf8_lossy(&execution.logs)
        );
        execution.output
    }

    /// The output as little-endian 64-bit words.
    pub(crate) fn words(&mut self) -> Vec<u64> {
        self.output().chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
    }
}

pub(crate) fn trapped(reason: &str) -> Status {
    Status::Trapped { reason: reason.to_owned() }
}

pub(crate) fn invalid(reason: &str) -> Status {
    Status::InvalidModule { reason: reason.to_owned() }
}

pub(crate) fn written(key: &str, value: Option<&str>) -> JournalEntry {
    JournalEntry { key: key.into(), value: value.map(Bytes::from) }
}

/// Imports, a memory of one page, and helpers that write to the output: `$print(ptr, len)`,
/// `$emit(i64)` (its 8 bytes), `$errno(i32)` (one byte). The helpers use the addresses from 60,000.
pub(crate) const PRELUDE: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get"
        (func $args_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get"
        (func $environ_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get"
        (func $clock_time_get (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_res_get"
        (func $clock_res_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
    (import "outlayer" "storage_read" (func $storage_read (param i32 i32 i32 i32) (result i64)))
    (import "outlayer" "storage_write" (func $storage_write (param i32 i32 i32 i32)))
    (import "outlayer" "storage_remove" (func $storage_remove (param i32 i32) (result i32)))
    (import "outlayer" "context_read" (func $context_read (param i32 i32) (result i32)))
    (import "outlayer" "log" (func $log (param i32 i32)))
    (import "outlayer" "random_fill" (func $random_fill (param i32 i32)))
    (memory (export "memory") 1)
    (func $write (param $fd i32) (param $pointer i32) (param $length i32)
        (i32.store (i32.const 60000) (local.get $pointer))
        (i32.store (i32.const 60004) (local.get $length))
        (if (call $fd_write (local.get $fd) (i32.const 60000) (i32.const 1) (i32.const 60008))
            (then unreachable)))
    (func $print (param $pointer i32) (param $length i32)
        (call $write (i32.const 1) (local.get $pointer) (local.get $length)))
    (func $emit (param $value i64)
        (i64.store (i32.const 60016) (local.get $value))
        (call $print (i32.const 60016) (i32.const 8)))
    (func $errno (param $value i32)
        (i32.store8 (i32.const 60016) (local.get $value))
        (call $print (i32.const 60016) (i32.const 1)))
"#;
