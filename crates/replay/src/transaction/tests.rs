//! Receipts that show a request, and receipts that only seem to.

use outlayer_client::{
    Node, NodeConfig,
    testing::{CONTRACT, config, request_view},
};
use outlayer_protocol::{AccountId, NearToken, events::ExecutionTimedOut, views::RequestView};

use super::*;

fn contract() -> Contract {
    Contract::new(
        Node::new(&NodeConfig::new("http://localhost:1")).unwrap(),
        CONTRACT.parse().unwrap(),
    )
}

fn question(request_id: Option<RequestId>) -> Question {
    Question {
        transaction: CryptoHash::default(),
        signer_id: "alice.near".parse().unwrap(),
        request_id,
    }
}

fn receipt(executor: &str, events: &[Event]) -> ReceiptTrace {
    let executor_id: AccountId = executor.parse().unwrap();
    let mut logs = vec!["hello".to_owned()];
    logs.extend(events.iter().map(Event::to_log));
    let (receipt, block) = (CryptoHash::default(), CryptoHash([7; 32]));
    ReceiptTrace { receipt, executor_id, block, logs, returned: Vec::new() }
}

fn requested(id: RequestId) -> Event {
    let RequestView { request, .. } = request_view(&config(), id, "x");
    Event::ExecutionRequested(Box::new((&request).into()))
}

fn timed_out(request_id: RequestId) -> Event {
    let (fee, refund) = (NearToken::default(), NearToken::from_near(1));
    Event::ExecutionTimedOut(ExecutionTimedOut { request_id, deadline: 300, fee, refund })
}

#[test]
fn a_request_is_found_with_its_ending() {
    let receipts = vec![receipt(CONTRACT, &[requested(7)]), receipt(CONTRACT, &[timed_out(7)])];
    let logged = Logged::find(&contract(), &question(None), receipts.clone()).unwrap();
    assert_eq!((logged.requested.request_id, logged.ending), (7, Ending::TimedOut));
    let open = Logged::find(&contract(), &question(Some(7)), receipts[..1].to_vec()).unwrap();
    assert_eq!(open.ending, Ending::Open);
}

#[test]
fn of_several_one_must_be_named() {
    let receipts = vec![receipt(CONTRACT, &[requested(7), requested(8), timed_out(8)])];
    let find = |id| Logged::find(&contract(), &question(id), receipts.clone());
    assert!(matches!(find(None), Err(FetchError::Several { found }) if found == [7, 8]));
    assert_eq!(find(Some(7)).unwrap().ending, Ending::Open);
    assert_eq!(find(Some(8)).unwrap().ending, Ending::TimedOut);
    assert!(matches!(find(Some(9)), Err(FetchError::NoRequest { found, .. }) if found == [7, 8]));
}

#[test]
fn words_logged_by_another_contract_are_no_evidence() {
    let forged = vec![receipt("mallory.near", &[requested(7)])];
    assert!(matches!(
        Logged::find(&contract(), &question(None), forged),
        Err(FetchError::NoRequest { .. })
    ));
    let receipts =
        vec![receipt(CONTRACT, &[requested(7)]), receipt("mallory.near", &[timed_out(7)])];
    assert_eq!(Logged::find(&contract(), &question(None), receipts).unwrap().ending, Ending::Open);
}
