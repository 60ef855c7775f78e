//! One guest in several languages, through the whole round trip. `scripts/languages` builds them.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use outlayer_integration_tests::Testbed;
use outlayer_protocol::{CodeRef, Compute, ExecutionRequest, Hash32, Outcome, ResourceLimits};

use crate::common::web_server;

/// The input and the output of a case of `wasi-examples/tally`.
fn case() -> Result<[Vec<u8>; 2]> {
    let cases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wasi-examples/tally/cases/some");
    Ok([fs::read(cases.join("input"))?, fs::read(cases.join("expected"))?])
}

/// Their code is at a URL, because the largest are too large for a contract's state.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/languages builds the guests and runs it"]
async fn guests_in_other_languages_answer_through_the_chain() -> Result<()> {
    let folder = std::env::var_os("OUTLAYER_LANGUAGES").context("OUTLAYER_LANGUAGES is not set")?;
    let [input, expected] = case()?;
    let testbed = Testbed::start().await?;
    // The largest take a core half a minute to compile.
    testbed.set_block_time(Duration::from_millis(600));
    testbed.wait_for_workers();
    let caller = testbed.node.dev_create_account().await?;
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.code.allow_private_urls = true;
    let serving = testbed.serve_with(config)?;
    let mut count = 0;
    for guest in fs::read_dir(folder)? {
        let path = guest?.path();
        let code = fs::read(&path)?;
        let limits = ResourceLimits {
            compute: Compute::Fuel(1_000_000_000),
            table_elements: 100_000,
            instances: 64,
            max_module_bytes: code.len().try_into()?,
            ..ResourceLimits::default()
        };
        let reference = CodeRef { hash: Hash32::of(&code), url: Some(web_server(code).await?) };
        let request =
            ExecutionRequest { limits, ..ExecutionRequest::new(reference, input.clone()) };
        let settled = testbed.settlement(testbed.ask(&caller, &request).await?).await?;
        let output = expected.clone().into();
        ensure!(
            settled.outcome == Outcome::Completed { output },
            "{}: {:?}",
            path.display(),
            settled.outcome
        );
        println!("{}: {}, fee {}", path.display(), settled.used.amount(), settled.fee);
        count += 1;
    }
    ensure!(count > 0, "the folder is empty");
    serving.stop().await
}
