//! What the child process costs a request: the same warm guests in this process and in a child, and
//! the start of a child.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use common::{config, context};
use criterion::{Criterion, criterion_group, criterion_main};
use outlayer_executor::{Executor, ExecutorConfig};
use outlayer_guest::{Code, EmptySnapshot, Engine, Job};
use outlayer_protocol::ResourceLimits;
use outlayer_sandbox::Sandbox;

/// Does nothing.
const NO_OP: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// Writes its whole input, which is at most 4 KiB, to its output.
const COPY: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read"
        (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\00\10\00\00")
    (func (export "_start")
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

fn warm(c: &mut Criterion) {
    let in_process = Executor::new(ExecutorConfig::default()).unwrap();
    let sandbox = Sandbox::start(config()).unwrap();
    let (limits, context) = (ResourceLimits::default(), context());
    let mut group = c.benchmark_group("warm");
    for (guest, text, input) in [("no-op", NO_OP, 0), ("copy of 4 KiB", COPY, 4 << 10)] {
        let code = wat::parse_str(text).unwrap();
        let input = vec![b'x'; input];
        let job = Job { input: &input, ..Job::new(Code::of(&code), &limits, &context) };
        for (place, engine) in
            [("in process", &in_process as &dyn Engine), ("in a child", &sandbox as &dyn Engine)]
        {
            group.bench_function(format!("{guest}, {place}"), |b| {
                b.iter(|| engine.execute(black_box(&job), &mut EmptySnapshot).unwrap());
            });
        }
    }
    group.finish();
}

fn start(c: &mut Criterion) {
    let mut group = c.benchmark_group("start");
    group.sample_size(20);
    group.bench_function("a child", |b| b.iter(|| Sandbox::start(config()).unwrap()));
    group.bench_function("an executor", |b| {
        b.iter(|| Executor::new(ExecutorConfig::default()).unwrap());
    });
    group.finish();
}

criterion_group!(benches, warm, start);
criterion_main!(benches);
