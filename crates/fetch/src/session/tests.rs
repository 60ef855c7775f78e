//! Exchanges with servers of this machine, with and without TLS.

use std::{net::SocketAddr, sync::Arc};

use outlayer_guest::Http;
use outlayer_protocol::http::HttpRequest;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Runtime,
    sync::mpsc,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto, pki_types::PrivateKeyDer},
};

use super::*;
use crate::FetchConfig;

/// How a server of these tests answers.
#[derive(Clone)]
enum Answers {
    With(Vec<u8>),
    /// It takes the connection, and says nothing.
    Never,
    /// It ends the connection.
    BreaksOff,
}

fn with(text: &str) -> Answers {
    Answers::With(text.as_bytes().to_vec())
}

/// A server, and what it was sent.
struct Server {
    address: SocketAddr,
    heard: mpsc::UnboundedReceiver<String>,
}

/// Starts a server, with TLS if there is a certificate.
fn serve(runtime: &Runtime, answers: Answers, tls: Option<TlsAcceptor>) -> Server {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, heard) = mpsc::unbounded_channel();
    runtime.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (answers, tell, tls) = (answers.clone(), tell.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => converse(socket, answers, tell).await,
                    Some(tls) => match tls.accept(socket).await {
                        Ok(socket) => converse(socket, answers, tell).await,
                        Err(_) => drop(tell.send("no handshake".to_owned())),
                    },
                }
            });
        }
    });
    Server { address, heard }
}

async fn converse(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    answers: Answers,
    tell: mpsc::UnboundedSender<String>,
) {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") && !heard.ends_with(b"the body") {
        let mut buffer = [0; 1_024];
        let length = socket.read(&mut buffer).await.unwrap_or(0);
        heard.extend_from_slice(&buffer[..length]);
        if length == 0 {
            break;
        }
    }
    let _ = tell.send(String::from_utf8_lossy(&heard).into_owned());
    match answers {
        Answers::With(bytes) => {
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
        }
        Answers::Never => std::future::pending().await,
        Answers::BreaksOff => {}
    }
}

/// A certificate for this machine, as its server and its client need it.
fn certificate() -> (TlsAcceptor, Vec<u8>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), cert.pem().into_bytes())
}

fn get(url: String) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), url, headers: Vec::new(), body: Bytes::default() }
}

/// Development: this machine may be reached.
fn local() -> FetchConfig {
    FetchConfig { allow_loopback: true, ..FetchConfig::default() }
}

/// A session that may reach `host`, and waits for so long.
fn session(runtime: &Runtime, config: FetchConfig, host: &str, max_ms: u32) -> Session {
    let mut access = HttpAccess::to(vec![host.to_owned()]);
    (access.max_ms, access.repeatable) = (max_ms, true);
    let web = Web::new(config).unwrap();
    let http = Http { access: &access, several: false };
    web.session("outlayer.near".parse().unwrap(), http, runtime.handle().clone())
}

/// As long as a test may take at the most.
const LONG: u32 = 300_000;

fn exchange(session: &mut Session, request: &HttpRequest, number: u32) -> Fetched {
    session.fetch(&Outgoing { request_id: 7, number, request }).unwrap()
}

#[test]
fn an_answer_comes_with_its_status_its_kept_headers_and_its_body() {
    let runtime = Runtime::new().unwrap();
    let answer = "HTTP/1.1 302 Found\r\nSet-Cookie: a=b\r\nLocation: https://elsewhere/\r\n\
                  ETag: \"1\"\r\nDate: now\r\nContent-Length: 5\r\n\r\nhello";
    let (tls, root) = certificate();
    let mut server = serve(&runtime, with(answer), Some(tls));
    let host = format!("localhost:{}", server.address.port());
    let config = FetchConfig { roots: vec![root], ..local() };
    let mut session = session(&runtime, config, &host, LONG);
    let mut request = get(format!("https://{host}/path?query"));
    request.headers = vec![("x-own".to_owned(), "value".into())];
    let expected = HttpResponse {
        status: 302,
        headers: vec![
            ("etag".to_owned(), "\"1\"".into()),
            ("location".to_owned(), "https://elsewhere/".into()),
        ],
        body: "hello".into(),
    };
    assert_eq!(exchange(&mut session, &request, 0), Fetched::Fresh(Ok(expected)));
    let heard = server.heard.blocking_recv().unwrap();
    assert!(heard.starts_with("GET /path?query HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("user-agent: outlayer\r\n") && heard.contains("x-own: value\r\n"));

    // The key is that of the exchange, whoever makes it and however often.
    let key = |heard: &str| {
        heard.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap().to_owned()
    };
    let first = key(&heard);
    let mut keys = [0, 1].map(|number| {
        request.method = "POST".to_owned();
        request.body = "the body".into();
        exchange(&mut session, &request, number);
        key(&server.heard.blocking_recv().unwrap())
    });
    assert_eq!(first, keys[0]);
    keys.sort();
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn an_exchange_without_an_answer_says_why() {
    let runtime = Runtime::new().unwrap();
    let (tls, _) = certificate();
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(MAX_FETCHED_BYTES as usize + 1));
    let cases = [
        (Answers::BreaksOff, None, ExchangeError::Protocol),
        (with("no HTTP\r\n\r\n"), None, ExchangeError::Protocol),
        (with(&long), None, ExchangeError::TooLarge),
        // Nobody has said that the certificate is to be trusted.
        (with("HTTP/1.1 200 OK\r\n\r\n"), Some(tls), ExchangeError::Tls),
    ];
    for (answers, tls, expected) in cases {
        let is_tls = tls.is_some();
        let server = serve(&runtime, answers, tls);
        let port = server.address.port();
        let (host, url) = match is_tls {
            true => (format!("localhost:{port}"), format!("https://localhost:{port}/")),
            false => (format!("http://localhost:{port}"), format!("http://localhost:{port}/")),
        };
        let mut session = session(&runtime, local(), &host, LONG);
        assert_eq!(exchange(&mut session, &get(url), 0), Fetched::Fresh(Err(expected)));
    }
}

#[test]
fn what_is_not_reached_is_told_apart() {
    let runtime = Runtime::new().unwrap();
    // A port of which nobody listens any more.
    let closed = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap().local_addr().unwrap();
    let url = format!("http://127.0.0.1:{}", closed.port());
    let fetched = |config, host: &str, url: &str| {
        exchange(&mut session(&runtime, config, host, LONG), &get(url.to_owned()), 0)
    };
    let failed = |error| Fetched::Fresh(Err(error));
    let slash = format!("{url}/");
    assert_eq!(fetched(local(), &url, &slash), failed(ExchangeError::Unreachable));
    // Without leave, this machine is not asked, by its name or by its address.
    let strict = FetchConfig::default;
    assert_eq!(fetched(strict(), &url, &slash), failed(ExchangeError::PrivateAddress));
    let by_name = format!("http://localhost:{}", closed.port());
    let found = fetched(strict(), &by_name, &format!("{by_name}/"));
    assert_eq!(found, failed(ExchangeError::PrivateAddress));
    // With leave, private networks are not.
    for address in ["10.0.0.1", "169.254.169.254"] {
        let found = fetched(local(), address, &format!("https://{address}/"));
        assert_eq!(found, failed(ExchangeError::PrivateAddress));
    }
    // What the request does not list, whatever the engine says.
    let found = fetched(local(), "a.example", &slash);
    assert_eq!(found, failed(ExchangeError::PrivateAddress));
    assert_eq!(
        fetched(strict(), "a.invalid", "https://a.invalid/"),
        failed(ExchangeError::Unresolved)
    );
}

#[test]
fn the_time_is_for_all_exchanges_together() {
    let runtime = Runtime::new().unwrap();
    let silent = serve(&runtime, Answers::Never, None);
    let host = format!("http://127.0.0.1:{}", silent.address.port());
    let mut session = session(&runtime, local(), &host, 50);
    let request = get(format!("{host}/"));
    let late = Fetched::Fresh(Err(ExchangeError::TimedOut));
    assert_eq!(exchange(&mut session, &request, 0), late);
    assert!(session.left.is_zero());
    assert_eq!(exchange(&mut session, &request, 1), late);
}

#[test]
fn a_host_that_is_down_is_told_from_a_network_that_is() {
    let runtime = Runtime::new().unwrap();
    let works = serve(&runtime, Answers::BreaksOff, None).address.to_string();
    let closed = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap().local_addr().unwrap();
    let host = format!("http://127.0.0.1:{}", closed.port());
    let request = get(format!("{host}/"));
    let fetch = |probes: &[&str]| {
        let probes = probes.iter().map(|&probe| probe.to_owned()).collect();
        let config = FetchConfig { probes, ..local() };
        let outgoing = Outgoing { request_id: 7, number: 0, request: &request };
        session(&runtime, config, &host, LONG).fetch(&outgoing)
    };
    let down = Ok(Fetched::Fresh(Err(ExchangeError::Unreachable)));
    let dead = closed.to_string();
    assert_eq!(fetch(&[&works]), down);
    assert_eq!(fetch(&[&dead, &works]), down);
    assert_eq!(fetch(&[]), down);
    let Err(FetchError::Network(reason)) = fetch(&[&dead]) else { panic!() };
    assert!(reason.contains(&dead), "{reason}");
}
