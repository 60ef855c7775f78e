//! Guests that fail, code that is not Wasm, and code that is not what was promised.

use std::time::Duration;

use anyhow::Result;
use outlayer_integration_tests::{
    Testbed, artifacts,
    guests::{request, with_fuel},
};
use outlayer_protocol::{
    CodeRef, Compute, ExecutionRequest, Hash32, Limit, NearToken, Outcome, config::Prices, pricing,
};

use crate::common::{priced, web_server};

#[tokio::test(flavor = "multi_thread")]
async fn a_guests_fault_is_charged_for_what_it_burned() -> Result<()> {
    const FUEL: u64 = 5_000_000;
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let serving = testbed.serve()?;
    let prices = Prices::default();

    let spin = testbed.publish_guest("spin").await?;
    let settled = testbed
        .settlement(testbed.ask(&caller, &with_fuel(request(spin, ""), FUEL)).await?)
        .await?;
    assert_eq!((&settled.outcome, settled.used), (&Outcome::OutOfFuel, Compute::Fuel(FUEL)));
    let fee = |input: &str, used| -> Result<NearToken> {
        Ok(pricing::fee(&prices, &priced(&request(spin, input)), used, 0)?.total())
    };
    assert_eq!(settled.fee, fee("", Compute::Fuel(FUEL))?);

    let trap = testbed.publish_guest("trap").await?;
    let settled =
        testbed.settlement(testbed.ask(&caller, &request(trap, "unreachable")).await?).await?;
    assert!(
        matches!(&settled.outcome, Outcome::Trapped { reason } if reason.contains("unreachable")),
        "{settled:?}"
    );
    assert!(settled.used.amount() > 0);
    assert_eq!(settled.fee, fee("unreachable", settled.used)?);

    let garbage = testbed.publish(b"\0asm\x01\0\0\0 this is no module").await?;
    let settled = testbed.settlement(testbed.ask(&caller, &request(garbage, "")).await?).await?;
    assert!(matches!(settled.outcome, Outcome::InvalidModule { .. }), "{:?}", settled.outcome);
    assert_eq!(settled.fee, fee("", settled.used)?);
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_longer_than_declared_is_paid_for_and_not_run() -> Result<()> {
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let echo = artifacts::wasm("echo")?;
    let bytes = u32::try_from(echo.len())?;
    let (hash, url) = (testbed.publish(&echo).await?, web_server(echo).await?);
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.code.allow_private_urls = true;
    let serving = testbed.serve_with(config)?;
    for url in [None, Some(url)] {
        let mut asked_for = ExecutionRequest::new(CodeRef { hash, url }, "too long");
        asked_for.limits.max_module_bytes = bytes - 1;
        let settled = testbed.settlement(testbed.ask(&caller, &asked_for).await?).await?;
        let limit = u64::from(bytes) - 1;
        let outcome = Outcome::LimitExceeded { which: Limit::ModuleBytes, limit };
        assert_eq!((settled.outcome, settled.used), (outcome, Compute::Fuel(0)));
        let paid = pricing::fee(&Prices::default(), &priced(&asked_for), settled.used, 0)?;
        assert_eq!(settled.fee, paid.total());

        asked_for.limits.max_module_bytes = bytes;
        let settled = testbed.settlement(testbed.ask(&caller, &asked_for).await?).await?;
        assert_eq!(settled.outcome, Outcome::Completed { output: "too long".into() });
    }
    serving.stop().await
}

/// Never ends.
const HANGS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "_start") (loop (br 0))))"#;

/// Takes all the memory that it gets, and asks for more until its fuel ends.
const EATS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "_start") (loop (drop (memory.grow (i32.const 64))) (br 0))))"#;

/// Has more memory than it may.
const HAS_TOO_MUCH: &str = r#"(module (memory (export "memory") 257) (func (export "_start")))"#;

/// Prints 64 KiB again and again, to its output (1) or to its log (2).
fn prints(stream: u32) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const 4) "\00\00\01\00")
            (func (export "_start") (loop
                (drop (call $fd_write
                    (i32.const {stream}) (i32.const 0) (i32.const 1) (i32.const 16)))
                (br 0))))"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_hang_eat_memory_or_print_for_ever_end_typed_and_the_worker_serves_on()
-> Result<()> {
    const FUEL: u64 = 100_000_000;
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let mut asked = Vec::new();
    for guest in [HANGS, EATS, HAS_TOO_MUCH, &prints(1), &prints(2)] {
        let guest = testbed.publish(&wat::parse_str(guest)?).await?;
        let mut asked_for = with_fuel(request(guest, ""), FUEL);
        asked_for.limits.memory_bytes = 16 << 20;
        asked.push(testbed.ask(&caller, &asked_for).await?);
    }
    let echo = testbed.publish_guest("echo").await?;
    asked.push(testbed.ask(&caller, &request(echo, "still there")).await?);
    let serving = testbed.serve()?;
    let mut outcomes = Vec::new();
    for transaction in asked {
        let settled = testbed.settlement(transaction).await?;
        assert!(settled.fee.as_yoctonear() > 0, "{settled:?}");
        outcomes.push(settled.outcome);
    }
    assert!(
        matches!(
            outcomes.as_slice(),
            [
                Outcome::OutOfFuel,
                Outcome::OutOfFuel,
                Outcome::LimitExceeded { which: Limit::MemoryBytes, .. },
                Outcome::LimitExceeded { which: Limit::OutputBytes, .. },
                Outcome::LimitExceeded { which: Limit::LogBytes, .. },
                Outcome::Completed { .. },
            ]
        ),
        "{outcomes:?}"
    );
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn code_from_a_url_runs_only_when_its_hash_is_right() -> Result<()> {
    let testbed = Testbed::start().await?;
    let caller = testbed.node.dev_create_account().await?;
    let echo = artifacts::wasm("echo")?;
    let url = web_server(echo.clone()).await?;
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.code.allow_private_urls = true;
    let serving = testbed.serve_with(config)?;
    let at_url =
        |hash| ExecutionRequest::new(CodeRef { hash, url: Some(url.clone()) }, "from the web");

    let settled =
        testbed.settlement(testbed.ask(&caller, &at_url(Hash32::of(&echo))).await?).await?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "from the web".into() });

    let asked = testbed.ask(&caller, &at_url(Hash32::of(b"something else"))).await?;
    let deadline = testbed.wait_for_pending(1).await?[0].deadline;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        testbed.pending().await?.len(),
        1,
        "bytes with another hash must not be answered for"
    );
    testbed.advance_to(deadline + 3).await?;
    assert_eq!(testbed.settlement(asked).await?.outcome, Outcome::TimedOut);
    serving.stop().await
}
