//! A place where the worker can ask the node, and where its exchanges go wrong as planned.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use near_primitives::transaction::SignedTransaction;
use outlayer_localnet::node::Node;
use outlayer_protocol::Bytes;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    plan::{EndpointPlan, ExchangeFault},
    record::Record,
};

/// The longest HTTP message that passes, bytes.
const MOST_BYTES: usize = 64 << 20;

/// An endpoint of its own in front of the node. It ends when this is dropped.
pub struct Proxy {
    /// Its URL, for the worker.
    pub url: String,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    exchanges: AtomicU64,
    faults: AtomicU64,
    is_cut: AtomicBool,
}

/// What an exchange needs.
struct Way {
    node: Arc<Node>,
    /// The address of the node's RPC.
    addr: String,
    plan: EndpointPlan,
    record: Arc<Record>,
    counts: Arc<Counts>,
}

/// An HTTP response: its status line's number, and its body.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Proxy {
    /// Starts an endpoint in front of `node`.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(node: Arc<Node>, plan: EndpointPlan, record: Arc<Record>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the proxy")?;
        let url = format!("http://{}", listener.local_addr()?);
        let counts: Arc<Counts> = Arc::default();
        let addr = node.rpc_addr();
        let way = Arc::new(Way { node, addr, plan, record, counts: Arc::clone(&counts) });
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let way = Arc::clone(&way);
                // A worker that closes the connection is none of the proxy's business.
                tokio::spawn(async move {
                    let _ = way.exchange(stream).await;
                });
            }
        });
        Ok(Self { url, counts, task })
    }

    /// Whether the point has come at which the worker is to be killed. Nothing passes any more.
    pub fn is_cut(&self) -> bool {
        self.counts.is_cut.load(Ordering::Acquire)
    }

    /// How many exchanges there were, and how many of them went wrong.
    pub fn counts(&self) -> (u64, u64) {
        let Counts { exchanges, faults, .. } = &*self.counts;
        (exchanges.load(Ordering::Relaxed), faults.load(Ordering::Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Way {
    /// One exchange on a connection of its own.
    async fn exchange(&self, mut stream: TcpStream) -> io::Result<()> {
        let Some((_, body)) = read_message(&mut stream).await? else {
            return Ok(());
        };
        let mut call: Value = serde_json::from_slice(&body).unwrap_or_default();
        let number = self.counts.exchanges.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(cut) = self.plan.cut.filter(|cut| cut.at <= number) {
            if cut.at == number {
                if cut.executed {
                    self.note(&call);
                    self.ask(&call).await?;
                }
                self.counts.is_cut.store(true, Ordering::Release);
            }
            // The worker gets no answer before it is killed.
            let _ = stream.read(&mut [0]).await;
            return Ok(());
        }
        self.note(&call);
        self.lag(&mut call);
        let fault = self.plan.next();
        if fault.is_some() {
            self.counts.faults.fetch_add(1, Ordering::Relaxed);
        }
        let answer = match fault {
            None => self.ask(&call).await?,
            Some(ExchangeFault::Refused) => return Ok(()),
            Some(ExchangeFault::Status(status)) => Answer { status, body: b"no".to_vec() },
            Some(ExchangeFault::RateLimited) => {
                let head = "HTTP/1.1 429 x\r\nretry-after: 1\r\ncontent-length: 0\r\n\
                            connection: close\r\n\r\n";
                return stream.write_all(head.as_bytes()).await;
            }
            Some(ExchangeFault::Page) => Answer { status: 200, body: b"<html>hello".to_vec() },
            Some(ExchangeFault::Swallowed) if call["method"] == "send_tx" => {
                let error = json!({
                    "name": "HANDLER_ERROR", "cause": { "name": "TIMEOUT_ERROR", "info": {} },
                    "code": -32000, "message": "Server error", "data": "Timeout"
                });
                let body = json!({ "jsonrpc": "2.0", "id": call["id"], "error": error });
                Answer { status: 408, body: body.to_string().into_bytes() }
            }
            Some(ExchangeFault::Swallowed) => Answer { status: 504, body: Vec::new() },
            Some(ExchangeFault::AnswerLost) => {
                self.ask(&call).await?;
                return Ok(());
            }
            Some(ExchangeFault::AnswerReplaced(status)) => {
                self.ask(&call).await?;
                Answer { status, body: b"lost".to_vec() }
            }
            Some(ExchangeFault::Truncated) => {
                let Answer { status, body } = self.ask(&call).await?;
                let head = head(status, body.len());
                stream.write_all(head.as_bytes()).await?;
                return stream.write_all(body.get(..body.len() / 2).unwrap_or_default()).await;
            }
            Some(ExchangeFault::WrongId) => {
                let Answer { status, body } = self.ask(&call).await?;
                let mut response: Value = serde_json::from_slice(&body).unwrap_or_default();
                response["id"] = json!("another");
                Answer { status, body: response.to_string().into_bytes() }
            }
            Some(ExchangeFault::Twice) => {
                self.ask(&call).await?;
                self.ask(&call).await?
            }
            Some(ExchangeFault::Slow(by)) => {
                let answer = self.ask(&call).await?;
                tokio::time::sleep(by).await;
                answer
            }
            Some(ExchangeFault::Hangs) => {
                let _ = stream.read(&mut [0]).await;
                return Ok(());
            }
        };
        stream.write_all(head(answer.status, answer.body.len()).as_bytes()).await?;
        stream.write_all(&answer.body).await?;
        stream.shutdown().await
    }

    /// Notes the transaction that a call sends.
    fn note(&self, call: &Value) {
        let encoded = match &call["params"]["signed_tx_base64"] {
            Value::Null => &call["params"][0],
            encoded => encoded,
        };
        if let Ok(bytes) = serde_json::from_value::<Bytes>(encoded.clone())
            && let Ok(signed) = borsh::from_slice::<SignedTransaction>(&bytes.0)
        {
            self.record.note(&signed);
        }
    }

    /// An endpoint that lags takes an older block for the newest one.
    fn lag(&self, call: &mut Value) {
        let Some(params) = call["params"].as_object_mut().filter(|_| self.plan.lag > 0) else {
            return;
        };
        if params.remove("finality").is_some() {
            let chain = self.node.chain();
            let height = chain.final_height().saturating_sub(self.plan.lag);
            let block = chain.history().at_or_below(height);
            params.insert("block_id".to_owned(), json!(block.hash().to_string()));
        }
    }

    /// The node's answer to a call. What the node does goes on when the worker gives up.
    async fn ask(&self, call: &Value) -> io::Result<Answer> {
        let (addr, body) = (self.addr.clone(), call.to_string());
        let asked = tokio::spawn(async move {
            let mut stream = TcpStream::connect(&addr).await?;
            let head = format!(
                "POST / HTTP/1.1\r\nhost: {addr}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            let answer = tokio::time::timeout(Duration::from_secs(60), read_message(&mut stream));
            let (head, body) = answer.await?.transpose().unwrap_or_else(|| {
                Err(io::Error::other("the node closed the connection without an answer"))
            })?;
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            Ok(Answer { status: status.unwrap_or(500), body })
        });
        asked.await.map_err(io::Error::other)?
    }
}

fn head(status: u16, length: usize) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
}

/// Reads one HTTP message with its length in its head: the head, and the body. `None` when the
/// other side closes the connection first.
async fn read_message(stream: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut received = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 || received.len() > MOST_BYTES {
            return Ok(None);
        }
        received.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(received.get(..end).unwrap_or_default()).into_owned();
        let announced = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        });
        let announced: usize = announced.unwrap_or(0);
        // The rest of a large body comes in one go.
        let mut body = received.split_off(end + 4);
        if announced > MOST_BYTES {
            return Ok(None);
        }
        let missing = announced.saturating_sub(body.len());
        let begun = body.len();
        body.resize(begun + missing, 0);
        stream.read_exact(body.get_mut(begun..).unwrap_or_default()).await?;
        return Ok(Some((head, body)));
    }
}
