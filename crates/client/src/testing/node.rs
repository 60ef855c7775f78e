//! A node on a local port that answers what a test tells it to.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::CONTRACT;
use crate::{Backoff, Contract, Node, NodeConfig};

/// What a [`FakeNode`] answers to a call.
pub enum Answer {
    /// A JSON-RPC response with this `result`.
    Result(Value),
    /// A JSON-RPC response with this `error`.
    Error(Value),
    /// An HTTP response with this status and body.
    Http(u16, Vec<u8>),
    /// These bytes as they are, head and all. Then the connection is closed.
    Raw(Vec<u8>),
    /// None: the connection stays open.
    Hang,
}

/// How long an answer is waited for that comes at once, unless the machine is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A node on a local port. Each exchange has a connection of its own.
pub struct FakeNode {
    /// Its `http:` URL.
    pub url: String,
    /// The JSON-RPC methods that were called, in order.
    calls: Arc<Mutex<Vec<String>>>,
    /// How many connections are open.
    open: Arc<AtomicUsize>,
}

impl FakeNode {
    /// Starts a node. `answer` is given the JSON-RPC method and its parameters; whatever is not a
    /// JSON-RPC call has the method "GET".
    pub async fn start(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&calls), Arc::new(answer));
        let open: Arc<AtomicUsize> = Arc::default();
        let all = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                let one = Open::count(&all);
                tokio::spawn(async move {
                    let _one = one;
                    let _ = exchange(stream, |method, params| {
                        seen.lock().unwrap().push(method.to_owned());
                        answer(method, params)
                    })
                    .await;
                });
            }
        });
        Self { url, calls, open }
    }

    /// Waits until all connections that were made are closed. When the clients are gone, everything
    /// that they had sent has taken effect then.
    pub async fn quiet(&self) {
        let quiet = async {
            // Connections are accepted in their order, so this one's end says that those before it
            // are counted.
            let mut last = TcpStream::connect(self.url.trim_start_matches("http://")).await?;
            last.shutdown().await?;
            last.read_to_end(&mut Vec::new()).await?;
            while self.open.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            io::Result::Ok(())
        };
        let ended = tokio::time::timeout(PATIENCE, quiet).await;
        ended.expect("a client has not gone").unwrap();
    }

    /// The contract [`CONTRACT`] on this node.
    pub fn contract(&self) -> Contract {
        Contract::new(self.node(), CONTRACT.parse().unwrap())
    }

    /// A client of this node.
    pub fn node(&self) -> Node {
        Node::new(&self.config()).unwrap()
    }

    /// A configuration with waits that suit a test: short ones between attempts, and none for an
    /// answer that a busy machine would be too late for.
    pub fn config(&self) -> NodeConfig {
        let millis = Duration::from_millis;
        NodeConfig {
            attempts: 3,
            timeout: PATIENCE,
            failover_timeout: PATIENCE,
            budget: 5 * PATIENCE,
            backoff: Backoff { first: millis(1), most: millis(5) },
            max_answer_bytes: 100_000,
            ..NodeConfig::new(&self.url)
        }
    }

    /// How many times `method` was called.
    pub fn called(&self, method: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|one| *one == method).count()
    }
}

/// A connection that counts as open until this is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(all))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn exchange(
    mut stream: TcpStream,
    answer: impl Fn(&str, &Value) -> Answer,
) -> io::Result<()> {
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
        Answer::Raw(bytes) => {
            stream.write_all(&bytes).await?;
            return stream.shutdown().await;
        }
        Answer::Hang => {
            // Until the client gives up and closes it.
            let _ = stream.read(&mut [0]).await;
            return Ok(());
        }
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}
