//! Secrets, from the owner who stores one to the verifier who replays an execution with it. What is
//! secret in them stands in nothing that a command prints.

use std::{fs, process::Stdio};

use anyhow::{Context, Result, ensure};
use near_workspaces::{Account, types::NearToken};
use outlayer_integration_tests::{Testbed, artifacts};
use outlayer_protocol::methods;
use outlayer_secrets::WorkerKey;
use serde_json::{Value, json};

use super::home::{Home, Said};

const VALUE: &str = "hunter2-correct-horse";

/// An owner of secrets, whose key is in near-cli-rs's place.
struct Owner {
    home: Home,
    account: Account,
}

impl Owner {
    async fn new(testbed: &Testbed) -> Result<Self> {
        let mut home = Home::new(testbed)?;
        let account = testbed.node.dev_create_account().await?;
        home.import(&account)?;
        home.call(account.id().as_str(), "you.testnet");
        home.call(testbed.dapp.id().as_str(), "dapp.testnet");
        fs::write(home.path().join("echo.wasm"), artifacts::wasm("echo")?)?;
        fs::write(home.path().join("value"), format!("{VALUE}\n"))?;
        Ok(Self { home, account })
    }

    /// Runs a command, and looks for the value in what it prints.
    async fn run(&self, arguments: &[&str]) -> Result<Said> {
        let said = self.home.run(arguments).await?;
        ensure!(!format!("{said:?}").contains(&VALUE[..8]), "{arguments:?}: {said:?}");
        Ok(said)
    }

    /// Runs a command that signs with the owner's account.
    async fn sign(&self, arguments: &[&str]) -> Result<Said> {
        self.run(&[arguments, &["--account", self.account.id().as_str()]].concat()).await
    }
}

/// Has the contract's owner publish a key of the worker.
async fn publish_key(testbed: &Testbed, owner: &Owner) -> Result<()> {
    let worker = testbed.worker.id().as_str();
    let made = owner.run(&["worker", "secrets-key", "--file", "secrets.key", "--json"]).await?;
    let made = made.with(0)?.json()?;
    let word = made["metadata_word"].as_str().context("metadata_word")?;
    let again = owner.run(&["worker", "secrets-key", "--file", "secrets.key"]).await?;
    ensure!(again.stdout.contains(word), "{again:?}");
    owner.home.snapshot("worker-secrets-key", &again)?;
    let keys = owner.home.import(testbed.contract.as_account())?.display().to_string();
    let register = ["worker", "register", "--worker", worker, "--key-file", &keys];
    owner.run(&[&register[..], &["--metadata", "Berlin, rack 3"]].concat()).await?.with(0)?;
    owner.run(&[&register[..], &["--secrets-key", word]].concat()).await?.with(0)?;
    let metadata = testbed.worker_view(testbed.worker.id()).await?.metadata;
    assert_eq!(metadata, format!("Berlin, rack 3 {word}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_stored_asked_for_replayed_and_removed() -> Result<()> {
    let testbed = Testbed::start().await?;
    let owner = Owner::new(&testbed).await?;
    let echo = testbed.publish_guest("echo").await?.to_string();
    let put = ["secrets", "put", "API_KEY", "--for", &echo, "--value-file", "value"];
    let worker = testbed.worker.id().as_str();

    let no_key = owner.sign(&[&put[..], &["--workers", worker]].concat()).await?.with(2)?;
    ensure!(no_key.stderr.contains(&format!("{worker} publishes no key")), "{no_key:?}");
    let nobody = owner.sign(&put).await?.with(2)?;
    ensure!(nobody.stderr.contains("none of the 1 registered workers is active"), "{nobody:?}");
    publish_key(&testbed, &owner).await?;

    owner.sign(&["storage", "deposit", "0.2"]).await?.with(0)?;
    let dry = owner.sign(&[&put[..], &["--keep", "one.json", "--dry-run"]].concat()).await?;
    ensure!(dry.with(0)?.stdout.contains("storage_set"));
    ensure!(!owner.home.path().join("one.json").exists(), "nothing was stored");
    owner.home.snapshot("secrets-list-none", &owner.sign(&["secrets", "list"]).await?)?;
    let first = owner.sign(&[&put[..], &["--keep", "one.json"]].concat()).await?;
    owner.home.snapshot("secrets-put", &first)?;
    let again = owner.sign(&[&put[..], &["--keep", "one.json"]].concat()).await?.with(2)?;
    ensure!(again.stderr.contains("one.json: expected a file that can be made anew"), "{again:?}");

    // From standard input, with the other options.
    let account = owner.account.id().as_str();
    let access = format!("{account},{}", testbed.dapp.id());
    let mut command = owner.home.command(&[
        "secrets",
        "put",
        "API_KEY",
        "--for",
        &echo,
        "--access",
        &access,
        "--hosts",
        "api.example.com,*.example.org",
        "--workers",
        worker,
        "--keep",
        "two.json",
        "--json",
        "--account",
        account,
    ])?;
    command.stdin(Stdio::from(fs::File::open(owner.home.path().join("value"))?));
    let second = owner.home.output(command).await?;
    ensure!(!format!("{second:?}").contains(VALUE), "{second:?}");
    owner.home.snapshot("secrets-put-json", &second)?;
    owner.home.snapshot("secrets-list", &owner.sign(&["secrets", "list"]).await?)?;
    let suspend = testbed.contract.call(methods::SUSPEND_WORKER);
    let suspend = suspend.args_json(json!({ "worker_id": worker, "suspended": true }));
    suspend.deposit(NearToken::from_yoctonear(1)).transact().await?.into_result()?;
    let listed = owner.run(&["secrets", "list", "--owner", account, "--json"]).await?;
    owner.home.snapshot("secrets-list-json", &listed)?;
    let resume = testbed.contract.call(methods::SUSPEND_WORKER);
    let resume = resume.args_json(json!({ "worker_id": worker, "suspended": false }));
    resume.deposit(NearToken::from_yoctonear(1)).transact().await?.into_result()?;

    let ask = ["request", "echo.wasm", "--input", "hello", "--secret", "API_KEY", "--timeout", "1"];
    owner.sign(&ask).await?.with(4)?;
    let status = owner.run(&["status", "0"]).await?;
    ensure!(status.stdout.contains(&format!("API_KEY of {account}, version 2")), "{status:?}");
    owner.home.snapshot("secrets-remove", &owner.sign(&["secrets", "remove", "API_KEY"]).await?)?;
    owner.sign(&["secrets", "remove", "API_KEY", "--json"]).await?.with(1)?;
    let refused = owner.sign(&ask).await?.with(2)?;
    ensure!(refused.stderr.contains("there is none of this name"), "{refused:?}");
    ensure!(refused.stderr.contains("try: `outlayer secrets list"), "{refused:?}");

    // The request that was taken before is answered, and whoever has the opening replays it.
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.secrets.keys = vec![WorkerKey::read(&owner.home.path().join("secrets.key"))?];
    config.secrets.one_endpoint = true;
    let serving = testbed.serve_with(config)?;
    let status = owner.run(&["watch", "0"]).await?.with(0)?;
    ensure!(status.stdout.contains("hello"), "{status:?}");
    serving.stop().await?;
    owner.home.snapshot("replay-secret-needed", &owner.run(&["replay", "0"]).await?)?;
    let given = ["--secret", "API_KEY=@two.json"];
    let with = |arguments: &[&'static str]| [arguments, &given[..]].concat();
    owner.home.snapshot("replay-with-secret", &owner.run(&with(&["replay", "0"])).await?)?;
    let wrong = owner.run(&["replay", "0", "--secret", "API_KEY=@one.json"]).await?.with(2)?;
    ensure!(wrong.stderr.contains("is not what the request pins"), "{wrong:?}");
    let audit = owner.run(&["audit", "--to", "0", "--json"]).await?.with(10)?.json()?;
    assert_eq!(audit["summary"], json!({ "secret_needed": 1 }));
    let audit = owner.run(&["audit", "--to", "0", "--secret", "API_KEY=@one.json"]).await?;
    ensure!(audit.with(10)?.stdout.contains("secret_needed: the opening of API_KEY"));
    let audit = owner.run(&with(&["audit", "--to", "0", "--json"])).await?.with(0)?.json()?;
    assert_eq!(audit["summary"], json!({ "match": 1 }));

    let run = ["run", "echo.wasm", "--request", "0"];
    let without = owner.run(&run).await?.with(10)?;
    ensure!(without.stderr.contains("the opening of API_KEY is needed"), "{without:?}");
    ensure!(owner.run(&with(&run)).await?.with(0)?.stdout.contains("hello"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_secret_is_refused_before_anything_is_sent() -> Result<()> {
    let testbed = Testbed::start().await?;
    let owner = Owner::new(&testbed).await?;
    publish_key(&testbed, &owner).await?;
    let echo = testbed.publish_guest("echo").await?.to_string();
    let named = ["publish", "echo.wasm", "--name", "echo"];
    owner.sign(&named).await?.with(0)?;
    let name = format!("{}/echo", owner.account.id());
    let at_one = format!("{name}@1");
    fs::write(owner.home.path().join("long"), vec![b'v'; 4_097])?;
    let assigned = format!("API_KEY={VALUE}");
    let cases: [(&[&str], &str); 8] = [
        (&["API_KEY", VALUE, "--for", &echo], "a value on the command line"),
        (&[&assigned, "--for", &echo], "has no '=' and no NUL"),
        (&["TZ", "--for", &echo], "TZ is a variable that the system sets itself"),
        (&["K", "--for", &echo, "--value-file", "long"], "more than 4096 bytes"),
        (&["K", "--for", &name], "a name without a version stands for whatever its owner"),
        (&["K", "--for", "echo"], "expected 64 hex digits or OWNER/NAME@VERSION"),
        (&["K", "--for", &echo, "--hosts", "Example.com"], "\"Example.com\" is no host"),
        (&["K", "--for", &echo, "--workers", "nobody.near"], "nobody.near is not registered"),
    ];
    for (arguments, part) in cases {
        let file: &[&str] =
            if arguments.contains(&"long") { &[] } else { &["--value-file", "value"] };
        let said = owner.sign(&[&["secrets", "put"], arguments, file].concat()).await?.with(2)?;
        ensure!(said.stderr.contains(part), "{arguments:?}: {said:?}");
    }
    for wrong in [assigned.as_str(), &format!("{name}={VALUE}"), "No Account/K"] {
        let said = owner.sign(&["request", "echo.wasm", "--secret", wrong]).await?.with(2)?;
        ensure!(said.stderr.contains("a request has no values of secrets"), "{said:?}");
    }
    let put = ["secrets", "put", "K", "--for", &at_one, "--value-file", "value"];
    let unpaid = owner.sign(&put).await?.with(2)?;
    ensure!(unpaid.stderr.contains("try: pay for more bytes"), "{unpaid:?}");
    let dry = owner.sign(&[&put[..], &["--dry-run", "--json"]].concat()).await?.with(0)?.json()?;
    let call = &dry["transactions"][0]["actions"][0]["call"];
    assert_eq!(call["method"], "storage_set");
    let empty = testbed.contract.view(methods::STORAGE_KEYS);
    let empty: Vec<Value> = empty
        .args_json(json!({ "account_id": owner.account.id(), "from_index": 0, "limit": 9 }))
        .await?
        .json()?;
    assert_eq!(empty, Vec::<Value>::new());
    Ok(())
}

/// The commands of `docs/secrets.md`, in its order, as its owner, its worker and its verifier run
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_run_as_printed() -> Result<()> {
    let testbed = Testbed::start().await?;
    let owner = Owner::new(&testbed).await?;
    let echo = testbed.publish_guest("echo").await?.to_string();
    publish_key(&testbed, &owner).await?;
    owner.sign(&["storage", "deposit", "0.2"]).await?.with(0)?;
    let mut config = testbed.worker_config(&testbed.worker)?;
    config.secrets.keys = vec![WorkerKey::read(&owner.home.path().join("secrets.key"))?];
    config.secrets.one_endpoint = true;
    let serving = testbed.serve_with(config)?;

    let page = fs::read_to_string(artifacts::workspace().join("docs/secrets.md"))?;
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut run = 0;
    for line in blocks.flat_map(str::lines) {
        if line.starts_with("outlayer secrets remove") {
            // The request that the page replays.
            let ask = ["request", "echo.wasm", "--input", "hello", "--secret", "API_KEY"];
            owner.sign(&ask).await?.with(0)?;
        }
        let line = line.replace("3f1a…", &echo).replace("replay 7 ", "replay 0 ");
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        let mut command = owner.home.command(&words)?;
        command.env("OUTLAYER_ACCOUNT", owner.account.id().as_str());
        let said = owner.home.output(command).await?;
        ensure!(said.code == Some(0), "{line}: {said:?}");
        run += 1;
    }
    ensure!(run == 5, "the page has {run} commands");
    serving.stop().await
}
