//! Web servers of tests, on this machine, with and without TLS.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto, pki_types::PrivateKeyDer},
};

/// How a server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With these bytes, which are the whole answer.
    Bytes(Vec<u8>),
    /// The same, after a while.
    After(Duration, Vec<u8>),
    /// It takes the request, and says nothing.
    Never,
    /// It ends the connection.
    BreaksOff,
}

impl Answer {
    /// An answer of this text, with its head.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Bytes(text.into().into_bytes())
    }

    /// A status of success with this body.
    pub fn ok(body: &str) -> Self {
        Self::text(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    /// A redirect.
    pub fn redirect(to: &str) -> Self {
        Self::text(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"))
    }
}

/// A certificate for `localhost`.
#[derive(Clone)]
pub struct Certificate {
    acceptor: TlsAcceptor,
    /// The certificate, for whoever is to trust it.
    pub pem: Vec<u8>,
}

impl Certificate {
    /// Makes a certificate.
    ///
    /// # Errors
    /// When there is no key or no certificate to be had.
    pub fn new() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()])?;
        let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)?;
        let pem = cert.pem().into_bytes();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), pem })
    }
}

/// A server, until it is dropped.
pub struct Server {
    /// Where it listens, on this machine.
    pub address: SocketAddr,
    is_tls: bool,
    /// The requests that it was sent, as text.
    pub heard: mpsc::UnboundedReceiver<String>,
    most: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts a server that gives each request the answer that `answers` has for it; with TLS if
    /// there is a certificate.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start(
        certificate: Option<&Certificate>,
        answers: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (tell, heard) = mpsc::unbounded_channel();
        let acceptor = certificate.map(|certificate| certificate.acceptor.clone());
        let (is_tls, answers) = (acceptor.is_some(), Arc::new(answers));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let noted = Arc::clone(&most);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (answers, tell) = (Arc::clone(&answers), tell.clone());
                let acceptor = acceptor.clone();
                let (now, noted) = (Arc::clone(&now), Arc::clone(&noted));
                tokio::spawn(async move {
                    noted.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    match acceptor {
                        None => converse(socket, &*answers, &tell).await,
                        Some(acceptor) => {
                            if let Ok(socket) = acceptor.accept(socket).await {
                                converse(socket, &*answers, &tell).await;
                            }
                        }
                    }
                    now.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Ok(Self { address, is_tls, heard, most, task })
    }

    /// The most connections that it has had at once.
    pub fn most_at_once(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// The server as a request lists it.
    pub fn host(&self) -> String {
        let port = self.address.port();
        if self.is_tls { format!("localhost:{port}") } else { format!("http://localhost:{port}") }
    }

    /// A URL of the server.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://localhost:{}{path}", self.address.port())
    }
}

/// Takes one request, to the end of its body, and answers it.
async fn converse(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    answers: &(impl Fn(&str) -> Answer + Sync),
    tell: &mpsc::UnboundedSender<String>,
) {
    let mut heard = Vec::new();
    while !is_whole(&heard) {
        let mut buffer = [0; 4_096];
        match socket.read(&mut buffer).await {
            Ok(length) if length > 0 => heard.extend_from_slice(&buffer[..length]),
            _ => break,
        }
    }
    let heard = String::from_utf8_lossy(&heard).into_owned();
    let answer = answers(&heard);
    // Nobody may be interested.
    let _ = tell.send(heard);
    if let Answer::After(wait, _) = &answer {
        tokio::time::sleep(*wait).await;
    }
    match answer {
        Answer::Bytes(bytes) | Answer::After(_, bytes) => {
            // The client may have gone.
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
        }
        Answer::Never => std::future::pending().await,
        Answer::BreaksOff => {}
    }
}

/// Whether a request has come to its end.
fn is_whole(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0)
}
