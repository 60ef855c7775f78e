use near_primitives::hash::CryptoHash;
use serde_json::{Value, json};

use super::*;
use crate::{
    EndpointUrl, Node, NodeConfig,
    testing::{Answer, CONTRACT, FakeNode, header_at, status, unknown_block},
};

/// A chain as one node shows it: its newest block, and from which block on it is on a fork.
#[derive(Clone, Copy)]
struct Shown {
    newest: u64,
    fork_from: u64,
    value: &'static str,
    /// The newest block of the node that answers questions about a block that is named: behind one
    /// address there may be several nodes.
    other_newest: u64,
}

const HONEST: Shown =
    Shown { newest: 100, fork_from: u64::MAX, value: "true", other_newest: u64::MAX };

impl Shown {
    fn hash(self, height: u64) -> CryptoHash {
        let [low, high, ..] = height.to_le_bytes();
        let fork = u8::from(height >= self.fork_from);
        let mut hash = [fork; 32];
        [hash[1], hash[2]] = [low, high];
        CryptoHash(hash)
    }

    /// The block that a question names.
    fn find(self, params: &Value) -> Option<u64> {
        let known = 50..=self.newest.min(self.other_newest);
        match &params["block_id"] {
            Value::Null => Some(self.newest),
            Value::String(hash) => {
                known.into_iter().find(|height| self.hash(*height).to_string() == *hash)
            }
            height => height.as_u64().filter(|height| known.contains(height)),
        }
    }

    fn answer(self, method: &str, params: &Value) -> Answer {
        if method == "status" {
            return Answer::Result(status("testnet", &CryptoHash([7; 32]), self.newest));
        }
        let Some(height) = self.find(params) else {
            return Answer::Error(unknown_block());
        };
        let hash = self.hash(height).to_string();
        match method {
            "block" => {
                let mut header = header_at(height);
                header["hash"] = json!(hash);
                header["prev_hash"] = json!(self.hash(height - 1).to_string());
                Answer::Result(json!({ "author": "v.near", "header": header, "chunks": [] }))
            }
            "query" => Answer::Result(json!({
                "result": self.value.as_bytes(), "logs": [], "block_height": height,
                "block_hash": hash
            })),
            other => panic!("unexpected {other}"),
        }
    }

    async fn start(self) -> FakeNode {
        FakeNode::start(move |method, params| self.answer(method, params)).await
    }
}

async fn away() -> FakeNode {
    FakeNode::start(|_, _| Answer::Http(500, Vec::new())).await
}

fn client(nodes: &[&FakeNode]) -> Node {
    let endpoints = nodes.iter().map(|node| EndpointUrl::from(node.url.as_str())).collect();
    Node::new(&NodeConfig { endpoints, quorum: 2, ..nodes[0].config() }).unwrap()
}

async fn view(node: &Node, at: At) -> Result<(BlockId, Vec<u8>), ChainError> {
    node.view_in_block(&CONTRACT.parse().unwrap(), "get", Vec::new(), at).await
}

/// The error names both.
fn names(error: &ChainError, nodes: [&FakeNode; 2]) -> bool {
    let text = error.to_string();
    matches!(error, ChainError::Disagreement { .. })
        && nodes.iter().all(|node| text.contains(&node.url))
}

#[tokio::test]
async fn two_that_agree_are_both_asked_about_the_same_block() {
    let behind = Shown { newest: 97, ..HONEST }.start().await;
    let ahead = HONEST.start().await;
    for nodes in [[&behind, &ahead], [&ahead, &behind]] {
        let node = client(&nodes);
        for at in [At::Final, At::Optimistic, At::Height(97), At::Hash(HONEST.hash(97))] {
            assert_eq!(node.block(at).await.unwrap().height, 97, "{at}");
            let asked = nodes.map(|node| node.called("query"));
            let (block, value) = view(&node, at).await.unwrap();
            assert_eq!((block.hash, value.as_slice()), (HONEST.hash(97), &b"true"[..]), "{at}");
            assert_eq!(nodes.map(|node| node.called("query")), asked.map(|count| count + 1));
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_lies_about_a_view_is_noticed_and_never_believed() {
    let (honest, liar) = (HONEST.start().await, Shown { value: "false", ..HONEST }.start().await);
    for nodes in [[&honest, &liar], [&liar, &honest]] {
        for at in [At::Final, At::Optimistic, At::Height(97), At::Hash(HONEST.hash(97))] {
            let node = client(&nodes);
            let error = view(&node, at).await.unwrap_err();
            assert!(names(&error, nodes) && !error.is_transient(), "{at}: {error}");
            let counts = node.health().into_iter().map(|one| (one.disputed, one.contradicted));
            assert_eq!(counts.collect::<Vec<_>>(), [(1, 0), (1, 0)], "nobody decides");
        }
    }
}

/// Waits until the endpoint with this index is doubted.
async fn doubts(node: &Node, index: usize) {
    let began = Instant::now();
    while began.elapsed() < std::time::Duration::from_secs(30) {
        let doubted: Vec<_> = node.health().iter().map(|one| one.is_doubted).collect();
        if doubted.iter().any(|is_doubted| *is_doubted) {
            assert_eq!(doubted.iter().position(|is_doubted| *is_doubted), Some(index));
            assert_eq!(doubted.iter().filter(|is_doubted| **is_doubted).count(), 1);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?}", node.health());
}

#[tokio::test]
async fn of_three_endpoints_one_that_lies_about_a_view_stops_nothing_and_is_asked_last() {
    let liar = Shown { value: "false", ..HONEST }.start().await;
    let (one, other) = (HONEST.start().await, HONEST.start().await);
    for (index, nodes) in
        [[&liar, &one, &other], [&one, &liar, &other], [&one, &other, &liar]].iter().enumerate()
    {
        for at in [At::Final, At::Optimistic, At::Height(97), At::Hash(HONEST.hash(97))] {
            let node = client(nodes);
            assert_eq!(view(&node, at).await.unwrap().1, b"true", "{at}");
            if index == 2 {
                assert!(node.health().iter().all(|one| !one.is_doubted), "it was not asked");
                continue;
            }
            doubts(&node, index).await;
            assert_eq!(node.health()[index].contradicted, 1);
            let asked = liar.called("query");
            assert_eq!(view(&node, at).await.unwrap().1, b"true", "{at}");
            assert_eq!(liar.called("query"), asked, "two others are in order");
        }
    }
}

#[tokio::test]
async fn of_three_endpoints_one_that_lies_about_blocks_stops_nothing_and_is_asked_last() {
    let (one, other) = (HONEST.start().await, Shown { newest: 99, ..HONEST }.start().await);
    for newest in [95, 99, 100, 120, u64::from(u16::MAX)] {
        let liar = Shown { newest, fork_from: 90, ..HONEST }.start().await;
        for nodes in [[&liar, &one, &other], [&one, &liar, &other]] {
            let index = usize::from(nodes[0].url != liar.url);
            let node = client(&nodes);
            assert_eq!(node.block(At::Final).await.unwrap().hash, HONEST.hash(99), "{newest}");
            doubts(&node, index).await;
            let node = client(&nodes);
            assert_eq!(node.block(At::Height(95)).await.unwrap().hash, HONEST.hash(95));
            doubts(&node, index).await;
            // What is not final yet may be on a fork.
            let node = client(&nodes);
            assert_eq!(node.block(At::Optimistic).await.unwrap().hash, HONEST.hash(99));
            assert!(node.health().iter().all(|one| one.contradicted == 0));
        }
    }
}

#[tokio::test]
async fn when_a_third_endpoint_does_not_answer_two_that_differ_are_named() {
    let (honest, liar) = (HONEST.start().await, Shown { value: "false", ..HONEST }.start().await);
    let gone = away().await;
    let error = view(&client(&[&honest, &liar, &gone]), At::Height(97)).await.unwrap_err();
    assert!(names(&error, [&honest, &liar]), "{error}");
    let third = Shown { value: "null", ..HONEST }.start().await;
    let error = view(&client(&[&honest, &liar, &third]), At::Height(97)).await.unwrap_err();
    assert!(names(&error, [&honest, &liar]), "{error}");
}

#[tokio::test]
async fn an_endpoint_whose_other_node_lags_is_not_said_to_lie() {
    let behind = Shown { newest: 97, ..HONEST }.start().await;
    let pool = Shown { newest: 100, other_newest: 95, ..HONEST }.start().await;
    for nodes in [[&behind, &pool], [&pool, &behind]] {
        let error = client(&nodes).block(At::Final).await.unwrap_err();
        let waits = matches!(error, ChainError::NoQuorum { .. }) && error.is_transient();
        assert!(waits && error.to_string().contains("does not have block"), "{error}");
    }
    // With a third endpoint, nothing waits for it, and it is not doubted.
    let third = HONEST.start().await;
    for (nodes, newest) in [([&behind, &pool, &third], 97), ([&pool, &behind, &third], 100)] {
        let node = client(&nodes);
        assert_eq!(node.block(At::Final).await.unwrap().height, newest);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert!(node.health().iter().all(|one| one.contradicted == 0), "{:?}", node.health());
    }
}

#[tokio::test]
async fn an_endpoint_that_lies_about_a_block_is_noticed() {
    let honest = HONEST.start().await;
    let liar = Shown { fork_from: 90, ..HONEST }.start().await;
    let ahead = Shown { newest: 120, fork_from: 90, ..HONEST }.start().await;
    for other in [&liar, &ahead] {
        let node = client(&[&honest, other]);
        for at in [At::Final, At::Height(95)] {
            let error = node.block(at).await.unwrap_err();
            assert!(names(&error, [&honest, other]), "{at}: {error}");
        }
        // Two forks at the newest blocks are the ordinary case: one of them goes away.
        let error = node.block(At::Optimistic).await.unwrap_err();
        assert!(matches!(error, ChainError::NoQuorum { .. }), "{error}");
        // The block before the fork is the same.
        assert_eq!(node.block(At::Height(89)).await.unwrap().height, 89);
    }
}

#[tokio::test]
async fn one_endpoint_alone_is_not_believed_and_a_third_one_steps_in() {
    let (honest, gone, third) = (HONEST.start().await, away().await, HONEST.start().await);
    for at in [At::Final, At::Height(95)] {
        let error = view(&client(&[&honest, &gone]), at).await.unwrap_err();
        let wanted = matches!(error, ChainError::NoQuorum { usable: 1, .. });
        assert!(wanted && error.is_transient(), "{at}: {error}");
        let node = client(&[&gone, &honest, &third]);
        assert_eq!(view(&node, at).await.unwrap().1, b"true", "{at}");
    }
}

#[tokio::test]
async fn a_block_that_nobody_has_is_unknown_and_one_that_only_one_has_is_no_quorum() {
    let (behind, ahead) = (
        Shown { newest: 90, ..HONEST }.start().await,
        Shown { newest: 100, ..HONEST }.start().await,
    );
    let node = client(&[&behind, &ahead]);
    let error = node.block(At::Height(101)).await.unwrap_err();
    assert!(matches!(error, ChainError::UnknownBlock { .. }), "{error}");
    let error = node.block(At::Height(95)).await.unwrap_err();
    assert!(matches!(error, ChainError::NoQuorum { usable: 1, .. }), "{error}");
}
