use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use near_crypto::{KeyType, SecretKey};
use near_primitives::{hash::CryptoHash, transaction::SignedTransaction};
use outlayer_protocol::{Bytes, NearToken};
use serde_json::{Value, json};

use super::*;
use crate::{
    At, Node, SigningAccount, TransportError,
    health::REST,
    testing::{
        Answer, CONTRACT, FakeNode, executed, handler_error, header_at, invalid_nonce, status,
        timeout_error, unknown_block, unknown_transaction, view_result,
    },
};

const GENESIS: CryptoHash = CryptoHash([1; 32]);

/// How long what takes a moment may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn block_at(height: u64) -> Answer {
    Answer::Result(json!({ "author": "v.near", "header": header_at(height), "chunks": [] }))
}

/// What a node in order answers whose newest block is at `height`.
fn healthy(method: &str, height: u64) -> Answer {
    match method {
        "status" => Answer::Result(status("testnet", &GENESIS, height)),
        "block" => block_at(height),
        "query" => view_result(&json!("the view's result")),
        other => panic!("unexpected {other}"),
    }
}

async fn node_at(height: u64) -> FakeNode {
    FakeNode::start(move |method, _| healthy(method, height)).await
}

/// A node that does the same whatever it is asked, except that it says which network it serves.
async fn broken(answer: impl Fn() -> Answer + Send + Sync + 'static) -> FakeNode {
    FakeNode::start(move |method, _| match method {
        "status" => healthy(method, 100),
        _ => answer(),
    })
    .await
}

fn config(nodes: &[&FakeNode]) -> NodeConfig {
    NodeConfig {
        endpoints: nodes.iter().map(|node| EndpointUrl::from(node.url.as_str())).collect(),
        ..nodes[0].config()
    }
}

fn client(nodes: &[&FakeNode]) -> Node {
    Node::new(&config(nodes)).unwrap()
}

async fn view(node: &Node) -> Result<Vec<u8>, ChainError> {
    node.view(&CONTRACT.parse().unwrap(), "get", Vec::new(), At::Final).await
}

fn raw(head: &str, body: &[u8]) -> Answer {
    let mut bytes = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Answer::Raw(bytes)
}

const TIMED_OUT: &str = "timed out";

type Failure = (&'static str, fn() -> Answer);

/// Each way in which an endpoint fails, and a word of the error. The only one that takes time is
/// that no answer comes.
fn failures() -> Vec<Failure> {
    vec![
        ("HTTP status 500", || Answer::Http(500, Vec::new())),
        ("HTTP status 502", || Answer::Http(502, b"<html>bad gateway</html>".to_vec())),
        ("limits the rate", || Answer::Http(429, Vec::new())),
        ("for another 86400s", || raw("429 x\r\nretry-after: 18446744073709551615", b"")),
        ("for another 3000s", || raw("503 x\r\nretry-after: 3000", b"")),
        ("limits the rate", || raw("429 x\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT", b"")),
        ("HTTP status 403", || Answer::Http(403, Vec::new())),
        ("HTTP status 307", || raw("307 x\r\nlocation: http://127.0.0.1:1/", b"")),
        ("begins with", || Answer::Http(200, b"<html>welcome</html>".to_vec())),
        ("begins with", || Answer::Http(200, b"{\"jsonrpc\":\"2.0\",\"resu".to_vec())),
        ("it is empty", || Answer::Http(200, Vec::new())),
        ("another kind", || Answer::Http(200, b"[]".to_vec())),
        ("it answers question", || {
            Answer::Http(200, br#"{"jsonrpc":"2.0","id":"dontcare","result":{}}"#.to_vec())
        }),
        ("not understood", || Answer::Result(json!({ "another": "kind of result" }))),
        ("body", || raw("200 x\r\ncontent-length: 500", b"{\"jsonrpc\":")),
        ("more than the 100000 bytes", || raw("200 x\r\ncontent-length: 99999999999", b"{")),
        ("more than the 100000 bytes", || raw("200 x", &[b' '; 150_000])),
        ("sending request", || Answer::Raw(Vec::new())),
        (TIMED_OUT, || Answer::Hang),
        ("not ready", || Answer::Error(handler_error("NO_SYNCED_BLOCKS", &json!({})))),
    ]
}

#[tokio::test]
async fn whatever_one_endpoint_does_the_next_one_answers() {
    for (word, answer) in failures() {
        let (bad, good) = (broken(answer).await, node_at(100).await);
        let (mut both, mut alone) = (config(&[&bad, &good]), config(&[&bad]));
        if word == TIMED_OUT {
            (both.failover_timeout, alone.timeout) = (Duration::from_secs(3), millis(400));
        }
        let result = view(&Node::new(&both).unwrap()).await;
        let result = result.unwrap_or_else(|error| panic!("{word}: {error}"));
        assert_eq!(result, b"\"the view's result\"", "{word}");
        assert_eq!(bad.called("query"), 1, "{word}: asked once, before the other");

        let alone = Node::new(&alone).unwrap();
        let error = view(&alone).await.unwrap_err().to_string();
        assert!(error.contains(word), "expected {word:?}, found {error}");
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_costs_one_exchange() {
    let good = node_at(100).await;
    let mut config = config(&[&good]);
    // Nobody listens there, and no test is given this port.
    config.endpoints.insert(0, "http://127.0.0.1:1".into());
    let node = Node::new(&config).unwrap();
    let began = Instant::now();
    for _ in 0..5 {
        view(&node).await.unwrap();
    }
    let health = node.health();
    // One question, what was asked beside it, and one after each rest, of half a time at the least.
    let rests = began.elapsed().as_millis() / (REST.first / 2).as_millis();
    let failed = u128::from(health[0].failed);
    assert!(failed >= 1 && failed <= 3 + rests, "{health:?}");
    assert_eq!((health[1].failed, health[1].failures_in_a_row), (0, 0));
    assert!(health[1].latency.is_some());
}

#[tokio::test]
async fn attempts_and_time_are_bounded() {
    let away = [
        broken(|| Answer::Http(500, Vec::new())).await,
        broken(|| Answer::Http(502, Vec::new())).await,
    ];
    let node = client(&[&away[0], &away[1]]);
    let error = view(&node).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(away.each_ref().map(|node| node.called("query")), [3, 3]);

    let hangs = broken(|| Answer::Hang).await;
    // All the attempts would take 1,000 seconds.
    let config = NodeConfig {
        attempts: 5_000,
        budget: millis(1_500),
        timeout: millis(200),
        ..hangs.config()
    };
    let began = Instant::now();
    assert!(view(&Node::new(&config).unwrap()).await.unwrap_err().is_transient());
    assert!(began.elapsed() < 2 * PATIENCE, "{:?}", began.elapsed());
    assert!((1..5_000).contains(&hangs.called("query")));
}

#[tokio::test]
async fn an_endpoint_that_limits_the_rate_is_left_alone_for_as_long_as_it_asks() {
    let limited = broken(|| raw("429 x\r\nretry-after: 3000", b"")).await;
    let free = node_at(100).await;
    let node = client(&[&limited, &free]);
    for _ in 0..5 {
        view(&node).await.unwrap();
    }
    assert_eq!((limited.called("query"), free.called("query")), (1, 5));

    // The only endpoint is waited for, when that is within the budget.
    let times = Arc::new(AtomicUsize::new(0));
    let once = broken(move || match times.fetch_add(1, Ordering::Relaxed) {
        0 => raw("429 x\r\nretry-after: 1", b""),
        _ => view_result(&json!("the view's result")),
    })
    .await;
    let began = Instant::now();
    view(&client(&[&once])).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());

    let hour = broken(|| raw("429 x\r\nretry-after: 3600", b"")).await;
    let began = Instant::now();
    let error = view(&client(&[&hour])).await.unwrap_err();
    let wait = Some(Duration::from_secs(3_600));
    assert!(
        matches!(
            &error,
            ChainError::Transport { source: TransportError::RateLimited { retry_after }, .. }
                if *retry_after == wait
        ),
        "{error}"
    );
    assert!(began.elapsed() < 2 * PATIENCE);
    assert_eq!(hour.called("query"), 1);
}

#[tokio::test]
async fn an_endpoint_that_lags_is_asked_last_until_it_has_caught_up() {
    let height = Arc::new(AtomicU64::new(100));
    let newest = Arc::clone(&height);
    let behind = FakeNode::start(move |method, _| healthy(method, newest.load(Ordering::Relaxed)));
    let (behind, ahead) = (behind.await, node_at(111).await);
    let node = client(&[&behind, &ahead]);
    // Which of them lags shows in the background.
    let lags = async |expected: bool| {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            view(&node).await.unwrap();
            if node.health()[0].lags == expected && node.health()[1].height.is_some() {
                return;
            }
            tokio::time::sleep(millis(10)).await;
        }
        panic!("{:?}", node.health());
    };
    lags(true).await;
    let asked = behind.called("query");
    for _ in 0..5 {
        view(&node).await.unwrap();
    }
    assert_eq!(behind.called("query"), asked);
    assert_eq!(node.block(At::Final).await.unwrap().height, 111);

    // A height that is just within the bound does not lag.
    height.store(101, Ordering::Relaxed);
    node.endpoints_of_test().saw(&node.endpoints_of_test().all()[0], 101);
    lags(false).await;
    assert_eq!(node.block(At::Final).await.unwrap().height, 101);
}

#[tokio::test]
async fn an_endpoint_that_lags_is_better_than_none() {
    let behind = node_at(100).await;
    let ahead = broken(|| Answer::Http(500, Vec::new())).await;
    let node = client(&[&behind, &ahead]);
    let endpoints = node.endpoints_of_test();
    endpoints.saw(&endpoints.all()[0], 100);
    endpoints.saw(&endpoints.all()[1], 200);
    view(&node).await.unwrap();
    assert_eq!(ahead.called("query"), 1);
}

#[tokio::test]
async fn an_endpoint_that_has_recovered_is_asked_first_again() {
    let times = Arc::new(AtomicUsize::new(0));
    let first = FakeNode::start(move |method, _| match method {
        "query" if times.fetch_add(1, Ordering::Relaxed) == 0 => Answer::Http(500, Vec::new()),
        _ => healthy(method, 100),
    });
    let (first, second) = (first.await, node_at(100).await);
    let node = client(&[&first, &second]);
    view(&node).await.unwrap();
    assert_eq!((first.called("query"), second.called("query")), (1, 1));
    let began = Instant::now();
    while first.called("query") == 1 {
        assert!(began.elapsed() < PATIENCE, "{:?}", node.health());
        tokio::time::sleep(millis(20)).await;
        view(&node).await.unwrap();
    }
    let others = second.called("query");
    view(&node).await.unwrap();
    assert_eq!(second.called("query"), others, "{:?}", node.health());
}

fn skipped() -> Answer {
    let error = json!({ "jsonrpc": "2.0", "id": null, "error": unknown_block() });
    Answer::Http(422, error.to_string().into_bytes())
}

#[tokio::test]
async fn a_height_without_a_block_is_a_typed_answer_and_not_a_failure() {
    let node = broken(skipped).await;
    let client = client(&[&node]);
    let unknown =
        |error: &_| matches!(error, ChainError::UnknownBlock { block, .. } if block == "#99");
    let error = client.block(At::Height(99)).await.unwrap_err();
    assert!(unknown(&error), "{error}");
    let contract = CONTRACT.parse().unwrap();
    let error = client.view(&contract, "get", Vec::new(), At::Height(99)).await.unwrap_err();
    assert!(unknown(&error), "{error}");
    assert_eq!((node.called("block"), node.called("query")), (1, 1), "it is not asked again");
    assert_eq!(client.health()[0].failed, 0);
}

#[tokio::test]
async fn a_block_is_unknown_only_when_no_endpoint_has_it() {
    let at = At::Height(99);
    let (lacks, has) = (broken(skipped).await, node_at(99).await);
    assert_eq!(client(&[&lacks, &has]).block(at).await.unwrap().height, 99);

    let lacks_too = broken(skipped).await;
    let error = client(&[&lacks, &lacks_too]).block(at).await.unwrap_err();
    assert!(matches!(error, ChainError::UnknownBlock { .. }), "{error}");

    let away = broken(|| Answer::Http(500, Vec::new())).await;
    let error = client(&[&lacks, &away]).block(at).await.unwrap_err();
    assert!(matches!(error, ChainError::Transport { .. }), "the other may have it: {error}");
}

#[tokio::test]
async fn an_endpoint_that_refuses_everything_does_not_hide_that_another_knows_no_better() {
    let lacks = broken(skipped).await;
    for refuses in [|| Answer::Http(401, Vec::new()), || Answer::Http(404, Vec::new())] {
        let refuses = broken(refuses).await;
        for nodes in [[&lacks, &refuses], [&refuses, &lacks]] {
            let error = client(&nodes).block(At::Height(99)).await.unwrap_err();
            assert!(matches!(error, ChainError::UnknownBlock { .. }), "{error}");
            let both = NodeConfig { quorum: 2, ..config(&nodes) };
            let error = Node::new(&both).unwrap().block(At::Height(99)).await.unwrap_err();
            assert!(matches!(error, ChainError::UnknownBlock { .. }), "{error}");
        }
    }
    // What cannot be read may be the block that the other one lacks.
    let odd = broken(|| Answer::Result(json!({ "another": "kind of block" }))).await;
    for nodes in [[&lacks, &odd], [&odd, &lacks]] {
        let error = client(&nodes).block(At::Height(99)).await.unwrap_err();
        assert!(matches!(error, ChainError::Malformed { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_date_of_an_answer_shows_how_far_the_clocks_are_apart() {
    for apart in [0, 3_600, -3_600i64] {
        let date = move || {
            let (now, by) = (SystemTime::now(), Duration::from_secs(apart.unsigned_abs()));
            httpdate::fmt_http_date(if apart < 0 { now - by } else { now + by })
        };
        let node = broken(move || raw(&format!("500 x\r\ndate: {}", date()), b"")).await;
        let client = client(&[&node]);
        assert_eq!(client.health()[0].clock_ahead, None);
        let began = Instant::now();
        view(&client).await.unwrap_err();
        let ahead = client.health()[0].clock_ahead.unwrap();
        // What is shown is the least that it can be: a date is in whole seconds, and nobody knows
        // at which moment between question and answer it was the right one.
        let unsure = i64::try_from(began.elapsed().as_secs()).unwrap() + 2;
        let shown = if apart > 0 { -ahead } else { ahead };
        let least = (apart.abs() - unsure).max(0);
        assert!((least..=apart.abs()).contains(&shown), "{apart}: {ahead}");
    }
    for date in ["", "yesterday", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 00 Jan 0000 99:99:99 GMT"]
    {
        let node = broken(move || raw(&format!("500 x\r\ndate: {date}"), b"")).await;
        let client = client(&[&node]);
        view(&client).await.unwrap_err();
        assert!(client.health()[0].clock_ahead.is_none_or(|ahead| ahead < 0), "{date}");
    }
}

/// A node that takes a transaction after so many answers which say that it takes none for so many
/// seconds.
async fn limited(limited: usize, seconds: u64) -> FakeNode {
    let times = AtomicUsize::new(0);
    FakeNode::start(move |method, params| match method {
        "status" => healthy(method, 100),
        "block" => block_at(100),
        "query" => Answer::Result(json!({
            "nonce": 7, "permission": "FullAccess", "block_height": 100,
            "block_hash": GENESIS.to_string()
        })),
        "send_tx" if times.fetch_add(1, Ordering::Relaxed) < limited => {
            raw(&format!("429 x\r\nretry-after: {seconds}"), b"")
        }
        "send_tx" => executed(&transaction(params), Ok(b"done")),
        other => panic!("unexpected {other}"),
    })
    .await
}

#[tokio::test]
async fn a_transaction_waits_for_as_long_as_the_only_endpoint_asks() {
    let send = async |nodes: &[&FakeNode]| {
        let key = SecretKey::from_seed(KeyType::ED25519, "worker");
        let account = SigningAccount::new(client(nodes), "worker.near".parse().unwrap(), key);
        let (contract, nothing) = (CONTRACT.parse().unwrap(), NearToken::from_yoctonear(0));
        let began = Instant::now();
        let outcome = account.call(&contract, "resolve", Vec::new(), 1, nothing).await.unwrap();
        assert_eq!(outcome.result, Ok(b"done".to_vec()));
        began.elapsed()
    };
    let only = limited(1, 1).await;
    assert!(send(&[&only]).await >= Duration::from_secs(1));
    assert_eq!(only.called("send_tx"), 2);
    // Where another endpoint is in order, nothing waits.
    let (first, second) = (limited(9, 100).await, limited(0, 0).await);
    assert!(send(&[&first, &second]).await < Duration::from_secs(100));
    assert_eq!((first.called("send_tx"), second.called("send_tx")), (1, 1));
}

#[tokio::test]
async fn an_endpoint_of_another_network_is_refused_at_the_start() {
    let right = node_at(100).await;
    for (chain_id, genesis) in [("mainnet", GENESIS), ("testnet", CryptoHash([2; 32]))] {
        let other = FakeNode::start(move |method, _| match method {
            "status" => Answer::Result(status(chain_id, &genesis, 100)),
            _ => healthy(method, 100),
        })
        .await;
        let both = config(&[&right, &other]);
        let error = Node::new(&both).unwrap().check_network().await.unwrap_err();
        assert!(
            matches!(&error, ChainError::WrongNetwork { url, .. } if url.to_string() == other.url),
            "{error}"
        );
        // Without the check at the start, it is noticed before the first use.
        let node = Node::new(&both).unwrap();
        view(&node).await.unwrap();
        let swapped = Node::new(&config(&[&right, &other])).unwrap();
        for _ in 0..3 {
            assert!(swapped.block(At::Final).await.is_ok());
        }
        let only = NodeConfig { chain_id: Some("testnet".into()), ..config(&[&other]) };
        let checked = Node::new(&only).unwrap().check_network().await;
        assert_eq!(checked.is_ok(), chain_id == "testnet");
        assert_eq!(view(&Node::new(&only).unwrap()).await.is_ok(), chain_id == "testnet");
    }
    let expected = Network { chain_id: "testnet".into(), genesis_hash: GENESIS };
    assert_eq!(client(&[&right]).check_network().await.unwrap(), expected);
}

#[tokio::test]
async fn an_endpoint_of_another_network_that_was_away_at_the_start_is_never_used() {
    let away = Arc::new(AtomicUsize::new(1));
    let is_away = Arc::clone(&away);
    let other = FakeNode::start(move |method, _| match method {
        _ if is_away.load(Ordering::Relaxed) == 1 => Answer::Http(503, Vec::new()),
        "status" => Answer::Result(status("mainnet", &GENESIS, 100)),
        _ => panic!("it must not be asked"),
    })
    .await;
    let right = node_at(100).await;
    let node = client(&[&right, &other]);
    node.check_network().await.unwrap();
    away.store(0, Ordering::Relaxed);
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        view(&node).await.unwrap();
        if node.health()[1].is_of_another_network {
            assert_eq!(other.called("query") + other.called("block"), 0);
            return;
        }
        tokio::time::sleep(millis(10)).await;
    }
    panic!("{:?}", node.health());
}

#[test]
fn endpoints_that_do_not_go_together_are_refused() {
    let error = |urls: &[&str], quorum| {
        let endpoints = urls.iter().map(|url| EndpointUrl::from(*url));
        let config = NodeConfig { quorum, ..NodeConfig::of(endpoints) };
        Node::new(&config).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let (a, b) = ("https://a.example/SECRET1", "https://b.example/SECRET2");
    assert_eq!([error(&[a], 1), error(&[a, b], 1), error(&[a, b], 2)], ["", "", ""]);
    for (urls, quorum, word) in [
        (&[][..], 1, "at least one"),
        (&[a, a], 1, "https://a.example is named twice"),
        (&[a], 2, "2 of at least 2"),
        (&[a, b], 0, "0 of 2 endpoints"),
        (&[a, b], 3, "3 of 2 endpoints"),
        (&[a, "https://a.example/SECRET3"], 2, "different hosts"),
        (&["ftp://a.example/SECRET"], 1, "expected http:// or https://"),
        (&["SECRET"], 1, "expected http:// or https://"),
    ] {
        let error = error(urls, quorum);
        assert!(error.contains(word) && !error.contains("SECRET"), "{word}: {error}");
    }
}

/// A node that fails a transaction in each way that leaves its fate open, and then executes it.
#[tokio::test]
async fn a_transaction_whose_fate_is_unknown_is_sent_again_and_never_signed_again() {
    let kinds: [fn() -> Answer; 7] = [
        || {
            let error = json!({ "jsonrpc": "2.0", "id": null, "error": timeout_error() });
            Answer::Http(408, error.to_string().into_bytes())
        },
        || Answer::Error(timeout_error()),
        || Answer::Http(502, Vec::new()),
        || Answer::Http(429, Vec::new()),
        || Answer::Http(200, b"<html>".to_vec()),
        || raw("200 x\r\ncontent-length: 500", b"{"),
        || Answer::Raw(Vec::new()),
    ];
    for kind in kinds {
        let signed: Arc<Mutex<Vec<CryptoHash>>> = Arc::default();
        let seen = Arc::clone(&signed);
        let node = FakeNode::start(move |method, params| match method {
            "block" => block_at(100),
            "query" => Answer::Result(json!({
                "nonce": 7, "permission": "FullAccess", "block_height": 100,
                "block_hash": GENESIS.to_string()
            })),
            "send_tx" => {
                let hash = transaction(params);
                let mut seen = seen.lock().unwrap();
                seen.push(hash);
                if seen.len() < 3 { kind() } else { executed(&hash, Ok(b"done")) }
            }
            other => panic!("unexpected {other}"),
        })
        .await;
        let key = SecretKey::from_seed(KeyType::ED25519, "worker");
        let account = SigningAccount::new(node.node(), "worker.near".parse().unwrap(), key);
        let nothing = NearToken::from_yoctonear(0);
        let contract = CONTRACT.parse().unwrap();
        let outcome = account.call(&contract, "resolve", Vec::new(), 1, nothing).await.unwrap();
        assert_eq!(outcome.result, Ok(b"done".to_vec()));
        let signed = signed.lock().unwrap();
        assert_eq!(signed.len(), 3);
        assert!(signed.iter().all(|hash| *hash == signed[0]), "{signed:?}");
    }
}

fn transaction(params: &Value) -> CryptoHash {
    let encoded: Bytes = serde_json::from_value(params["signed_tx_base64"].clone()).unwrap();
    borsh::from_slice::<SignedTransaction>(&encoded).unwrap().get_hash()
}

#[tokio::test]
async fn a_transaction_is_unknown_only_when_no_endpoint_knows_it() {
    let hash = CryptoHash([9; 32]);
    let lookup = |knows: bool| {
        FakeNode::start(move |method, _| match method {
            "tx" if knows => executed(&hash, Ok(b"")),
            "tx" => Answer::Error(unknown_transaction(&hash)),
            _ => healthy(method, 100),
        })
    };
    let (without, with) = (lookup(false).await, lookup(true).await);
    let signer = "worker.near".parse().unwrap();
    let traced = async |nodes: &[&FakeNode]| {
        crate::trace::transaction(&client(nodes), hash, &signer).await.map(|found| found.len())
    };
    assert_eq!(traced(&[&without, &with]).await.unwrap(), 1);
    let error = traced(&[&without]).await.unwrap_err();
    assert!(matches!(error, ChainError::UnknownTransaction { .. }), "{error}");
    let away = broken(|| Answer::Http(500, Vec::new())).await;
    let error = traced(&[&without, &away]).await.unwrap_err();
    assert!(error.is_transient(), "the other may know it: {error}");
}

#[tokio::test]
async fn a_transaction_that_a_gateway_sent_twice_is_looked_up_and_not_signed_again() {
    let signed: Arc<Mutex<Vec<CryptoHash>>> = Arc::default();
    let (seen, looks) = (Arc::clone(&signed), AtomicUsize::new(0));
    let node = FakeNode::start(move |method, params| match method {
        "block" => block_at(100),
        "query" => Answer::Result(json!({
            "nonce": 7, "permission": "FullAccess", "block_height": 100,
            "block_hash": GENESIS.to_string()
        })),
        // What the second copy is told.
        "send_tx" => {
            seen.lock().unwrap().push(transaction(params));
            invalid_nonce(8, 8)
        }
        // In a block, and not executed yet.
        "tx" if looks.fetch_add(1, Ordering::Relaxed) == 0 => {
            Answer::Result(json!({ "final_execution_status": "INCLUDED" }))
        }
        "tx" => {
            let hash: CryptoHash = params["tx_hash"].as_str().unwrap().parse().unwrap();
            executed(&hash, Ok(b"done"))
        }
        other => panic!("unexpected {other}"),
    })
    .await;
    let key = SecretKey::from_seed(KeyType::ED25519, "worker");
    let account = SigningAccount::new(node.node(), "worker.near".parse().unwrap(), key);
    let (contract, nothing) = (CONTRACT.parse().unwrap(), NearToken::from_yoctonear(0));
    let outcome = account.call(&contract, "resolve", Vec::new(), 1, nothing).await.unwrap();
    assert_eq!(outcome.result, Ok(b"done".to_vec()));
    let signed = signed.lock().unwrap();
    assert!(signed.len() == 2 && signed[0] == signed[1], "{signed:?}");
}
