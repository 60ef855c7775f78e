//! A node with a contract, accounts and keys, and what the tests run beside it.

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use outlayer_client::testing::{Answer, CONTRACT, Chain, FakeNode, WORKER, executed, view_result};
use outlayer_protocol::{Bytes, Config, NearToken, methods, views::WorkerView};
use serde_json::{Value, json};
use tempfile::TempDir;
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime as _, SystemTime},
};

/// The key of the worker's account.
pub(crate) const KEY: &str = "ed25519:3D4YudUahN1nawWogh8pAKSj92sUNMdbZGjn7kERKzYoTy8tnFQuwoGUC51D\
                              owKqorvkr2pytJSnwuSbsNVfqygr";
/// The contract's owner.
pub(crate) const OWNER: &str = "owner.near";

/// A key that the chain shows for the account.
const PUBLIC_KEY: &str = "ed25519:6E8sCci9badyRkXb3JoRpBj5p8C6Tw41ELDZoiihKEtp";

/// How long what takes a moment may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const NO_HASH: &str = "11111111111111111111111111111111";

/// What the node says, which a test may change at any time.
pub(crate) struct World {
    pub(crate) chain: Chain,
    /// What the node answers instead of everything else.
    pub(crate) broken: Option<fn() -> Answer>,
    pub(crate) registration: Option<WorkerView>,
    pub(crate) balance: NearToken,
    pub(crate) permission: Value,
    pub(crate) paused: bool,
    pub(crate) config: Config,
    /// The methods that change something, with the accounts that called them.
    pub(crate) called: Vec<String>,
}

pub(crate) fn registration() -> WorkerView {
    WorkerView {
        worker_id: WORKER.parse().unwrap(),
        earnings: NearToken::from_millinear(1_250),
        settled: 41,
        lost: 1,
        missed: 2,
        suspended: false,
        metadata: String::new(),
    }
}

/// A key that may call every method of the contract.
pub(crate) fn function_call() -> Value {
    json!({ "FunctionCall": {
        "allowance": "500000000000000000000000", "receiver_id": CONTRACT, "method_names": []
    } })
}

impl World {
    pub(crate) fn new() -> Self {
        let mut config = outlayer_client::testing::config();
        config.engine_version = outlayer_executor::ENGINE_VERSION;
        config.near_config_version = outlayer_executor::NEAR_CONFIG_VERSION;
        Self {
            chain: Chain::new(config),
            broken: None,
            registration: Some(registration()),
            balance: NearToken::from_near(3),
            permission: function_call(),
            paused: false,
            config,
            called: Vec::new(),
        }
    }

    pub(crate) async fn start(self) -> (FakeNode, Arc<Mutex<World>>) {
        let world = Arc::new(Mutex::new(self));
        let shared = Arc::clone(&world);
        let answer =
            move |method: &str, params: &Value| shared.lock().unwrap().answer(method, params);
        (FakeNode::start(answer).await, world)
    }

    fn answer(&mut self, method: &str, params: &Value) -> Answer {
        if let Some(broken) = self.broken {
            return broken();
        }
        let view = params["method_name"].as_str().unwrap_or_default();
        match (method, params["request_type"].as_str(), view) {
            ("status", ..) => Answer::Result(status()),
            ("query", Some("view_account"), _) => Answer::Result(json!({
                "amount": self.balance, "locked": "0", "code_hash": NO_HASH,
                "storage_usage": 182, "storage_paid_at": 0,
                "block_height": 100, "block_hash": NO_HASH
            })),
            ("query", Some("view_access_key"), _) if params["account_id"] != WORKER => {
                Answer::Result(json!({
                    "nonce": 0, "permission": "FullAccess", "block_height": 100,
                    "block_hash": NO_HASH
                }))
            }
            ("query", Some("view_access_key"), _) => match self.chain.answer(method, params) {
                Answer::Result(mut key) => {
                    key["permission"] = self.permission.clone();
                    Answer::Result(key)
                }
                other => other,
            },
            ("query", _, methods::GET_CONFIG) => view_result(&json!({
                "owner_id": OWNER, "paused": self.paused, "config": self.config
            })),
            ("query", Some("view_access_key_list"), _) => Answer::Result(json!({
                "keys": [{
                    "public_key": PUBLIC_KEY,
                    "access_key": { "nonce": 0, "permission": "FullAccess" }
                }],
                "block_height": 100, "block_hash": NO_HASH
            })),
            ("query", _, methods::GET_RESULT) => view_result(&Value::Null),
            ("query", _, methods::GET_CHANGE_FEE) => view_result(&json!("0")),
            ("query", _, methods::GET_CLAIMABLE) => view_result(&json!("5")),
            ("query", _, methods::GET_WORKER) => view_result(&json!(self.registration)),
            ("send_tx", ..) => self.send(params),
            _ => self.chain.answer(method, params),
        }
    }

    /// Calls of the owner and of the account itself are made here; others are the chain's.
    fn send(&mut self, params: &Value) -> Answer {
        let encoded: Bytes = serde_json::from_value(params["signed_tx_base64"].clone()).unwrap();
        let has = |method: &str| encoded.0.windows(method.len()).any(|at| at == method.as_bytes());
        for (method, returned) in [
            (methods::REGISTER_WORKER, "null"),
            (methods::WITHDRAW_EARNINGS, "\"1250\""),
            (methods::STORAGE_SET, "null"),
        ] {
            if has(method) {
                self.called.push(method.to_owned());
                return executed(&Default::default(), Ok(returned.as_bytes()));
            }
        }
        self.chain.answer("send_tx", params)
    }
}

fn status() -> Value {
    let mut now = String::new();
    SystemTime.format_time(&mut Writer::new(&mut now)).unwrap();
    json!({
        "version": { "version": "2.9.0", "build": "", "commit": "", "rustc_version": "" },
        "chain_id": "testnet", "protocol_version": 88, "latest_protocol_version": 88,
        "rpc_addr": null, "validators": [], "validator_account_id": null,
        "validator_public_key": null, "node_key": null, "uptime_sec": 1,
        "node_public_key": "ed25519:11111111111111111111111111111111", "genesis_hash": NO_HASH,
        "sync_info": {
            "latest_block_hash": NO_HASH, "latest_block_height": 100,
            "latest_state_root": NO_HASH, "latest_block_time": now, "syncing": false,
            "earliest_block_hash": null, "earliest_block_height": null,
            "earliest_block_time": null, "epoch_id": null, "epoch_start_height": null
        }
    })
}

/// A folder with the worker's key in `worker.json` and the owner's in `owner.json`.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_key(&folder.path().join("worker.json"), WORKER, KEY);
    // The same key, as if it were the owner's.
    write_key(&folder.path().join("owner.json"), OWNER, KEY);
    folder
}

pub(crate) fn write_key(path: &Path, account: &str, key: &str) -> PathBuf {
    let content = json!({ "account_id": account, "private_key": key }).to_string();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    path.to_owned()
}

/// The command in a folder with nothing in its environment but a search path.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlayer"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// Runs the command with the worker's key against a node.
pub(crate) async fn run(folder: &Path, url: &str, arguments: &[&str]) -> Output {
    let mut command = command(folder, arguments);
    command.env("OUTLAYER_RPC_URL", url).env("OUTLAYER_CONTRACT", CONTRACT);
    if !arguments.contains(&"--key-file") {
        command.env("OUTLAYER_KEY_FILE", "worker.json");
    }
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A process that is killed when the test ends, whose stderr goes to a file.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let file = fs::File::create(log).unwrap();
        let out = file.try_clone().unwrap();
        let child = command.stdout(out).stderr(file).spawn().unwrap();
        Self { child, log: log.to_owned() }
    }

    /// Its log so far, in whole lines.
    pub(crate) fn log(&self) -> String {
        let mut log = fs::read_to_string(&self.log).unwrap();
        log.truncate(log.rfind('\n').map_or(0, |end| end + 1));
        log
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The exit code, when it ends in the end.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        self.ended_within(PATIENCE).await
    }

    /// The exit code, when it ends within this time.
    pub(crate) async fn ended_within(&mut self, within: Duration) -> Option<i32> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status.code().unwrap_or(-1));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// Waits until the log has this text, and gives the log.
    pub(crate) async fn logged(&self, what: &str) -> String {
        eventually(|| Some(self.log()).filter(|log| log.contains(what)))
            .await
            .unwrap_or_else(|| panic!("{what} is not in:\n{}", self.log()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `look` gives in the end.
pub(crate) async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        match look() {
            Some(found) => return Some(found),
            None if Instant::now() > until => return None,
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// GETs a page: its status and its body.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}
