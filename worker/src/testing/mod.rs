//! What the crate's tests share: a request, and a node that answers what a test tells it to.

pub(crate) mod chain;
pub(crate) mod wire;

use std::sync::{Arc, Mutex};

use outlayer_protocol::{
    CodeRef, Config, EngineVersion, ExecutionContext, ExecutionRequest, Hash32, NearToken,
    machine::LiveRequest, pricing::quote, random_seed, views::RequestView,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::chain::{Backoff, Contract, Node, NodeConfig};

pub(crate) const CONTRACT: &str = "outlayer.near";

/// A live request for the engine of this build.
pub(crate) fn request_view(request_id: u64, input: &str) -> RequestView {
    let (engine, near_config) = crate::engine::served();
    request_view_for(engine, near_config, request_id, input)
}

pub(crate) fn request_view_for(
    engine: EngineVersion,
    near_config: u32,
    request_id: u64,
    input: &str,
) -> RequestView {
    let config = Config::new(engine, near_config);
    let request = ExecutionRequest::new(CodeRef { hash: Hash32::of(b"code"), url: None }, input);
    let context = ExecutionContext {
        request_id,
        contract_id: CONTRACT.parse().unwrap(),
        block_height: 100,
        block_timestamp: 1_763_942_400_000_000_000,
        epoch_height: 3,
        random_seed: random_seed(request_id, &[9; 32]),
        signer_id: "alice.near".parse().unwrap(),
        predecessor_id: "dapp.near".parse().unwrap(),
        attached_deposit: NearToken::from_near(1),
    };
    let quote = quote(&config, &request, NearToken::from_yoctonear(10u128.pow(19))).unwrap();
    let live =
        LiveRequest::accept(&config, &request, context, quote, Hash32::of(b"data id")).unwrap();
    RequestView { request: live, input: request.input }
}

/// How a [`FakeNode`] answers: the JSON-RPC method and its parameters in, the value of `result` out, or an HTTP body.
pub(crate) enum Answer {
    Result(Value),
    /// The `error` member.
    Error(Value),
    /// Any status and body.
    Http(u16, Vec<u8>),
}

/// A view's result as a node gives it.
pub(crate) fn view_result(value: &Value) -> Answer {
    let bytes = value.to_string().into_bytes();
    Answer::Result(
        json!({ "result": bytes, "logs": [], "block_height": 100, "block_hash": "11111111111111111111111111111111" }),
    )
}

/// A node on a local port. Every exchange is its own connection.
pub(crate) struct FakeNode {
    pub(crate) url: String,
    /// Methods called, in order.
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
}

impl FakeNode {
    pub(crate) async fn start(
        answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&calls), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    let _ = exchange(stream, |method, params| {
                        seen.lock().unwrap().push(method.to_owned());
                        answer(method, params)
                    })
                    .await;
                });
            }
        });
        Self { url, calls }
    }

    pub(crate) fn contract(&self) -> Contract {
        Contract::new(self.node(), CONTRACT.parse().unwrap())
    }

    pub(crate) fn node(&self) -> Node {
        Node::new(&self.config()).unwrap()
    }

    pub(crate) fn config(&self) -> NodeConfig {
        let millis = std::time::Duration::from_millis;
        NodeConfig {
            attempts: 3,
            backoff: Backoff { first: millis(1), most: millis(5) },
            max_answer_bytes: 100_000,
            ..NodeConfig::new(&self.url)
        }
    }

    pub(crate) fn called(&self, method: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|one| *one == method).count()
    }
}

async fn exchange(
    mut stream: TcpStream,
    answer: impl Fn(&str, &Value) -> Answer,
) -> std::io::Result<()> {
    let mut received = Vec::new();
    let body = loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await?;
        if length == 0 {
            return Ok(());
        }
        received.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&received).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let expected = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
        });
        if body.len() >= expected.unwrap_or(0usize) {
            break body.to_owned();
        }
    };
    let request: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    let method = request["method"].as_str().unwrap_or("GET").to_owned();
    let wrap = |member: &str, value: Value| {
        json!({ "jsonrpc": "2.0", "id": request["id"], member: value }).to_string()
    };
    let (status, body) = match answer(&method, &request["params"]) {
        Answer::Result(value) => (200, wrap("result", value).into_bytes()),
        Answer::Error(value) => (200, wrap("error", value).into_bytes()),
        Answer::Http(status, body) => (status, body),
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}
