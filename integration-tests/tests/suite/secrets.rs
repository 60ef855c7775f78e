//! Secrets: an API that wants a key, workers that have it and others that have not, and everything
//! that is written anywhere.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use near_workspaces::{Account, types::NearToken};
use outlayer_fetch::{
    FetchConfig,
    testing::{Answer, Certificate, Server},
};
use outlayer_integration_tests::{
    Testbed, artifacts,
    guests::request,
    node,
    testbed::{events, settlement},
};
use outlayer_protocol::{
    AccountId, Bytes, ExecutionRequest, Hash32, HttpAccess, Outcome, SecretRef,
    events::{Event, ExecutionCompleted},
    methods,
    secrets::{NOT_AS_COMMITTED, Opening, SecretEntry, associated_data, entry_key, key_word},
};
use outlayer_secrets::{Recipient, Sealing, WorkerKey, seal, seal_entry};
use outlayer_worker::{SecretsConfig, WorkerConfig};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::common::logged;

/// What must never be found anywhere.
const KEY: &str = "sk-live-5d41402abc4b2a76b9719d911017c592";
const NAME: &str = "API_KEY";

fn opening() -> Opening {
    Opening { salt: *b"0123456789abcdef0123456789abcdef", value: KEY.to_owned() }
}

/// An API that answers who has the key.
async fn api(certificate: &Certificate) -> Result<Server> {
    let answer = |heard: &str| match heard.contains(&format!("authorization: Bearer {KEY}")) {
        true => Answer::ok("42"),
        false => Answer::text("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"),
    };
    Ok(Server::start(Some(certificate), answer).await?)
}

/// A worker that is registered, and the key to which secrets are sealed for it.
struct Entitled {
    account: Account,
    key: WorkerKey,
}

impl Entitled {
    async fn register(testbed: &Testbed, account: Account) -> Result<Self> {
        let key = WorkerKey::generate()?;
        let metadata = format!("a worker of the tests {}", key_word(&key.public()));
        // The contract is its own owner here.
        let call = testbed.contract.call(methods::REGISTER_WORKER);
        let call = call.args_json(json!({ "worker_id": account.id(), "metadata": metadata }));
        let call = call.deposit(NearToken::from_yoctonear(1)).max_gas();
        call.transact().await?.into_result()?;
        Ok(Self { account, key })
    }

    fn recipient(&self) -> Recipient {
        Recipient { worker_id: self.account.id().clone(), public_key: self.key.public() }
    }
}

/// A secret for `code`, for the dApp of the testbed.
struct Secret<'a> {
    testbed: &'a Testbed,
    owner: Account,
    code: Hash32,
    hosts: Vec<String>,
}

impl Secret<'_> {
    fn seal(&self, recipients: &[Recipient]) -> Result<SecretEntry> {
        let sealing = Sealing {
            contract_id: self.testbed.contract.id(),
            owner_id: self.owner.id(),
            name: NAME,
            version: 1,
            code_hash: self.code,
            access: vec![self.testbed.dapp.id().clone()],
            hosts: self.hosts.clone(),
        };
        Ok(seal_entry(sealing, recipients, &opening())?)
    }

    async fn put(&self, entry: &SecretEntry) -> Result<()> {
        let args = json!({
            "key": Bytes::from(entry_key(NAME)), "value": Bytes::from(entry.encode()),
        });
        let call = self.owner.call(self.testbed.contract.id(), methods::STORAGE_SET);
        let call = call.args_json(args).deposit(NearToken::from_near(1)).max_gas();
        call.transact().await?.into_result()?;
        Ok(())
    }

    fn asked(&self, url: &str, approvals: u8) -> ExecutionRequest {
        let mut request = request(self.code, url);
        request.approvals = approvals;
        if !self.hosts.is_empty() {
            request.http = Some(HttpAccess::to(self.hosts.clone()));
        }
        let owner_id = Some(self.owner.id().clone());
        request.secrets = vec![SecretRef { owner_id, name: NAME.to_owned() }];
        request
    }
}

fn completed(events: &[Event]) -> Result<&ExecutionCompleted> {
    let mut found = events.iter().filter_map(|event| match event {
        Event::ExecutionCompleted(completed) => Some(completed),
        _ => None,
    });
    found.next().context("the request was not settled with an execution")
}

/// The configuration of a worker that trusts the certificate and has this key. Two names of the
/// node have to say the same.
fn entitled(
    testbed: &Testbed,
    worker: &Entitled,
    certificate: &Certificate,
) -> Result<WorkerConfig> {
    let mut config = testbed.worker_config(&worker.account)?;
    let named = testbed.node.rpc_addr().replace("localhost", "127.0.0.1");
    config.node.endpoints =
        vec![named.as_str().into(), named.replace("127.0.0.1", "localhost").as_str().into()];
    config.secrets = SecretsConfig { keys: vec![worker.key.clone()], one_endpoint: false };
    config.fetch = FetchConfig {
        allow_loopback: true,
        roots: vec![certificate.pem.clone()],
        ..FetchConfig::default()
    };
    Ok(config)
}

/// Runs `outlayer replay`. Returns its exit code and its report.
async fn replay(
    testbed: &Testbed,
    transaction: &str,
    signer: &AccountId,
    more: &[&str],
) -> Result<(Option<i32>, Value)> {
    let args = ["replay", "--tx", transaction, "--signer", signer.as_str()];
    outlayer(testbed, &[&args, more].concat()).await
}

/// Runs a command of `outlayer`. Returns its exit code and its report, in which there is no key.
async fn outlayer(testbed: &Testbed, args: &[&str]) -> Result<(Option<i32>, Value)> {
    let mut command = Command::new(node::testbed_binary()?);
    command.arg("outlayer").args(args).args(["--rpc-url", &testbed.node.rpc_addr()]).args([
        "--contract",
        testbed.contract.id().as_str(),
        "--json",
    ]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains(KEY) && !String::from_utf8_lossy(&output.stderr).contains(KEY));
    let report = serde_json::from_str(&text)
        .with_context(|| format!("no JSON: {text} {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((output.status.code(), report))
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_have_the_key_agree_and_those_without_it_stay_out() -> Result<()> {
    let testbed = Testbed::start_with_timer().await?;
    let certificate = Certificate::new().map_err(anyhow::Error::from_boxed)?;
    let mut api = api(&certificate).await?;
    let code = testbed.publish_guest("api-key").await?;
    let mut workers = vec![Entitled::register(&testbed, testbed.worker.clone()).await?];
    for _ in 0..3 {
        workers.push(Entitled::register(&testbed, testbed.account().await?).await?);
    }
    let owner = testbed.node.dev_create_account().await?;
    let hosts = vec![api.host()];
    let secret = Secret { testbed: &testbed, owner, code, hosts };
    // The last one has a key, and is not given the secret.
    let recipients: Vec<_> = workers.iter().take(3).map(Entitled::recipient).collect();
    secret.put(&secret.seal(&recipients)?).await?;

    testbed.set_block_time(std::time::Duration::from_millis(150));
    testbed.wait_for_workers();
    let mut serving = Vec::new();
    for worker in &workers {
        serving.push(testbed.serve_with(entitled(&testbed, worker, &certificate)?)?);
    }
    let user = testbed.node.dev_create_account().await?;
    let asked = testbed.ask(&user, &secret.asked(&api.url("/balance"), 2)).await?;
    let hash = asked.hash().to_string();
    let result = testbed.finished(asked).await?;
    let told = events(&result);
    let voters = completed(&told)?.workers.clone();
    assert!(voters.len() >= 2 && !voters.contains(workers[3].account.id()), "{voters:?}");
    assert_eq!(settlement(result)?.outcome, Outcome::Completed { output: "42".into() });
    for one in serving {
        one.stop().await?;
    }
    assert!(api.heard.recv().await.context("nobody asked")?.contains(KEY));

    // From the chain alone it cannot be said what the guest was given. With the secret it can.
    let (exit, report) = replay(&testbed, &hash, user.id(), &[]).await?;
    assert_eq!(exit, Some(10), "{report}");
    let given = format!("{NAME}={}:{KEY}", opening_salt());
    let (exit, report) = replay(&testbed, &hash, user.id(), &["--secret", &given]).await?;
    assert_eq!(exit, Some(0), "{report}");

    // So does the guest by itself, on what the request was answered, and on a file of it.
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (wasm, file) = (at("api-key.wasm"), at("transcript.json"));
    fs::write(&wasm, artifacts::wasm("api-key")?)?;
    let on = ["run", &wasm, "--request", "0", "--secret", &given];
    let answered = json!(Bytes::from("42"));
    for more in ["--transcript-to", "--transcript"] {
        let (exit, report) = outlayer(&testbed, &[&on[..], &[more, &file]].concat()).await?;
        assert_eq!((exit, &report["output"]), (Some(0), &answered), "{report}");
        let kept = fs::read_to_string(&file)?;
        assert!(!kept.contains("balance"), "a URL may hold a secret: {kept}");
    }
    Ok(())
}

/// The salt of [`opening`], in hex.
fn opening_salt() -> String {
    Hash32(opening().salt).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_its_owner_has_not_committed_to_is_an_outcome() -> Result<()> {
    let testbed = Testbed::start().await?;
    let certificate = Certificate::new().map_err(anyhow::Error::from_boxed)?;
    let code = testbed.publish_guest("api-key").await?;
    let worker = Entitled::register(&testbed, testbed.worker.clone()).await?;
    let owner = testbed.node.dev_create_account().await?;
    let secret = Secret { testbed: &testbed, owner, code, hosts: Vec::new() };
    let mut entry = secret.seal(&[worker.recipient()])?;
    let other = Opening { value: "another value".to_owned(), ..opening() };
    let (contract, owner) = (testbed.contract.id(), secret.owner.id());
    let data = associated_data(contract, owner, NAME, &entry.terms, worker.account.id());
    entry.sealed = vec![seal(&worker.key.public(), &data, &other)?.into()];
    secret.put(&entry).await?;
    let serving = testbed.serve_with(entitled(&testbed, &worker, &certificate)?)?;
    let user = testbed.node.dev_create_account().await?;
    let settled = testbed.settlement(testbed.ask(&user, &secret.asked("", 1)).await?).await?;
    assert_eq!(settled.outcome, Outcome::Trapped { reason: NOT_AS_COMMITTED.to_owned() });
    serving.stop().await
}

/// The files below a folder that hold the key.
fn leaks(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(leaks(&path)?);
        } else if path.is_file() && holds(&fs::read(&path)?) {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}

/// Whether bytes hold the key: as it is, in hex or in base64.
fn holds(bytes: &[u8]) -> bool {
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    // Base64 of the key without what depends on its neighbours, at each of the three offsets.
    let coded = (0..3).map(|skip| {
        let json = json!(Bytes::from(&KEY.as_bytes()[skip..])).to_string();
        json.trim_matches(['"', '=']).get(..24).unwrap_or_default().to_owned()
    });
    let needles: Vec<String> = coded.chain([KEY.to_owned(), hex]).collect();
    needles
        .iter()
        .any(|needle| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
}

/// What a node shows of the chunk of a height; an error where there is none.
async fn chunk(testbed: &Testbed, height: u64) -> Result<String> {
    let params = json!({ "block_id": height, "shard_id": 0 });
    let asked =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "chunk", "params": params }).to_string();
    let address = testbed.node.rpc_addr();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        asked.len()
    );
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(&[head, asked].concat().into_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_written_nowhere() -> Result<()> {
    let testbed = Testbed::start().await?;
    let certificate = Certificate::new().map_err(anyhow::Error::from_boxed)?;
    let mut api = api(&certificate).await?;
    let code = testbed.publish_guest("api-key").await?;
    let worker = Entitled::register(&testbed, testbed.worker.clone()).await?;
    let owner = testbed.node.dev_create_account().await?;
    let secret = Secret { testbed: &testbed, owner, code, hosts: vec![api.host()] };
    secret.put(&secret.seal(&[worker.recipient()])?).await?;

    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    worker.key.write(&folder.path().join("secrets.key"))?;
    fs::write(at("roots.pem"), &certificate.pem)?;
    let (cache, state, roots, key) = (at("cache"), at("state"), at("roots.pem"), at("secrets.key"));
    // All that the daemon has to say, and its temporary files too.
    let temporary = format!("TMPDIR={}", folder.path().display());
    let wrapper = ["env", &temporary];
    let args = [
        "--log",
        "trace",
        "--cache-dir",
        &cache,
        "--state-dir",
        &state,
        "--http-roots",
        &roots,
        "--http-loopback",
        "--secrets-key-file",
        &key,
        "--secrets-one-endpoint",
    ];
    let mut daemon = testbed.daemon(&testbed.node.rpc_addr(), &wrapper, &args)?;
    logged(&mut daemon, &["looking for requests"]).await?;
    let user = testbed.node.dev_create_account().await?;
    let asked = secret.asked(&api.url("/balance"), 1);
    let result = testbed.finished(testbed.ask(&user, &asked).await?).await?;
    let told = format!("{result:?}");
    assert_eq!(settlement(result)?.outcome, Outcome::Completed { output: "42".into() });
    // An API that is down, and one that does not take the key.
    let mut elsewhere = secret.asked("https://localhost:1/", 1);
    elsewhere.http = asked.http.clone();
    let settled = testbed.settlement(testbed.ask(&user, &elsewhere).await?).await?;
    assert_eq!(settled.outcome.name(), "completed");
    assert!(api.heard.recv().await.context("nobody asked")?.contains(KEY), "the test sees it");

    // Every transaction and receipt of the chain.
    let newest = testbed.node.view_block().await?.height();
    let mut receipts = 0;
    for height in 0..=newest {
        let chunk = chunk(&testbed, height).await?;
        assert!(!holds(chunk.as_bytes()), "{chunk}");
        receipts += chunk.matches("\"receipt_id\"").count();
    }
    assert!(receipts > 10, "{receipts} receipts in {newest} blocks");
    assert!(!holds(told.as_bytes()), "{told}");
    let log = daemon.log();
    assert!(log.contains("executed") && !holds(log.as_bytes()), "{log}");
    daemon.kill()?;
    assert_eq!(leaks(folder.path())?, Vec::<String>::new());
    assert!(
        holds(KEY.as_bytes()) && holds(&Bytes::from(format!("xy{KEY}").as_str())),
        "it can be found"
    );
    Ok(())
}
