//! Guests in several languages, through the whole round trip. `scripts/languages` builds them.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use near_workspaces::Account;
use outlayer_fetch::testing::{Answer, Certificate, Server};
use outlayer_integration_tests::{Testbed, testbed::Serving};
use outlayer_protocol::{
    CodeRef, Compute, ExecutionRequest, Hash32, HttpAccess, Outcome, ResourceLimits,
};

use crate::common::web_server;

/// The input and the output of a case of `wasi-examples/tally`.
fn case() -> Result<[Vec<u8>; 2]> {
    let cases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wasi-examples/tally/cases/some");
    Ok([fs::read(cases.join("input"))?, fs::read(cases.join("expected"))?])
}

/// A chain with a worker that trusts this certificate, if there is one, and somebody who asks.
async fn chain(certificate: Option<&Certificate>) -> Result<(Testbed, Serving, Account)> {
    let testbed = Testbed::start().await?;
    // The largest take a core half a minute to compile.
    testbed.set_block_time(Duration::from_millis(600));
    testbed.wait_for_workers();
    let caller = testbed.node.dev_create_account().await?;
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.code.allow_private_urls = true;
    config.fetch.allow_loopback = certificate.is_some();
    config.fetch.roots = certificate.iter().map(|certificate| certificate.pem.clone()).collect();
    let serving = testbed.serve_with(config)?;
    Ok((testbed, serving, caller))
}

/// Has each guest of the folder that a variable names answer what `ask` makes of it. Their code is
/// at a URL, because the largest are too large for a contract's state.
async fn answer_all(
    (testbed, caller): (&Testbed, &Account),
    variable: &str,
    ask: impl Fn(CodeRef) -> ExecutionRequest,
    expected: &[u8],
) -> Result<()> {
    let folder = std::env::var_os(variable).with_context(|| format!("{variable} is not set"))?;
    let mut count = 0;
    for guest in fs::read_dir(folder)? {
        let path = guest?.path();
        let code = fs::read(&path)?;
        let bytes = code.len();
        let reference = CodeRef { hash: Hash32::of(&code), url: Some(web_server(code).await?) };
        let mut request = ask(reference);
        request.limits = ResourceLimits {
            compute: Compute::Fuel(500_000_000),
            table_elements: 100_000,
            instances: 64,
            max_module_bytes: bytes.try_into()?,
            ..ResourceLimits::default()
        };
        let settled = testbed.settlement(testbed.ask(caller, &request).await?).await?;
        let output = expected.to_vec().into();
        ensure!(
            settled.outcome == Outcome::Completed { output },
            "{}: {:?}",
            path.display(),
            settled.outcome
        );
        let (used, fee) = (settled.used.amount(), settled.fee);
        println!("{}: {bytes} bytes, used {used}, fee {fee}", path.display());
        count += 1;
    }
    ensure!(count > 0, "the folder is empty");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/languages builds the guests and runs it"]
async fn guests_in_other_languages_answer_through_the_chain() -> Result<()> {
    let [input, expected] = case()?;
    let (testbed, serving, caller) = chain(None).await?;
    let ask = |code| ExecutionRequest::new(code, input.clone());
    answer_all((&testbed, &caller), "OUTLAYER_LANGUAGES", ask, &expected).await?;
    serving.stop().await
}

/// With what their languages have for it: `wasi-examples/fetch/go`, `javascript` and `python`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/languages builds the guests and runs it"]
async fn guests_in_other_languages_fetch() -> Result<()> {
    let certificate = Certificate::new().map_err(anyhow::Error::from_boxed)?;
    // Says what was sent to it, too.
    let echo = |heard: &str| match heard.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("POST /x?y=1 ") => {
            Answer::ok(&format!("got {body}"))
        }
        Some((head, "")) if head.starts_with("GET /x?y=1 ") => Answer::ok("hello"),
        _ => Answer::BreaksOff,
    };
    let server = Server::start(Some(&certificate), echo).await?;
    let (testbed, serving, caller) = chain(Some(&certificate)).await?;
    let ask = |code| {
        let access = HttpAccess::to(vec![server.host()]);
        let http = Some(HttpAccess { max_exchanges: 2, repeatable: true, ..access });
        ExecutionRequest { http, ..ExecutionRequest::new(code, server.url("/x?y=1").into_bytes()) }
    };
    let expected = b"200 hello\n200 got 200 hello\n\n";
    answer_all((&testbed, &caller), "OUTLAYER_FETCHING", ask, expected).await?;
    serving.stop().await
}
