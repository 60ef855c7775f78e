//! `--state`: a chain is kept and outlives the process. `--seed`: two processes produce the same
//! chain.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use outlayer_localnet::{Config, Handle, SpawnError, spawn};
use serde_json::{Value, json};

use crate::{PATIENCE, balance, height_of, http, manual, send, transfer};

/// A running `localnet` binary.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    async fn start(dir: &Path, options: &[&str]) -> Self {
        // The node notes its URL in its home directory. What is there may be of the one before.
        let noted = home(options).join("rpc_url");
        let _ = std::fs::remove_file(&noted);
        let child = Command::new(env!("CARGO_BIN_EXE_localnet"))
            .args(["run", "--rpc-addr", "127.0.0.1:0", "--contract-cache", "none"])
            .args(options)
            .env("HOME", dir)
            .spawn()
            .unwrap();
        let mut process = Self { child, url: String::new() };
        let started = Instant::now();
        while http().get(format!("{}/status", process.url)).send().await.is_err() {
            assert!(started.elapsed() < PATIENCE, "no answer");
            assert_eq!(process.child.try_wait().unwrap(), None, "it has ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
            process.url = std::fs::read_to_string(&noted).unwrap_or_default();
        }
        process
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = http().post(&self.url).json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The height and the hash of the head.
    async fn head(&self) -> (u64, String) {
        let info = self.call("status", json!([])).await["sync_info"].clone();
        let hash = info["latest_block_hash"].as_str().unwrap().to_owned();
        (info["latest_block_height"].as_u64().unwrap(), hash)
    }

    async fn block_hash(&self, height: u64) -> Value {
        let block = self.call("block", json!({"block_id": height})).await;
        block["header"]["hash"].clone()
    }

    /// Sends a transfer and waits until it is final. Returns its outcome.
    async fn transfer(&self, home: &Path, nonce: u64) -> Value {
        let (_, hash) = self.head().await;
        let tx = transfer(home, "near", nonce, hash.parse().unwrap());
        let encoded = near_primitives::serialize::to_base64(&borsh::to_vec(&tx).unwrap());
        let params = json!({"signed_tx_base64": encoded, "wait_until": "FINAL"});
        self.call("send_tx", params).await
    }

    /// Ends the process with SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The home directory of a node with these options.
fn home(options: &[&str]) -> PathBuf {
    let value = |name| options.iter().position(|one| *one == name).map(|at| options[at + 1]);
    let within = |state| Path::new(state).join("home");
    value("--home").map(PathBuf::from).or_else(|| value("--state").map(within)).unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_killed_node_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (state, home) = (dir.path().join("state"), dir.path().join("state/home"));
    // The window is small, so that there are several segments.
    let options = ["--state", state.to_str().unwrap(), "--window", "20", "--heartbeat", "never"];
    let first = Process::start(dir.path(), &options).await;
    let mut last = Value::Null;
    for nonce in 1..=15 {
        last = first.transfer(&home, nonce).await;
    }
    let query = json!({"request_type": "view_account", "account_id": "near", "finality": "final"});
    let head = first.head().await;
    let account = first.call("query", query.clone()).await;
    let below = first.block_hash(head.0 - 10).await;
    first.kill();

    let second = Process::start(dir.path(), &options).await;
    assert_eq!(second.head().await, head);
    assert_eq!(second.call("query", query).await, account);
    assert_eq!(second.block_hash(head.0 - 10).await, below);
    let hash = &last["transaction"]["hash"];
    let again = second.call("tx", json!([hash, "test.near"])).await;
    assert_eq!(again["receipts_outcome"], last["receipts_outcome"]);
    second.transfer(&home, 16).await;
    second.kill();

    // Being killed while writing leaves half an entry.
    let journal = newest_journal(&state);
    let mut file = std::fs::OpenOptions::new().append(true).open(journal).unwrap();
    file.write_all(&[200, 0, 0, 0, 1, 2, 3]).unwrap();
    let third = Process::start(dir.path(), &options).await;
    third.transfer(&home, 17).await;
    let head = third.head().await;
    third.kill();
    let fourth = Process::start(dir.path(), &options).await;
    assert_eq!(fourth.head().await, head);
}

fn newest_journal(state: &Path) -> PathBuf {
    let number = |path: &Path| -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("journal-")?.parse().ok()
    };
    std::fs::read_dir(state)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| number(path).is_some())
        .max_by_key(|path| number(path))
        .unwrap()
}

#[tokio::test]
async fn kills_at_any_moment_lose_nothing_that_was_seen() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let options = ["--state", state.to_str().unwrap(), "--window", "15", "--block-time", "1ms"];
    let mut seen: Option<(u64, String)> = None;
    for round in 0..8 {
        let process = Process::start(dir.path(), &options).await;
        let head = process.head().await;
        if let Some((height, hash)) = seen {
            assert!(head.0 >= height, "{} < {height}", head.0);
            // The block may have left the window since, because blocks are produced fast.
            let params = json!({"block_id": height});
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": "block", "params": params});
            let request = http().post(&process.url).json(&body);
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            let found = &answer["result"]["header"]["hash"];
            assert!(found.is_null() || *found == json!(hash), "{answer}");
        }
        tokio::time::sleep(Duration::from_millis(20 + 7 * round)).await;
        seen = Some(process.head().await);
        process.kill();
    }
}

#[test]
fn a_state_belongs_to_one_process_and_one_genesis() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { state: Some(dir.path().into()), ..manual() };
    let handle = spawn(config()).unwrap();
    let Err(SpawnError::Store(error)) = spawn(config()) else {
        panic!("two nodes share a state");
    };
    assert!(error.to_string().contains("in use"), "{error}");
    drop(handle);
    std::fs::remove_dir_all(dir.path().join("home")).unwrap();
    let Err(SpawnError::Store(error)) = spawn(config()) else {
        panic!("another genesis goes on with this state");
    };
    assert!(error.to_string().contains("belongs to the chain"), "{error}");
}

/// A node over a state that another one has just left. A process that another test is starting has
/// the lock's file open until it runs its program.
fn spawn_after(config: impl Fn() -> Config) -> Handle {
    let started = Instant::now();
    loop {
        match spawn(config()) {
            Err(SpawnError::Store(error))
                if error.to_string().contains("in use") && started.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            spawned => return spawned.unwrap(),
        }
    }
}

/// Everything that changes a chain is there again after a restart: patches, fast-forwards, advanced
/// time, reorgs, and restored snapshots.
#[test]
fn whatever_happened_to_a_chain_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { state: Some(dir.path().into()), window: 30, ..manual() };
    let steps: [fn(&Handle); 7] = [
        |handle| {
            handle.produce_blocks(40).unwrap();
        },
        |handle| {
            let account = handle.node().chain().state().account(&"near".parse().unwrap());
            let mut account = account.unwrap();
            account.set_amount(near_primitives::types::Balance::from_near(7));
            let account_id = "near".parse().unwrap();
            let record =
                near_primitives::state_record::StateRecord::Account { account_id, account };
            handle.node().patch_state(vec![record]).unwrap();
        },
        |handle| {
            handle.fast_forward(130).unwrap();
        },
        |handle| {
            handle.advance_time(Duration::from_secs(3600));
            handle.produce_block().unwrap();
        },
        |handle| {
            send(handle, 1);
            handle.produce_blocks(2).unwrap();
            handle.reorg(2).unwrap();
        },
        |handle| {
            send(handle, 2);
            handle.settle().unwrap();
        },
        |handle| {
            let snapshot = handle.snapshot();
            handle.produce_blocks(3).unwrap();
            handle.restore(snapshot);
        },
    ];
    let mut before = None;
    for (number, step) in steps.into_iter().enumerate() {
        let handle = spawn_after(config);
        let now = summary(&handle);
        if let Some(before) = before {
            assert_eq!(now, before, "after step {number}");
        }
        step(&handle);
        before = Some(summary(&handle));
    }
}

/// The properties in which two chains have to agree.
fn summary(handle: &Handle) -> (u64, String, String, u128, u64, u64) {
    let near = balance(handle, "near");
    let chain = handle.node().chain();
    let epoch = chain.epochs().current();
    (
        chain.head().height(),
        chain.head().hash().to_string(),
        chain.state().root().to_string(),
        near,
        epoch.height,
        chain.final_height(),
    )
}

#[test]
fn the_window_is_remembered_across_starts() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { state: Some(dir.path().into()), window: 30, ..manual() };
    let handle = spawn(config()).unwrap();
    handle.produce_blocks(70).unwrap();
    let hash = send(&handle, 1);
    handle.produce_blocks(25).unwrap();
    drop(handle);
    let handle = spawn_after(config);
    assert_eq!(height_of(&handle, &hash), Some(71));
    assert!(handle.node().transaction_status(&hash).is_some());
    let chain = handle.node().chain();
    assert_eq!(chain.history().earliest().height(), 66);
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 6, "two segments, the lock and the home");
}

#[tokio::test]
async fn two_processes_with_one_seed_agree_to_the_last_hash() {
    let run = async || {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let made = Command::new(env!("CARGO_BIN_EXE_localnet"))
            .args(["--home", home.to_str().unwrap(), "init", "--seed", "s"])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        let options = ["--home", home.to_str().unwrap(), "--seed", "s", "--heartbeat", "never"];
        let process = Process::start(dir.path(), &options).await;
        for nonce in 1..=5 {
            process.transfer(&home, nonce).await;
        }
        let before = process.head().await.0;
        let jump = json!({"delta_height": 150});
        process.call("sandbox_fast_forward", jump).await;
        // The block of the jump is there when the call is answered.
        let jumped = before + 151;
        assert!(process.head().await.0 >= jumped);
        (jumped, process.block_hash(jumped).await)
    };
    assert_eq!(run().await, run().await);
}
