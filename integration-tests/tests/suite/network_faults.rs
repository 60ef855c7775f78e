//! What a network may do to a worker: transactions vanish, come late or come twice, calls to the
//! node fail, blocks are replaced, a node forgets. Localnet can do all this on purpose, so these
//! tests always run on localnet.

use std::time::Duration;

use anyhow::{Result, ensure};
use near_workspaces::{Account, operations::TransactionStatus};
use outlayer_integration_tests::{
    Testbed,
    guests::request,
    testbed::{events, settlement},
};
use outlayer_localnet::{
    Handle,
    node::{RpcFaults, TransactionFault},
};
use outlayer_protocol::{Outcome, events::Event, views::FundsView};

use crate::common::PATIENCE;

/// How many heights blocks that are replaced may take, of the 200 that a request lives.
const REPLACED_HEIGHTS: u64 = 100;

/// What suffices for a call with one answer, and not for one with two.
const GAS_OF_ONE: u64 = 7_000_000_000_000;

/// Requests that wait for a worker, and what the contract held before they were made.
struct Scene {
    handle: Handle,
    testbed: Testbed,
    caller: Account,
    asked: Vec<(String, TransactionStatus)>,
    funds: FundsView,
    balance: u128,
}

impl Scene {
    async fn new(requests: usize) -> Result<Self> {
        let (handle, testbed) = Testbed::start_with_faults().await?;
        let echo = testbed.publish_guest("echo").await?;
        let caller = testbed.node.dev_create_account().await?;
        let funds = testbed.funds().await?;
        let balance = testbed.balance(testbed.contract.id()).await?;
        let mut asked = Vec::new();
        for number in 0..requests {
            let input = format!("request {number}");
            let transaction = testbed.ask(&caller, &request(echo, input.as_str())).await?;
            asked.push((input, transaction));
        }
        testbed.wait_for_pending(requests).await?;
        Ok(Self { handle, testbed, caller, asked, funds, balance })
    }

    /// Waits until no request is live. A view may fail, because that is one of the faults.
    async fn until_nothing_is_live(&self) -> Result<()> {
        let looking = async {
            while !self.testbed.pending().await.is_ok_and(|pending| pending.is_empty()) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, looking).await;
        ensure!(ended.is_ok(), "requests are still live after {PATIENCE:?}");
        Ok(())
    }

    /// Waits for the requests, ends the faults, and checks that each request settled once, with its
    /// own answer, and that no other money moved than fees and refunds.
    async fn settled_once_each(self) -> Result<()> {
        self.until_nothing_is_live().await?;
        self.handle.fail_rpc(None);
        assert_eq!(self.handle.faults_to_come(), 0, "every fault must have met a transaction");
        let Self { testbed, caller, asked, funds: before, balance, handle: _handle } = self;
        let (mut fees, mut ids) = (0, Vec::new());
        let count = asked.len();
        for (input, transaction) in asked {
            let result = testbed.finished(transaction).await?;
            let completed = events(&result)
                .into_iter()
                .filter(|event| matches!(event, Event::ExecutionCompleted(_)))
                .count();
            assert_eq!(completed, 1, "{input} must complete once");
            let settled = settlement(result)?;
            assert_eq!(settled.outcome, Outcome::Completed { output: input.as_str().into() });
            fees += settled.fee.as_yoctonear();
            ids.extend(settled.request_id);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        let args = serde_json::json!({ "asker": caller.id() });
        let answers: Vec<String> = testbed.dapp.view("answers").args_json(args).await?.json()?;
        assert_eq!(answers.len(), count, "each callback runs once");

        let funds = testbed.funds().await?;
        assert_eq!(funds.deposits, before.deposits);
        assert_eq!(funds.claimable, before.claimable);
        let taken = |view: &FundsView| view.earnings.as_yoctonear() + view.protocol.as_yoctonear();
        assert_eq!(taken(&funds) - taken(&before), fees);
        assert_eq!(testbed.balance(testbed.contract.id()).await? - balance, fees);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_transaction_vanishes_sends_it_again() -> Result<()> {
    let scene = Scene::new(2).await?;
    scene.handle.next_transaction(TransactionFault::Drop);
    let serving = scene.testbed.serve()?;
    scene.settled_once_each().await?;
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_transaction_comes_late_waits_for_it() -> Result<()> {
    let scene = Scene::new(3).await?;
    scene.handle.next_transaction(TransactionFault::Delay { blocks: 12 });
    scene.handle.next_transaction(TransactionFault::Delay { blocks: 3 });
    let mut config = scene.testbed.worker_config(&scene.testbed.worker)?;
    config.gas = GAS_OF_ONE;
    let serving = scene.testbed.serve_with(config)?;
    scene.settled_once_each().await?;
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_arrives_twice_settles_once() -> Result<()> {
    let scene = Scene::new(2).await?;
    // Both answers may go in one transaction.
    scene.handle.next_transaction(TransactionFault::Duplicate);
    let serving = scene.testbed.serve()?;
    scene.settled_once_each().await?;
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_serves_though_a_third_of_its_requests_to_the_node_fail() -> Result<()> {
    let scene = Scene::new(4).await?;
    scene.handle.fail_rpc(Some(RpcFaults::at_rate(0.3, 11)));
    let serving = scene.testbed.serve()?;
    scene.settled_once_each().await?;
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_serves_though_a_third_of_the_nodes_answers_are_lost() -> Result<()> {
    let scene = Scene::new(4).await?;
    let lost = RpcFaults { carried_out: true, ..RpcFaults::at_rate(0.3, 12) };
    scene.handle.fail_rpc(Some(lost));
    let serving = scene.testbed.serve()?;
    scene.settled_once_each().await?;
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_are_replaced_settle_nothing_twice() -> Result<()> {
    let scene = Scene::new(4).await?;
    let serving = scene.testbed.serve()?;
    // Each block that is replaced takes heights from the time that the requests have.
    let last = scene.handle.height() + REPLACED_HEIGHTS;
    let mut replaced = 0;
    for round in 0..60 {
        if scene.handle.height() >= last {
            break;
        }
        // Fewer blocks are replaced when fewer are not final yet, and none when all are final.
        if let Ok(gone) = scene.handle.reorg(1 + round % 2) {
            replaced += gone.len();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(replaced > 0, "no block was replaced, so nothing was tested");
    scene.settled_once_each().await?;
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_goes_back_to_a_snapshot_is_served_again() -> Result<()> {
    let scene = Scene::new(2).await?;
    let before = scene.handle.snapshot();
    let serving = scene.testbed.serve()?;
    scene.until_nothing_is_live().await?;
    // The node has forgotten every answer; the worker has not been told.
    scene.handle.restore(before);
    assert_eq!(scene.testbed.pending().await?.len(), 2);
    scene.settled_once_each().await?;
    serving.stop().await
}
