//! Nothing secret in anything that the programs write.

use std::{fs, path::Path, time::Duration};

use outlayer_client::testing::{Answer, CONTRACT, WORKER};
use rustix::process::Signal;

use super::{
    daemon::guest,
    fake::{Daemon, KEY, World, command, folder, write_key},
};

/// The hash of code that nobody has.
const NO_CODE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What must stand nowhere: the parts of the node's URL, the header that is made of its user part,
/// and the key.
fn secrets() -> Vec<String> {
    let key = KEY.trim_start_matches("ed25519:");
    // base64 of "tenant:PASSWORD", in the form of the header Authorization.
    let basic = "dGVuYW50OlBBU1NXT1JE";
    ["PASSWORD", "PATHTOKEN", "QUERYTOKEN", basic, key, &key[..40]].map(str::to_owned).to_vec()
}

/// The URL with API keys wherever a provider may put one.
fn with_keys(url: &str) -> String {
    let host = url.trim_start_matches("http://");
    format!("http://tenant:PASSWORD@{host}/v1/PATHTOKEN?apikey=QUERYTOKEN")
}

/// Every file below a folder, but the key files that the test itself wrote.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_none_or(|ending| ending != "json") || path.ends_with("log") {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn check(what: &str, bytes: &[u8]) {
    for secret in secrets() {
        let found = bytes.windows(secret.len()).position(|at| at == secret.as_bytes());
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(200)..(at + 80).min(bytes.len())];
            panic!("{secret} is in {what}: {}", String::from_utf8_lossy(around));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_worker_writes_has_a_key_in_it() {
    for (format, key_in_file) in [("json", true), ("text", false)] {
        let (node, world) = World::new().start().await;
        {
            let mut world = world.lock().unwrap();
            world.chain.ask(1, &guest());
            // It ends with a trap, and it cannot be compiled.
            let trap = r#"(module (memory (export "memory") 1)
                (func (export "_start") unreachable))"#;
            world.chain.ask(2, &wat::parse_str(trap).unwrap());
            world.chain.ask(3, b"no module");
            // Its code is missing.
            world.chain.ask(4, b"gone");
            world.chain.codes.retain(|_, code| code != b"gone");
        }
        let folder = folder();
        let arguments = [
            "worker",
            "run",
            "--contract",
            CONTRACT,
            "--account",
            WORKER,
            "--cache-dir",
            "cache",
            "--state-dir",
            "state",
            "--poll-interval",
            "20",
            "--log",
            "trace",
            "--log-format",
            format,
            "--listen",
            "0",
            "--otlp-endpoint",
            "http://127.0.0.1:1/PATHTOKEN",
        ];
        let mut command = command(folder.path(), &arguments);
        command.env("OUTLAYER_RPC_URL", with_keys(&node.url)).env("RUST_BACKTRACE", "1");
        if key_in_file {
            command.env("OUTLAYER_KEY_FILE", "worker.json");
        } else {
            command.env("OUTLAYER_SECRET_KEY", KEY);
        }
        let mut daemon = Daemon::start(command, &folder.path().join("log"));
        daemon.logged("submitted").await;
        daemon.logged("no answer this time").await;
        // The node fails in every way that it can.
        let ways: [fn() -> Answer; 8] = [
            // Servers repeat what they were asked for.
            || Answer::Http(404, b"Cannot POST /v1/PATHTOKEN?apikey=QUERYTOKEN".to_vec()),
            || {
                let message = "no tenant PASSWORD with QUERYTOKEN at /v1/PATHTOKEN";
                Answer::Error(serde_json::json!({
                    "name": "HANDLER_ERROR", "code": -32000, "message": message,
                    "cause": { "name": "INTERNAL_ERROR", "info": { "error_message": message } },
                    "data": message
                }))
            },
            || Answer::Http(500, b"internal".to_vec()),
            || Answer::Http(401, b"your key is bad".to_vec()),
            || Answer::Http(429, Vec::new()),
            || Answer::Http(200, b"<html>".to_vec()),
            || Answer::Http(302, Vec::new()),
            || Answer::Error(serde_json::json!({ "code": -32000, "message": "x" })),
        ];
        for way in ways {
            world.lock().unwrap().broken = Some(way);
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        daemon.logged("cannot be read").await;
        // Nobody listens at the port any more.
        drop(node);
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ended().await, Some(0), "{}", daemon.log());
        let mut written = Vec::new();
        files(folder.path(), &mut written);
        let names: Vec<_> = written.iter().map(|(name, _)| name.clone()).collect();
        assert!(names.iter().any(|name| name.contains("/cache/")), "{names:?}");
        assert!(names.iter().any(|name| name.ends_with("/log")), "{names:?}");
        assert!(written.iter().any(|(_, bytes)| bytes.len() > 10_000), "a log at level trace");
        for (name, bytes) in written {
            check(&name, &bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_other_commands_write_has_a_key_in_it() {
    let (node, world) = World::new().start().await;
    let folder = folder();
    // No key, but most of one.
    write_key(&folder.path().join("wrong.json"), WORKER, &KEY[..70]);
    let url = with_keys(&node.url);
    for broken in [None, Some((|| Answer::Http(500, Vec::new())) as fn() -> Answer)] {
        world.lock().unwrap().broken = broken;
        for arguments in [
            &["worker", "status"][..],
            &["worker", "status", "--json"],
            &["worker", "register"],
            &["worker", "withdraw"],
            &["doctor"],
            &["doctor", "--json"],
            &["worker", "run", "--print-config"],
            &["worker", "run", "--print-config", "--json"],
            &["worker", "run", "--key-file", "wrong.json"],
            &["worker", "run", "--key-file", "worker.json", "--concurrency", "PATHTOKEN_"],
            &["worker", "run", "--help"],
            &["pending"],
            &["status", "1"],
            &["watch", "1", "--timeout", "0"],
            &["replay", "1"],
            &["storage", "set", "k", "v", "--account", WORKER],
            &["request", "--code", NO_CODE, "--account", WORKER],
            &["claim", "--account", WORKER, "--unsigned"],
        ] {
            // A value that is no secret is shown, so this one is not looked for.
            let shown = arguments.contains(&"PATHTOKEN_");
            let mut command = command(folder.path(), arguments);
            command
                .env("OUTLAYER_RPC_URL", &url)
                .env("OUTLAYER_CONTRACT", CONTRACT)
                .env("RUST_LOG", "trace");
            if !arguments.contains(&"--key-file") {
                command.env("OUTLAYER_SECRET_KEY", KEY).env("OUTLAYER_WORKER_ACCOUNT", WORKER);
            }
            let said = tokio::task::spawn_blocking(move || command.output().unwrap());
            let said = said.await.unwrap();
            for (what, bytes) in [("stdout", &said.stdout), ("stderr", &said.stderr)] {
                let bytes = String::from_utf8_lossy(bytes).replace("PATHTOKEN_", "");
                check(&format!("{what} of {arguments:?}"), bytes.as_bytes());
            }
            assert!(!said.stdout.is_empty() || !said.stderr.is_empty() || shown);
        }
    }
}
