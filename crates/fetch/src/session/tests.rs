//! Exchanges with servers of this machine, with and without TLS.

use std::sync::atomic::{AtomicBool, Ordering};

use outlayer_guest::Http;
use outlayer_protocol::http::HttpRequest;
use tokio::{net::TcpListener, runtime::Runtime};

use super::*;
use crate::{
    FetchConfig,
    testing::{Answer, Certificate, Server},
};

/// Starts a server that answers everything alike.
fn serve(runtime: &Runtime, answer: Answer, certificate: Option<&Certificate>) -> Server {
    runtime.block_on(Server::start(certificate, move |_| answer.clone())).unwrap()
}

fn get(url: String) -> HttpRequest {
    HttpRequest::get(url)
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
    let certificate = Certificate::new().unwrap();
    let mut server = serve(&runtime, Answer::text(answer), Some(&certificate));
    let config = FetchConfig { roots: vec![certificate.pem], ..local() };
    let mut session = session(&runtime, config, &server.host(), LONG);
    let mut request = get(server.url("/path?query"));
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
    let certificate = Certificate::new().unwrap();
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(MAX_FETCHED_BYTES as usize + 1));
    let cases = [
        (Answer::BreaksOff, None, ExchangeError::Protocol),
        (Answer::text("no HTTP\r\n\r\n"), None, ExchangeError::Protocol),
        (Answer::text(long), None, ExchangeError::TooLarge),
        // Nobody has said that the certificate is to be trusted.
        (Answer::ok(""), Some(&certificate), ExchangeError::Tls),
    ];
    for (answer, certificate, expected) in cases {
        let server = serve(&runtime, answer, certificate);
        let mut session = session(&runtime, local(), &server.host(), LONG);
        let found = exchange(&mut session, &get(server.url("/")), 0);
        assert_eq!(found, Fetched::Fresh(Err(expected)));
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
    let silent = serve(&runtime, Answer::Never, None);
    let mut session = session(&runtime, local(), &silent.host(), 50);
    session.access.max_exchanges = 3;
    let request = get(silent.url("/"));
    let late = Fetched::Fresh(Err(ExchangeError::TimedOut));
    assert_eq!(session.patience(0), Duration::from_millis(25));
    assert_eq!(session.patience(2), Duration::from_millis(50));
    assert_eq!(exchange(&mut session, &request, 0), late);
    assert!(session.left <= Duration::from_millis(25), "{:?}", session.left);
    assert_eq!(exchange(&mut session, &request, 2), late);
    assert!(session.left.is_zero());
    assert_eq!(exchange(&mut session, &request, 3), late);
}

#[test]
fn an_exchange_is_broken_off_when_the_execution_is_over() {
    let runtime = Runtime::new().unwrap();
    let mut silent = serve(&runtime, Answer::Never, None);
    let (host, request) = (silent.host(), get(silent.url("/")));
    // It is over once the server has the request, which it does not answer.
    let is_over = Arc::new(AtomicBool::new(false));
    let (told, mut session) = (Arc::clone(&is_over), session(&runtime, local(), &host, LONG));
    let heard = runtime.spawn(async move {
        let heard = silent.heard.recv().await;
        is_over.store(true, Ordering::Relaxed);
        (heard, silent)
    });
    session = session.until(Arc::new(move || told.load(Ordering::Relaxed)));
    let outgoing = Outgoing { request_id: 7, number: 0, request: &request };
    let ended = session.fetch(&outgoing);
    assert_eq!(ended, Err(FetchError::Network("the execution is over".to_owned())));
    assert!(runtime.block_on(heard).unwrap().0.is_some());
}

#[test]
fn a_host_that_is_down_is_told_from_a_network_that_is() {
    let runtime = Runtime::new().unwrap();
    let server = serve(&runtime, Answer::BreaksOff, None);
    let works = server.address.to_string();
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

/// The proxy's address reaches this test only as a process of its own, because all tests of a
/// process share the environment.
#[test]
fn a_proxy_of_the_environment_is_not_used() {
    const INNER: &str = "OUTLAYER_TEST_FETCH_BEHIND_A_PROXY";
    let runtime = Runtime::new().unwrap();
    if let Ok(url) = std::env::var(INNER) {
        let mut session = session(&runtime, local(), &url, LONG);
        let fetched = exchange(&mut session, &get(format!("{url}/")), 0);
        let Fetched::Fresh(Ok(response)) = fetched else { panic!("{fetched:?}") };
        assert_eq!(response.body, "the server's".into());
        return;
    }
    let target = serve(&runtime, Answer::ok("the server's"), None);
    let proxy = serve(&runtime, Answer::ok("the proxy's"), None);
    let mut inner = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        inner.env(name, proxy.host());
    }
    inner.env_remove("NO_PROXY").env_remove("no_proxy").env_remove("REQUEST_METHOD");
    let name = "session::tests::a_proxy_of_the_environment_is_not_used";
    let output = inner.env(INNER, target.host()).args(["--exact", name]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
