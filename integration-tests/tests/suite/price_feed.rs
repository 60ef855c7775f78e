//! `examples/price-feed`: servers that agree to the cent, and others that lie, keep silent, are not
//! there, or lead into a private network.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use near_workspaces::{Account, Contract, types::NearToken};
use outlayer_fetch::{
    FetchConfig,
    testing::{Answer, Certificate, Server},
};
use outlayer_integration_tests::{
    Testbed,
    testbed::{DAPP_GAS, Serving, events},
};
use outlayer_protocol::events::Event;
use serde_json::{Value, json};

use crate::{
    dapps::{cost, deploy},
    replay::replay,
};

/// The time between two blocks.
const BLOCK_TIME: Duration = Duration::from_millis(150);

/// A server that gives a price of 5.25 with a fraction of a cent that nobody is told twice.
async fn honest(certificate: &Certificate) -> Result<Server> {
    let asked = AtomicU64::new(0);
    let answer = move |_: &str| {
        let more = asked.fetch_add(1, Ordering::Relaxed) + 10;
        Answer::ok(&format!(r#"{{"price": "5.25{more}", "nonce": {more}}}"#))
    };
    Ok(Server::start(Some(certificate), answer).await?)
}

struct Feed<'a> {
    testbed: &'a Testbed,
    dapp: Contract,
    user: Account,
}

impl<'a> Feed<'a> {
    async fn new(testbed: &'a Testbed, hosts: Vec<String>, sources: Vec<String>) -> Result<Self> {
        let code = testbed.publish_guest("price-feed").await?;
        let init = json!({
            "outlayer": testbed.contract.id(), "code": code, "hosts": hosts, "sources": sources,
        });
        let dapp = deploy(testbed, "example_price_feed", init).await?;
        testbed.storage_deposit(dapp.id(), NearToken::from_near(1)).await?;
        Ok(Self { testbed, dapp, user: testbed.node.dev_create_account().await? })
    }

    /// Asks for a price. Gives the transaction's hash, the dApp's answer, and what it was told.
    async fn refresh(&self) -> Result<(String, Value, Vec<Event>)> {
        let cost = cost(self.testbed, &self.dapp, json!({ "payer": self.user.id() })).await?;
        let call = self.user.call(self.dapp.id(), "refresh").deposit(cost).gas(DAPP_GAS);
        let asked = call.transact_async().await?;
        let hash = asked.hash().to_string();
        let result = self.testbed.finished(asked).await?;
        let events = events(&result);
        Ok((hash, result.into_result()?.json()?, events))
    }
}

/// Three workers that trust `certificate`, on this machine too.
async fn workers(
    testbed: &Testbed,
    certificate: &Certificate,
) -> Result<([Account; 3], Vec<Serving>)> {
    let accounts =
        [testbed.worker.clone(), testbed.new_worker().await?, testbed.new_worker().await?];
    testbed.set_block_time(BLOCK_TIME);
    testbed.wait_for_workers();
    let mut serving = Vec::new();
    for account in &accounts {
        let mut config = testbed.worker_config(account)?;
        config.poll_interval = BLOCK_TIME / 2;
        config.fetch = FetchConfig {
            allow_loopback: true,
            roots: vec![certificate.pem.clone()],
            ..FetchConfig::default()
        };
        serving.push(testbed.serve_with(config)?);
    }
    Ok((accounts, serving))
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_agree_on_a_price_whatever_some_servers_do() -> Result<()> {
    let testbed = Testbed::start_with_timer().await?;
    let certificate = Certificate::new().map_err(anyhow::Error::from_boxed)?;
    let honest = [
        honest(&certificate).await?,
        honest(&certificate).await?,
        honest(&certificate).await?,
        honest(&certificate).await?,
    ];
    let liar = Server::start(Some(&certificate), |_| Answer::ok(r#"{"price": 9999}"#)).await?;
    let silent = Server::start(Some(&certificate), |_| Answer::Never).await?;
    let elsewhere =
        Server::start(Some(&certificate), |_| Answer::redirect("https://10.0.0.1/price")).await?;
    let down = Server::start(Some(&certificate), |_| Answer::BreaksOff).await?;
    let (down_host, down_url) = (down.host(), down.url("/"));
    drop(down);
    let servers = honest.iter().chain([&liar, &elsewhere, &silent]);
    // The request lists the private address too: the guard does not let a worker reach it.
    let hosts = servers.clone().map(Server::host).chain([down_host, "10.0.0.1".to_owned()]);
    let sources = servers.map(|server| server.url("/price")).chain([down_url]);
    let feed = Feed::new(&testbed, hosts.collect(), sources.collect()).await?;
    let (_, serving) = workers(&testbed, &certificate).await?;
    let (transaction, answer, events) = feed.refresh().await?;
    let price = &answer["price"];
    assert_eq!((&price["cents"], &price["sources"]), (&json!(525), &json!(5)), "{answer}");
    let kept: Value = feed.dapp.view("price").args_json(json!({ "max_age": 600 })).await?.json()?;
    assert_eq!(kept, *price);
    let old: Value = feed.dapp.view("price").args_json(json!({ "max_age": 0 })).await?.json()?;
    assert_eq!(old, Value::Null);
    let completed = events.iter().find_map(|event| match event {
        Event::ExecutionCompleted(completed) => Some(completed),
        _ => None,
    });
    let completed = completed.context("the request was not settled with an execution")?;
    assert!(completed.workers.len() >= 2, "{completed:?}");

    // From the chain alone, without asking a server again.
    drop((honest, liar, silent, elsewhere));
    let (is_match, replayed) = replay(&testbed, &transaction, feed.user.id().as_str()).await?;
    assert!(is_match, "{replayed}");

    // The servers are gone. The kept price is young enough.
    let (_, again, _) = feed.refresh().await?;
    assert_eq!(again["price"], *price, "{again}");
    for one in serving {
        one.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_too_few_give_is_none() -> Result<()> {
    let testbed = Testbed::start_with_timer().await?;
    let certificate = Certificate::new().map_err(anyhow::Error::from_boxed)?;
    let one = honest(&certificate).await?;
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    // Every worker is told another price: no transform makes them agree.
    let moving = Server::start(Some(&certificate), move |_| {
        Answer::ok(&format!(r#"{{"price": {}}}"#, count.fetch_add(1, Ordering::Relaxed)))
    })
    .await?;
    let (accounts, serving) = workers(&testbed, &certificate).await?;

    let sources = vec![one.url("/"), moving.url("/").replace("localhost", "localhost.invalid")];
    let feed = Feed::new(&testbed, vec![one.host()], sources).await?;
    let (_, answer, _) = feed.refresh().await?;
    assert_eq!(answer, json!({ "failed": "exited" }), "half of the sources are not enough");

    let feed = Feed::new(&testbed, vec![moving.host()], vec![moving.url("/")]).await?;
    let (_, answer, events) = feed.refresh().await?;
    assert_eq!(answer, json!({ "failed": "disputed" }));
    assert!(asked.load(Ordering::Relaxed) >= 3);
    let lost = |event: &Event| matches!(event, Event::ExecutionDisputed(_));
    assert!(events.iter().any(lost), "{events:?}");
    for account in &accounts {
        let worker = testbed.worker_view(account.id()).await?;
        assert_eq!(worker.lost, 0, "a disagreement over HTTP is nobody's: {worker:?}");
    }
    for one in serving {
        one.stop().await?;
    }
    Ok(())
}
