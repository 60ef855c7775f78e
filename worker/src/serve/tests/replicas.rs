//! Processes that share an account.

use std::collections::BTreeMap;

use super::*;

/// How often each request was executed, by what was told.
fn executions(told: &[Stage]) -> BTreeMap<RequestId, usize> {
    let mut count = BTreeMap::new();
    for stage in told {
        if let Stage::Executed { request_id, .. } = stage {
            *count.entry(*request_id).or_default() += 1;
        }
    }
    count
}

const LIGHT: u64 = 16;
const LONG: usize = 4;
const ALL: usize = 20;

/// A chain with light requests and a few that take long, none of which has to be answered soon.
fn twenty_requests() -> Chain {
    let mut state = Chain::new(config_of_this_build());
    (0..LIGHT).for_each(|id| state.ask(id, &hello()));
    (LIGHT..).take(LONG).for_each(|id| state.ask_long(id, &hello()));
    for view in state.live.values_mut() {
        view.request.terms.deadline += 100_000_000;
    }
    state
}

/// One of two processes, which has a key of its own.
fn process(node: &FakeNode, number: u64, step_in_blocks: u64) -> WorkerConfig {
    let replica = Replica::new(number, 2).unwrap();
    let secret_key = SecretKey::from_seed(KeyType::ED25519, &replica.to_string());
    WorkerConfig { replica, secret_key, step_in_blocks, ..config(node) }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_of_one_account_execute_every_request_once() {
    let (node, chain) = twenty_requests().start().await;
    let mut all = Vec::new();
    for number in [1, 2] {
        let told: Arc<Mutex<Vec<Stage>>> = Arc::default();
        // More blocks than can pass here, so that neither steps in.
        let mut config = process(&node, number, 1_000_000);
        config.observer = Some(observer(&told, &chain));
        all.push((Worker::new(config).unwrap(), told));
    }
    let all_settled = async || {
        while chain.lock().unwrap().settled.len() < ALL {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let [(first, first_told), (second, second_told)] = &all[..] else { panic!("two") };
    let both = async { tokio::join!(first.run(all_settled()), second.run(all_settled())) };
    tokio::time::timeout(PATIENCE, both).await.unwrap();
    let [first, second] = [first_told, second_told].map(|told| executions(&told.lock().unwrap()));
    let expected = (0..).take(ALL).map(|id| (id, 1));
    for (number, executed) in [(1, &first), (2, &second)] {
        let replica = Replica::new(number, 2).unwrap();
        let mine = expected.clone().filter(|(id, _)| replica.place(*id) == 0);
        assert_eq!(*executed, mine.collect::<BTreeMap<_, _>>(), "{replica}");
        assert!(executed.keys().any(|id| *id < LIGHT) && executed.keys().any(|id| *id >= LIGHT));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_of_two_processes_is_down_the_other_serves_its_requests_too() {
    for number in [1, 2] {
        let mut state = twenty_requests();
        state.time_passes = true;
        let (node, chain) = state.start().await;
        let told =
            run_until(process(&node, number, 4), &chain, |chain, _| chain.settled.len() == ALL)
                .await;
        assert_eq!(executions(&told), (0..).take(ALL).map(|id| (id, 1)).collect(), "{number}");
    }
}
