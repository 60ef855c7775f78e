//! Calls: batches, promises, arguments, parallel calls, and errors.

use std::{collections::VecDeque, task::Poll};

use near_workspaces::{operations::Function, types::NearToken};

use super::{BASIC, basic, worker};

/// A contract whose method `create_return` calls `bob` and returns the promise.
const CROSS: &[u8] =
    include_bytes!("../../../../crates/localnet/tests/golden/contracts/cross.wasm");

#[tokio::test]
async fn the_last_call_of_a_batch_wins() {
    let (_worker, contract) = basic().await;
    contract
        .batch()
        .call(Function::new("write").args(b"first".to_vec()).deposit(NearToken::from_near(0)))
        .call(Function::new("write").args(b"second".to_vec()))
        .transact()
        .await
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!(contract.view("read").await.unwrap().result, b"second");
}

#[tokio::test]
async fn a_promise_s_value_reaches_the_caller() {
    let worker = worker().await;
    let root = worker.root_account().unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| {
        root.create_subaccount(name).initial_balance(NearToken::from_near(20)).transact()
    });
    let (alice, bob) = (alice.await.unwrap(), bob.await.unwrap());
    // The contract has the names of these two accounts built in.
    let alice = alice.into_result().unwrap().deploy(CROSS).await.unwrap().into_result().unwrap();
    bob.into_result().unwrap().deploy(BASIC).await.unwrap().into_result().unwrap();
    let outcome = alice.call("create_return").max_gas().transact().await.unwrap();
    let value = outcome.into_result().unwrap().raw_bytes().unwrap();
    assert_eq!(value, b"world");
}

#[tokio::test]
async fn a_top_level_account_is_the_registrar_s_to_make() {
    let worker = worker().await;
    let account = worker.dev_create_account().await.unwrap();
    let outcome =
        account.batch(&"short".parse().unwrap()).create_account().transact().await.unwrap();
    assert_eq!(outcome.failures().len(), 1);
    let text = format!("{:?}", outcome.failures()[0]);
    assert!(text.contains("CreateAccountOnlyByRegistrar"), "{text}");
}

#[tokio::test]
async fn arguments_may_be_absent_or_anything() {
    let (_worker, contract) = basic().await;
    for args in [Vec::new(), b"{}".to_vec(), vec![0, 255, 128]] {
        let outcome = contract.call("echo").args(args.clone()).transact().await.unwrap();
        let value = outcome.into_result().unwrap().raw_bytes().unwrap();
        assert_eq!(value, args);
        assert_eq!(contract.view("echo").args(args.clone()).await.unwrap().result, args);
    }
    let outcome = contract.call("echo").transact().await.unwrap();
    assert!(outcome.into_result().unwrap().raw_bytes().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_sent_in_parallel_with_one_key_all_succeed() {
    let (worker, contract) = basic().await;
    let account = worker.dev_create_account().await.unwrap();
    let tasks: Vec<_> = (0..10_u8)
        .map(|value| {
            let (account, id) = (account.clone(), contract.id().clone());
            tokio::spawn(async move {
                account.call(&id, "write").args(vec![b'a' + value]).transact().await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().is_success());
    }
    let last = contract.view("read").await.unwrap().result;
    assert!(last.len() == 1 && (b'a'..=b'j').contains(&last[0]), "{last:?}");
}

#[tokio::test]
async fn calls_that_are_not_waited_for_run_in_the_order_of_their_nonces() {
    let (worker, contract) = basic().await;
    let account = worker.dev_create_account().await.unwrap();
    let key = account.secret_key().public_key();
    let before = worker.view_access_key(account.id(), &key).await.unwrap().nonce;
    let mut waiting = VecDeque::new();
    for value in b'a'..=b'j' {
        let call = account.call(contract.id(), "write").args(vec![value]);
        waiting.push_back(call.transact_async().await.unwrap());
    }
    while let Some(status) = waiting.pop_front() {
        match status.status().await.unwrap() {
            Poll::Ready(outcome) => assert!(outcome.is_success()),
            Poll::Pending => waiting.push_back(status),
        }
    }
    assert_eq!(contract.view("read").await.unwrap().result, b"j");
    let after = worker.view_access_key(account.id(), &key).await.unwrap().nonce;
    assert_eq!(after - before, 10);
}

#[tokio::test]
async fn failures_carry_nearcore_s_words() {
    let (_worker, contract) = basic().await;
    let missing = contract.view("no_such_method").await.unwrap_err();
    assert!(format!("{missing:?}").contains("MethodNotFound"), "{missing:?}");
    let panicked = contract.view("panic_msg").await.unwrap_err();
    assert!(
        format!("{panicked:?}").contains("GuestPanic { panic_msg: \\\"boom\\\" }"),
        "{panicked:?}"
    );
    let outcome = contract.call("panic_msg").transact().await.unwrap();
    let failed = outcome.into_result().unwrap_err();
    assert!(format!("{failed:?}").contains("Smart contract panicked"), "{failed:?}");
}
