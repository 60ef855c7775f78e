//! The daemon: its metrics, its health, and how it stops.

use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use outlayer_client::{
    SecretKey,
    testing::{Answer, CONTRACT, WORKER},
};
use rustix::process::Signal;
use serde_json::Value;

use super::fake::{Daemon, World, command, eventually, folder, get, write_key};

/// A guest that writes its input's first letters.
pub(crate) fn guest() -> Vec<u8> {
    wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "done")
            (data (i32.const 8) "\00\00\00\00\04\00\00\00")
            (func (export "_start") (drop (call $fd_write
                (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#,
    )
    .unwrap()
}

fn worker(folder: &std::path::Path, url: &str, more: &[&str]) -> Daemon {
    let mut arguments = vec![
        "worker",
        "run",
        "--contract",
        CONTRACT,
        "--state-dir",
        "state",
        "--poll-interval",
        "20",
        "--log-format",
        "json",
    ];
    if !more.contains(&"--key-file") {
        arguments.extend(["--key-file", "worker.json"]);
    }
    arguments.extend(more);
    let mut command = command(folder, &arguments);
    command.env("OUTLAYER_RPC_URL", url);
    Daemon::start(command, &folder.join("log"))
}

/// The lines of a log, each of which must be JSON.
fn lines(log: &str) -> Vec<Value> {
    let parsed = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")));
    parsed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_shows_its_metrics_its_health_and_when_it_is_ready() {
    let (node, world) = World::new().start().await;
    world.lock().unwrap().chain.ask(7, &guest());
    let folder = folder();
    let listen = ["--listen", "127.0.0.1:0", "--compile-ahead", "0"];
    let daemon = worker(folder.path(), &node.url, &listen);
    let log = daemon.logged("serving /metrics").await;
    let bound = lines(&log).into_iter().find_map(|line| line["bound"].as_str().map(str::to_owned));
    let bound = bound.unwrap();
    daemon.logged("\"done\"").await;
    let page = eventually(|| {
        let (status, page) = get(&bound, "/metrics");
        assert_eq!(status, 200);
        page.contains("outlayer_requests_total{outcome=\"settled\"} 1").then_some(page)
    });
    let page = page.await.unwrap_or_else(|| panic!("{}", daemon.log()));
    for line in [
        "outlayer_executions_total{status=\"completed\"} 1",
        "outlayer_keys 1",
        "outlayer_children 1",
    ] {
        assert!(page.lines().any(|one| one == line), "{line} is not in:\n{page}");
    }
    let (status, body) = get(&bound, "/health");
    assert_eq!(status, 200, "{body}");
    let ready = eventually(|| (get(&bound, "/ready").0 == 200).then_some(()));
    ready.await.unwrap_or_else(|| panic!("{:?}", get(&bound, "/ready")));
    let (_, page) = get(&bound, "/metrics");
    for line in ["outlayer_balance_near 3.0", "outlayer_registered 1", "outlayer_ready 1"] {
        assert!(page.lines().any(|one| one == line), "{line} is not in:\n{page}");
    }
    assert_eq!(get(&bound, "/").0, 404);

    // Every line about the request has its id.
    let log = lines(&daemon.log());
    let about: Vec<_> = log.iter().filter(|line| line["request"] == 7).collect();
    assert!(about.iter().any(|line| line["message"] == "submitted"), "{log:?}");
    assert!(log.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_cannot_serve_is_alive_and_not_ready_and_says_why() {
    let mut world = World::new();
    world.registration.as_mut().unwrap().suspended = true;
    let (node, world) = world.start().await;
    let folder = folder();
    let listen = ["--listen", "127.0.0.1:0", "--compile-ahead", "0"];
    let daemon = worker(folder.path(), &node.url, &listen);
    let log = daemon.logged("not ready").await;
    let bound = lines(&log).into_iter().find_map(|line| line["bound"].as_str().map(str::to_owned));
    let bound = bound.unwrap();
    let (status, body) = get(&bound, "/ready");
    assert_eq!(status, 503);
    let body: Value = serde_json::from_str(&body).unwrap();
    let checks = body["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|one| one["level"] == "fail").collect();
    let [failed] = failed.as_slice() else { panic!("{body}") };
    assert_eq!(failed["found"], "worker.near is suspended");
    assert!(failed["advice"].is_string());
    assert_eq!(get(&bound, "/health").0, 200);
    assert!(get(&bound, "/metrics").1.contains("outlayer_check{check=\"registration\"} 0"));
    world.lock().unwrap().broken = Some(|| Answer::Http(500, Vec::new()));
    assert_eq!(get(&bound, "/health").0, 200, "a node that fails does not make a worker hang");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_gives_requests_in_flight_the_time_of_grace_and_a_second_one_none() {
    let folder = folder();
    // An idle worker ends at once.
    let (node, _world) = World::new().start().await;
    let mut daemon = worker(folder.path(), &node.url, &[]);
    daemon.logged("looking for requests").await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
    assert!(daemon.log().contains("the worker has stopped"));

    // One with a request that it will not submit for a long time gives it up after the grace.
    let (node, world) = World::new().start().await;
    world.lock().unwrap().chain.ask(1, &guest());
    let delay = ["--submit-delay", "600000"];
    let mut daemon =
        worker(folder.path(), &node.url, &[&delay[..], &["--shutdown-grace", "1"]].concat());
    daemon.logged("\"executed\"").await;
    let asked = Instant::now();
    daemon.signal(Signal::INT);
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
    assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
    assert_eq!(world.lock().unwrap().chain.live.len(), 1, "the request waits for another worker");

    // With a long grace, a second signal ends it at once.
    let mut daemon =
        worker(folder.path(), &node.url, &[&delay[..], &["--shutdown-grace", "3000"]].concat());
    daemon.logged("\"executed\"").await;
    daemon.signal(Signal::TERM);
    daemon.logged("a second signal ends at once").await;
    assert_eq!(
        daemon.ended_within(Duration::from_millis(500)).await,
        None,
        "it waits for the request"
    );
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(130), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_of_a_request_is_sent_to_the_collector() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let received: Arc<Mutex<Vec<u8>>> = Arc::default();
    let kept = Arc::clone(&received);
    // It takes what comes, and never answers. A call over HTTP/2 is sent all the same.
    std::thread::spawn(move || {
        for stream in collector.incoming() {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || {
                let (mut stream, mut part) = (stream.unwrap(), [0; 4096]);
                while let Ok(length @ 1..) = stream.read(&mut part) {
                    kept.lock().unwrap().extend_from_slice(&part[..length]);
                }
            });
        }
    });
    let (node, world) = World::new().start().await;
    world.lock().unwrap().chain.ask(7, &guest());
    let folder = folder();
    let mut daemon = worker(folder.path(), &node.url, &["--otlp-endpoint", &endpoint]);
    daemon.logged("\"done\"").await;
    // What is left is sent when the worker ends, and a collector that hangs does not keep it.
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
    for part in ["outlayer.request_id", "outlayer.outcome", "settled", "execute", "confirm"] {
        let has = || received.lock().unwrap().windows(part.len()).any(|at| at == part.as_bytes());
        // What the worker has sent may still be on its way to the collector.
        let found = eventually(|| has().then_some(())).await;
        let received = received.lock().unwrap();
        assert!(found.is_some(), "{part} is not in {}", String::from_utf8_lossy(&received));
    }
}

/// A key that its maker knows by `seed`.
fn key(seed: &str) -> SecretKey {
    SecretKey::from_seed(near_crypto::KeyType::ED25519, seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_while_the_worker_runs_and_broken_files_change_nothing() {
    let (node, _world) = World::new().start().await;
    let folder = folder();
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    write_key(&keys.join("1.json"), WORKER, &key("1").to_string());
    let mut daemon =
        worker(folder.path(), &node.url, &["--key-file", "keys", "--listen", "127.0.0.1:0"]);
    let log = daemon.logged("looking for requests").await;
    let bound = lines(&log).into_iter().find_map(|line| line["bound"].as_str().map(str::to_owned));
    let bound = bound.unwrap();
    let signing =
        |keys: &str| get(&bound, "/metrics").1.contains(&format!("outlayer_keys {keys}\n"));
    assert!(signing("1"));

    write_key(&keys.join("2.json"), WORKER, &key("2").to_string());
    daemon.signal(Signal::HUP);
    daemon.logged("these keys sign from now on").await;
    let log = daemon.log();
    for seed in ["1", "2"] {
        assert!(log.contains(&key(seed).public_key().to_string()), "{log}");
        let secret = key(seed).to_string();
        assert!(!log.contains(secret.trim_start_matches("ed25519:")), "{log}");
    }
    assert!(signing("2"));

    fs::set_permissions(keys.join("2.json"), fs::Permissions::from_mode(0o644)).unwrap();
    daemon.signal(Signal::HUP);
    let log = daemon.logged("the key files cannot be used; the old keys stay").await;
    assert!(log.contains("has mode 0644"), "{log}");
    assert!(signing("2"));

    // Without a signal: the files are looked at every few seconds.
    fs::remove_file(keys.join("2.json")).unwrap();
    eventually(|| signing("1").then_some(())).await.unwrap();
    write_key(&keys.join("1.json"), "somebody.near", &key("3").to_string());
    daemon.signal(Signal::HUP);
    daemon.logged("the key files have keys of another account").await;
    assert!(signing("1"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
}
