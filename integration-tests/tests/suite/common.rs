//! What several of the tests use.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use near_workspaces::{
    Account, operations::TransactionStatus, result::ExecutionFinalResult, types::Gas,
};
use outlayer_integration_tests::{Testbed, testbed::Daemon};
use outlayer_protocol::{
    CodeRef, CodeSource, Config, EngineVersion, ExecutionRequest, Hash32, NearToken,
    ResourceLimits, methods, pricing::Asked,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// How long what takes some blocks may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until a daemon has logged a line with all of these.
pub(crate) async fn logged(daemon: &mut Daemon, parts: &[&str]) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        daemon.check()?;
        if daemon.log().lines().any(|line| parts.iter().all(|part| line.contains(part))) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    bail!("no line of the log has {parts:?}:\n{}", daemon.log())
}

pub(crate) const NOTHING: NearToken = NearToken::from_yoctonear(0);

/// Why a transaction failed; empty when it succeeded.
pub(crate) fn refusal(result: ExecutionFinalResult) -> String {
    match result.into_result() {
        Ok(_) => String::new(),
        Err(error) => format!("{error:?}"),
    }
}

/// What the price of a request depends on, under the configuration of a new deployment.
pub(crate) fn priced(request: &ExecutionRequest) -> Asked {
    // The price does not depend on the versions.
    Asked::of(&Config::new(EngineVersion(0), 0), request)
}

/// Limits of a request that writes little and stores nothing.
pub(crate) fn small() -> ResourceLimits {
    ResourceLimits { output_bytes: 1_000, ..ResourceLimits::default() }
}

/// Code at a URL where it is not.
pub(crate) fn code_at(url: String) -> CodeSource {
    CodeRef { hash: Hash32::of(b"nowhere"), url: Some(url) }.into()
}

/// A request for code that no worker can fetch, so it is still live when its deadline comes.
pub(crate) fn unanswerable(caller: &Account) -> ExecutionRequest {
    let code = code_at("https://nowhere.example/guest.wasm".to_owned());
    ExecutionRequest {
        limits: small(),
        refund_to: Some(caller.id().clone()),
        ..ExecutionRequest::new(code, "")
    }
}

/// Sends a request to the contract itself, and not through a dApp.
pub(crate) async fn request_directly(
    testbed: &Testbed,
    caller: &Account,
    request: &ExecutionRequest,
    gas: u64,
) -> Result<TransactionStatus> {
    let deposit = testbed.estimate(request).await?.total;
    let call = caller
        .call(testbed.contract.id(), methods::REQUEST_EXECUTION)
        .args_json(json!({ "request": request }))
        .deposit(deposit);
    Ok(call.gas(Gas::from_gas(gas)).transact_async().await?)
}

/// Starts a web server on this machine that answers every request with `body`. Returns a URL.
pub(crate) async fn web_server(body: Vec<u8>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/module.wasm", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let body = body.clone();
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                let _ = connection.read(&mut request).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = connection.write_all(&[head.as_bytes(), &body].concat()).await;
            });
        }
    });
    Ok(url)
}
