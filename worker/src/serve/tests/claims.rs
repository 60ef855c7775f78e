//! Requests that take long, and other workers that may have them.

use outlayer_protocol::{AccountId, claims::rank, methods};

use super::*;

const OTHER: &str = "other.near";

/// Ids of requests that the worker of these tests is to serve first, or that the other one is.
pub(super) fn ids(mine: bool) -> impl Iterator<Item = RequestId> {
    let [me, other]: [AccountId; 2] = [WORKER, OTHER].map(|name| name.parse().unwrap());
    (0..).filter(move |id| (rank(&me, *id) < rank(&other, *id)) == mine)
}

pub(super) fn two_workers() -> Chain {
    let mut state = Chain::new(config_of_this_build());
    state.workers.push(OTHER.parse().unwrap());
    state.time_passes = true;
    state
}

/// The methods that the worker has called.
fn calls(chain: &Chain) -> Vec<&str> {
    let mine = chain.calls.iter().filter(|(by, _)| by.as_str() == WORKER);
    mine.map(|(_, method)| method.as_str()).collect()
}

fn claim(chain: &mut Chain, by: &str, id: RequestId) {
    let args = serde_json::json!({ "request_id": id }).to_string();
    chain.call(by, methods::CLAIM_EXECUTION, args.as_bytes()).unwrap();
}

fn executing(told: &[Stage], id: RequestId) -> bool {
    told.iter().any(|stage| matches!(stage, Stage::Executing { request_id } if *request_id == id))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_in_the_order_claims_what_takes_long_and_nothing_else() {
    let mut state = two_workers();
    let [long, light] = [ids(true).next().unwrap(), ids(true).nth(1).unwrap()];
    state.ask_long(long, &hello());
    state.ask(light, &hello());
    let (node, chain) = state.start().await;
    let told = run_until(config(&node), &chain, |chain, _| chain.settled.len() == 2).await;
    let claimed: Vec<_> = told
        .iter()
        .filter_map(|stage| match stage {
            Stage::Claimed { request_id, .. } => Some(*request_id),
            _ => None,
        })
        .collect();
    assert_eq!(claimed, [long]);
    let position = |wanted: &dyn Fn(&Stage) -> bool| told.iter().position(wanted).unwrap();
    let claim = position(&|one| matches!(one, Stage::Claimed { .. }));
    let begun =
        position(&|one| matches!(one, Stage::Executing { request_id } if *request_id == long));
    assert!(claim < begun);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_alone_claims_nothing() {
    let mut state = Chain::new(config_of_this_build());
    state.ask_long(7, &hello());
    let (node, chain) = state.start().await;
    run_until(config(&node), &chain, |chain, _| !chain.settled.is_empty()).await;
    assert!(!calls(&chain.lock().unwrap()).contains(&methods::CLAIM_EXECUTION));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_has_claimed_is_left_alone_until_the_claim_expires() {
    let mut state = two_workers();
    let id = ids(false).next().unwrap();
    state.ask_long(id, &hello());
    claim(&mut state, OTHER, id);
    let until = state.height + state.live[&id].request.claims.as_ref().unwrap().turn_blocks;
    let (node, chain) = state.start().await;
    let mut begun_at = None;
    run_until(config(&node), &chain, |chain, told| {
        if begun_at.is_none() && executing(told, id) {
            begun_at = Some(chain.height);
        }
        !chain.settled.is_empty()
    })
    .await;
    let begun_at = begun_at.unwrap();
    assert!(begun_at >= until, "{begun_at}, the claim stood until {until}");
    assert_eq!(chain.lock().unwrap().live.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_claims_the_next_in_the_order_does() {
    let mut state = two_workers();
    let id = ids(false).next().unwrap();
    state.ask_long(id, &hello());
    let asked_at = state.height;
    let (node, chain) = state.start().await;
    let mut claimed_at = None;
    run_until(config(&node), &chain, |chain, told| {
        if claimed_at.is_none() && told.iter().any(|one| matches!(one, Stage::Claimed { .. })) {
            claimed_at = Some(chain.height);
        }
        !chain.settled.is_empty()
    })
    .await;
    let waited = claimed_at.unwrap() - asked_at;
    assert!(waited >= 8, "{waited} blocks");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_claims_after_another_in_the_same_moment_does_not_execute() {
    let mut state = two_workers();
    let id = ids(true).next().unwrap();
    state.ask_long(id, &hello());
    // It is late, so that the turns of both have come, and the other one claims first.
    state.height += 20;
    state.before_claim = Some(|chain| {
        let id = *chain.live.keys().next().unwrap();
        claim(chain, OTHER, id);
    });
    let until = state.height + state.live[&id].request.claims.as_ref().unwrap().turn_blocks;
    let (node, chain) = state.start().await;
    let told = run_until(config(&node), &chain, |chain, told| {
        chain.height + 3 > until && told.iter().any(|one| matches!(one, Stage::Claimed { .. }))
    })
    .await;
    assert!(!executing(&told, id), "{told:?}");
}

/// The claim was lost, so the node has no outcome for it however often it comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_fate_is_not_known_takes_no_place_once_its_request_is_over() {
    let mut state = two_workers();
    let [lost, next] = [ids(true).next().unwrap(), ids(true).nth(1).unwrap()];
    state.ask_long(lost, &hello());
    let (claims, chain) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(Mutex::new(state)));
    let (noted, shared) = (Arc::clone(&claims), Arc::clone(&chain));
    let node = FakeNode::start(move |method, params| {
        let mut chain = shared.lock().unwrap();
        if method == "send_tx" {
            let transaction = params["signed_tx_base64"].as_str().unwrap();
            let mut claims = noted.lock().unwrap();
            if chain.live.contains_key(&lost) {
                claims.push(transaction.to_owned());
            }
            if claims.iter().any(|claim| claim == transaction) {
                return Answer::Error(outlayer_client::testing::timeout_error());
            }
        }
        chain.answer(method, params)
    })
    .await;
    let alone = WorkerConfig { concurrency: 1, ..config(&node) };
    run_until(alone, &chain, |chain, _| {
        if !claims.lock().unwrap().is_empty() && chain.live.remove(&lost).is_some() {
            chain.height += 1;
            chain.ask_long(next, &hello());
        }
        !chain.settled.is_empty()
    })
    .await;
    assert_eq!(settled(&chain.lock().unwrap()), [(next, said_hi())]);
}
