//! The test kit, as a dApp's own tests use it: node and workers are processes of the command.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use near_workspaces::{Account, Contract, types::NearToken};
use outlayer_integration_tests::{artifacts, guests, node::testbed_binary};
use outlayer_protocol::{ExecutionRequest, Hash32, Outcome, Status};
use outlayer_testkit::{Behaviour, Call, Lie, Outlayer, Program, Setup};
use serde_json::json;

fn setup() -> Result<Setup> {
    let program = Program::at(testbed_binary()?, ["outlayer"])?;
    Ok(Outlayer::setup().program(program).contract(artifacts::wasm("outlayer_contract")?))
}

/// The dApp of `examples/ask` with the guest `echo`, and a user of it.
struct Stage {
    outlayer: Outlayer,
    dapp: Contract,
    code: Hash32,
    user: Account,
    deposit: NearToken,
}

impl Stage {
    async fn set(setup: Setup, guest: &str) -> Result<Self> {
        let outlayer = setup.start().await?;
        let dapp = artifacts::wasm("example_ask")?;
        let dapp = outlayer.deploy(&dapp, json!({ "outlayer": outlayer.id() })).await?;
        let code = outlayer.publish(&artifacts::wasm(guest)?).await?;
        let user = outlayer.account().await?;
        let args = json!({ "code": code, "input": "hello", "payer": user.id() });
        let request: ExecutionRequest = dapp.view("request").args_json(args).await?.json()?;
        let deposit = outlayer.estimate(&request).await?.total;
        Ok(Self { outlayer, dapp, code, user, deposit })
    }

    fn ask<'a>(&'a self, input: &str) -> Call<'a> {
        let args = json!({ "code": self.code, "input": input });
        self.outlayer.call(&self.user, self.dapp.id(), "ask", args).deposit(self.deposit)
    }

    /// A request that the user makes itself.
    async fn request(&self, request: &ExecutionRequest) -> Result<outlayer_testkit::Called> {
        Ok(self.outlayer.request(&self.user, request).await?.await?)
    }
}

#[tokio::test]
async fn a_served_call_has_its_answer_and_money_to_the_yocto() -> Result<()> {
    let stage = Stage::set(setup()?, "echo").await?;
    let called = stage.ask("hello").await?;
    assert_eq!(called.json::<String>()?, "hello");
    assert_eq!(called.outcomes(), ["completed"]);
    assert_eq!(called.failure(), None);
    let (request, money) = (called.request()?, called.money);
    assert!(request.used.is_some() && request.digest.is_some() && request.worker_id.is_some());
    assert!(money.fee > NearToken::default() && called.gas.as_gas() > 0);
    assert_eq!(money.fee.saturating_add(money.refund), stage.deposit);
    assert_eq!(money.caller_paid, i128::try_from(money.fee.as_yoctonear())?);
    assert_eq!(request.guest_log.as_deref(), Some(""), "the guest logs nothing");
    // With too little the request is not taken, and what was attached comes back.
    let short = stage.deposit.saturating_div(2);
    let refused = stage.ask("hello").deposit(short).await?;
    assert!(refused.json::<String>()?.starts_with("refused: "), "{refused:?}");
    assert_eq!((refused.requests.len(), refused.money.caller_paid), (0, 0));
    Ok(())
}

#[tokio::test]
async fn what_a_guest_logs_is_there() -> Result<()> {
    let stage = Stage::set(setup()?, "trap").await?;
    let called = stage.request(&guests::request(stage.code, "nonsense")).await?;
    assert!(called.guest_log().contains("expected unreachable"), "{called:?}");
    Ok(())
}

#[tokio::test]
async fn a_request_that_nobody_answers_times_out_and_costs_nothing() -> Result<()> {
    let stage = Stage::set(setup()?.workers([]), "echo").await?;
    let called = stage.ask("hello").until_timeout().await?;
    assert_eq!(called.json::<String>()?, "no answer: timed_out");
    assert_eq!((called.outcomes(), called.money.caller_paid), (vec!["timed_out"], 0));
    Ok(())
}

#[tokio::test]
async fn workers_that_are_stopped_answer_nothing_more() -> Result<()> {
    let stage = Stage::set(setup()?, "echo").await?;
    assert_eq!(stage.ask("hello").await?.outcomes(), ["completed"]);
    stage.outlayer.stop_workers();
    assert_eq!(stage.ask("hello").until_timeout().await?.outcomes(), ["timed_out"]);
    Ok(())
}

#[tokio::test]
async fn a_liar_alone_is_believed_and_its_digest_shows_it() -> Result<()> {
    let lie = Behaviour::Lying(Lie::output("a lie"));
    let stage = Stage::set(setup()?.workers([lie, Behaviour::Absent]), "echo").await?;
    let lied = stage.ask("the truth").await?;
    assert_eq!(lied.json::<String>()?, "a lie");
    assert_eq!(lied.request()?.guest_log, None, "nobody has executed anything");
    let failing = Behaviour::Lying(Lie::status(Status::StackOverflow));
    let stage = Stage::set(setup()?.workers([failing]), "echo").await?;
    assert_eq!(stage.ask("the truth").await?.outcomes(), ["stack_overflow"]);
    Ok(())
}

#[tokio::test]
async fn a_slow_worker_answers_when_the_request_is_old_enough() -> Result<()> {
    let stage = Stage::set(setup()?.workers([Behaviour::Slow { blocks: 60 }]), "echo").await?;
    let sent = stage.ask("hello").send().await?;
    let asked_at = sent.pending().await?[0].block_height;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.outlayer.pending().await?.len(), 1, "it was answered at once");
    stage.outlayer.advance_to(asked_at + 60).await?;
    let called = sent.finished().await?;
    assert_eq!(called.outcomes(), ["completed"]);
    ensure!(stage.outlayer.settled_at(&called.result).await? >= asked_at + 60);
    Ok(())
}

#[tokio::test]
async fn two_honest_workers_of_three_outvote_a_liar_and_two_liars_outvote_them() -> Result<()> {
    let lie = || Behaviour::Lying(Lie::output("a lie"));
    let honest = || Behaviour::Honest;
    for (workers, said) in
        [([honest(), honest(), lie()], "the truth"), ([lie(), honest(), lie()], "a lie")]
    {
        // A turn takes 60 blocks, which is enough for workers on a busy machine.
        let setup = setup()?.workers(workers).block_time(Duration::from_millis(300));
        let stage = Stage::set(setup, "echo").await?;
        let request = guests::with_fuel(guests::request(stage.code, "the truth"), 2_000_000_000);
        let request = ExecutionRequest { approvals: 2, spares: 1, ..request };
        let called = stage.request(&request).await?;
        assert_eq!(called.output()?, said.as_bytes());
    }
    Ok(())
}

#[tokio::test]
async fn storage_is_set_up_and_read_back() -> Result<()> {
    let stage = Stage::set(setup()?, "key-value").await?;
    let (outlayer, user) = (&stage.outlayer, &stage.user);
    assert_eq!(outlayer.storage_balance(user.id()).await?, None);
    outlayer.storage_deposit(user.id(), NearToken::from_near(1)).await?;
    outlayer.storage_set(user, "visits", "41").await?;
    let input = r#"[{"op":"increment","key":"visits"}]"#;
    let called = stage.request(&guests::request(stage.code, input)).await?;
    assert_eq!(called.output()?, b"[42]");
    assert_eq!(outlayer.storage_get(user.id(), "visits").await?.as_deref(), Some(&b"42"[..]));
    assert_eq!(outlayer.storage_get(user.id(), "nothing").await?, None);
    Ok(())
}

#[tokio::test]
async fn prices_can_be_changed_and_the_contract_be_paused() -> Result<()> {
    let stage = Stage::set(setup()?, "echo").await?;
    let request = guests::request(stage.code, "hello");
    let before = stage.request(&request).await?;
    let dearer = NearToken::from_millinear(1);
    let change = |config: &mut outlayer_protocol::Config| {
        config.prices.per_module_byte = dearer.saturating_div(1_000);
    };
    stage.outlayer.configure(change).await?;
    let after = stage.request(&request).await?;
    assert!(after.money.fee > before.money.fee, "{:?} {:?}", before.money, after.money);
    stage.outlayer.pause().await?;
    let refused = stage.outlayer.call(
        &stage.user,
        stage.outlayer.id(),
        "request_execution",
        json!({ "request": request }),
    );
    let refused = refused.deposit(NearToken::from_near(5)).await?;
    assert!(refused.failure().is_some_and(|failure| failure.contains("paused")), "{refused:?}");
    stage.outlayer.unpause().await?;
    let settled = stage.request(&request).await?.settlement()?;
    assert_eq!(settled.outcome, Outcome::Completed { output: "hello".into() });
    Ok(())
}

/// Nobody waits for the time-out of a test whose worker cannot answer.
#[tokio::test]
async fn a_worker_that_has_ended_is_missed_at_once_and_its_last_words_are_shown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (script, testbed) = (folder.path().join("outlayer"), testbed_binary()?);
    let dies = r#"[ "$2" != run ] || { echo "no such key" >&2; exit 3; }"#;
    std::fs::write(&script, format!("{dies}\nexec {} outlayer \"$@\"\n", testbed.display()))?;
    // The script is read and not run: a process that another test starts just now may have it open
    // for writing, and then the system would not run it.
    let program = Program::at("/bin/sh", [script])?;
    let stage = Stage::set(setup()?.program(program), "echo").await?;
    let error = stage.ask("hello").await.err().context("it was served")?.to_string();
    assert!(error.contains("exit status: 3") && error.contains("no such key"), "{error}");
    Ok(())
}

#[tokio::test]
async fn nothing_outlives_the_test() -> Result<()> {
    let stage = Stage::set(setup()?, "echo").await?;
    let address = stage.outlayer.node.rpc_addr();
    let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(stage);
    let begun = Instant::now();
    while std::net::TcpStream::connect(&address).is_ok() {
        ensure!(begun.elapsed() < crate::common::PATIENCE, "the node still listens");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
