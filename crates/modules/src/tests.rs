//! Code from a contract and from a URL, and what is kept of it.

use std::time::Duration;

use outlayer_client::{
    At,
    testing::{Answer, FakeNode, view_result},
};
use outlayer_fetch::Guard;
use outlayer_protocol::{Bytes, CodeRef, Hash32, methods};
use serde_json::json;

use super::{web::Web, *};

const CODE: &[u8] = b"\0asm a module";

fn code(url: Option<String>) -> CodeRef {
    CodeRef { hash: Hash32::of(CODE), url }
}

/// How long what takes a moment may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bounds on time that no download of these tests meets.
fn patient() -> CodeConfig {
    CodeConfig {
        min_bytes_per_second: 1_000,
        slow_start: 10 * PATIENCE,
        timeout: 10 * PATIENCE,
        ..CodeConfig::default()
    }
}

fn store(dir: &std::path::Path) -> CodeStore {
    CodeStore::new(CodeConfig {
        cache_dir: Some(dir.to_owned()),
        max_code_bytes: 1_000,
        allow_private_urls: true,
        ..patient()
    })
    .unwrap()
}

/// A contract that publishes `bytes` under every hash, and a web server that answers with them.
async fn publisher(bytes: &'static [u8]) -> FakeNode {
    FakeNode::start(move |method, params| {
        if method == "GET" {
            return Answer::Http(200, bytes.to_vec());
        }
        match params["method_name"].as_str() {
            Some(methods::GET_CODE_INFO) => {
                let length = bytes.len();
                view_result(&json!({
                    "hash": Hash32::of(CODE), "publisher_id": "p.near",
                    "total_bytes": length, "published_bytes": length
                }))
            }
            Some(methods::GET_CODE) => view_result(&json!(Bytes::from(bytes))),
            other => panic!("unexpected view {other:?}"),
        }
    })
    .await
}

#[tokio::test]
async fn code_is_fetched_once_and_kept_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let node = publisher(CODE).await;
    let first = store(dir.path());
    let contract = node.contract();
    let wanted = code(None);
    let (a, b) = tokio::join!(
        first.load(&wanted, &contract, At::Final),
        first.load(&wanted, &contract, At::Final)
    );
    assert_eq!((a.unwrap().as_slice(), b.unwrap().as_slice()), (CODE, CODE));
    let again = store(dir.path()).load(&code(None), &node.contract(), At::Final).await.unwrap();
    assert_eq!(again.as_slice(), CODE);
    assert_eq!(node.called("query"), 2, "info and one part");
    let names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, [format!("{}.wasm", Hash32::of(CODE)).as_str()]);
}

#[tokio::test]
async fn a_file_that_was_tampered_with_is_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("{}.wasm", Hash32::of(CODE)));
    std::fs::write(&path, b"\0asm another module").unwrap();
    let node = publisher(CODE).await;
    let bytes = store(dir.path()).load(&code(None), &node.contract(), At::Final).await.unwrap();
    assert_eq!(bytes.as_slice(), CODE);
    assert_eq!(std::fs::read(&path).unwrap(), CODE);
}

#[tokio::test]
async fn bytes_with_another_hash_are_refused_from_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let node = publisher(b"\0asm not what was asked for").await;
    for url in [None, Some(format!("{}/module.wasm", node.url))] {
        let error =
            store(dir.path()).load(&code(url), &node.contract(), At::Final).await.unwrap_err();
        assert!(
            matches!(error, CodeError::Hash { expected, .. } if expected == Hash32::of(CODE)),
            "{error}"
        );
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing wrong is kept");
}

#[tokio::test]
async fn a_download_is_verified_bounded_and_kept_off_private_networks() {
    let dir = tempfile::tempdir().unwrap();
    let node = publisher(CODE).await;
    let url = Some(format!("{}/module.wasm", node.url));
    let bytes =
        store(dir.path()).load(&code(url.clone()), &node.contract(), At::Final).await.unwrap();
    assert_eq!(bytes.as_slice(), CODE);

    let careful = CodeStore::new(CodeConfig::default()).unwrap();
    let error = careful.load(&code(url), &node.contract(), At::Final).await.unwrap_err();
    assert!(
        matches!(
            &error,
            CodeError::Download { source: DownloadError::Url(UrlError::Private { .. }), .. }
        ),
        "{error}"
    );
    assert_eq!(node.called("GET"), 1);

    let (large, dir) = (publisher(&[7; 1_001]).await, tempfile::tempdir().unwrap());
    for url in [None, Some(large.url.clone())] {
        let error =
            store(dir.path()).load(&code(url), &large.contract(), At::Final).await.unwrap_err();
        assert!(matches!(error, CodeError::TooLarge { limit: 1_000, .. }), "{error}");
    }
}

#[tokio::test]
async fn code_that_is_not_published_completely_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let node = FakeNode::start(|_, params| match params["method_name"].as_str() {
        Some(methods::GET_CODE_INFO) => view_result(&json!({
            "hash": Hash32::of(CODE), "publisher_id": "p.near",
            "total_bytes": 13, "published_bytes": 5
        })),
        other => panic!("unexpected view {other:?}"),
    })
    .await;
    let error = store(dir.path()).load(&code(None), &node.contract(), At::Final).await.unwrap_err();
    assert!(matches!(error, CodeError::NotPublished { published: 5, total: 13, .. }), "{error}");
}

#[tokio::test]
async fn a_node_that_gives_code_byte_by_byte_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let node = FakeNode::start(|_, params| match params["method_name"].as_str() {
        Some(methods::GET_CODE_INFO) => view_result(&json!({
            "hash": Hash32::of(CODE), "publisher_id": "p.near",
            "total_bytes": 1_000, "published_bytes": 1_000
        })),
        _ => view_result(&json!(Bytes::from(&b"x"[..]))),
    })
    .await;
    let error = store(dir.path()).load(&code(None), &node.contract(), At::Final).await.unwrap_err();
    assert!(matches!(error, CodeError::NotPublished { published: 1, .. }), "{error}");
    assert_eq!(node.called("query"), 2);
}

/// A web server that sends `head` with each response and then `body`, a part at a time.
async fn web_server(head: String, body: &'static [&'static [u8]], pause: Duration) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = head.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                for part in body {
                    stream.write_all(part).await?;
                    tokio::time::sleep(pause).await;
                }
                stream.shutdown().await
            });
        }
    });
    url
}

const LARGE: &[u8] = &[7; 600];
const AT_ONCE: Duration = Duration::ZERO;

fn web(guard: Guard, redirects: usize) -> Web {
    Web::guarded(&CodeConfig { redirects, ..patient() }, guard)
}

/// The test's web servers are the public internet, and everything else is private.
fn one_address(ip: std::net::IpAddr) -> bool {
    ip == std::net::IpAddr::from([127, 0, 0, 1])
}

#[tokio::test]
async fn redirects_are_checked_at_each_hop_by_address_and_by_name() {
    let web = web(Guard::admitting(one_address), 2);
    let target = web_server("200 OK".into(), &[CODE], AT_ONCE).await;
    let port = target.rsplit(':').next().unwrap().to_owned();
    let redirect = |to: String| web_server(format!("302 Found\r\nlocation: {to}"), &[], AT_ONCE);

    let once = redirect(target.clone()).await;
    let twice = redirect(once.clone()).await;
    assert_eq!(web.download(&twice, 1_000).await.unwrap(), CODE);
    let thrice = redirect(twice).await;
    let error = web.download(&thrice, 1_000).await.unwrap_err().to_string();
    assert!(error.contains("more than 2 redirects"), "{error}");

    // 127.0.0.2 and the name `localhost` are both on this machine, where a server listens.
    let inside = redirect(format!("http://127.0.0.2:{port}/")).await;
    let error = web.download(&inside, 1_000).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.2 is an address inside a private network"), "{error}");
    let nobody = self::web(Guard::admitting(|_| false), 2);
    let error = nobody.download(&format!("http://localhost:{port}/"), 1_000).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("localhost has no address outside of private networks"), "{error}");
    let other_scheme = redirect("ftp://127.0.0.1/x".into()).await;
    assert!(web.download(&other_scheme, 1_000).await.is_err());
}

#[tokio::test]
async fn a_body_is_bounded_while_it_arrives_in_size_and_in_rate() {
    let web = web(Guard::new(true), 0);
    let announced = web_server("200 OK\r\ncontent-length: 99999".into(), &[], AT_ONCE).await;
    let error = web.download(&announced, 1_000).await.unwrap_err();
    assert!(matches!(error, CodeError::TooLarge { limit: 1_000, .. }), "{error}");

    let endless = web_server("200 OK".into(), &[LARGE; 4], AT_ONCE).await;
    let error = web.download(&endless, 1_000).await.unwrap_err();
    assert!(matches!(error, CodeError::TooLarge { limit: 1_000, .. }), "{error}");
    assert_eq!(web.download(&endless, 2_400).await.unwrap().len(), 2_400, "the bound is exact");

    // Without the least rate this would go on until the timeout, which is another error.
    let drip =
        web_server("200 OK".into(), &[b"x" as &[u8]; 1_000], Duration::from_millis(200)).await;
    let config = CodeConfig { slow_start: Duration::from_millis(300), ..patient() };
    let strict = Web::guarded(&config, Guard::new(true));
    let error = strict.download(&drip, 10_000).await.unwrap_err();
    assert!(
        matches!(
            error,
            CodeError::Download { source: DownloadError::TooSlow { least: 1_000, .. }, .. }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_truncated_body_is_an_error_and_not_the_code() {
    let short = web_server("200 OK\r\ncontent-length: 500".into(), &[CODE], AT_ONCE).await;
    let error = web(Guard::new(true), 0).download(&short, 1_000).await.unwrap_err();
    assert!(matches!(error, CodeError::Download { source: DownloadError::Http(_), .. }), "{error}");
}

#[tokio::test]
async fn one_url_that_never_answers_does_not_keep_others_from_the_code() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let node = publisher(CODE).await;
    let contract = node.contract();
    let silent = web_server("200 OK".into(), &[b"x"], 10 * PATIENCE).await;
    let (stuck, good) = (code(Some(silent)), code(Some(format!("{}/module.wasm", node.url))));
    let first = {
        let (store, contract) = (store.clone(), contract.clone());
        tokio::spawn(async move { store.load(&stuck, &contract, At::Final).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Whoever waited for the first source would do so beyond the patience of this test.
    let good = tokio::time::timeout(PATIENCE, store.load(&good, &contract, At::Final)).await;
    assert_eq!(good.unwrap().unwrap().as_slice(), CODE);
    // The first caller is served too: who gave the bytes does not matter.
    let first = tokio::time::timeout(PATIENCE, first).await.unwrap();
    assert_eq!(first.unwrap().unwrap().as_slice(), CODE);
}

#[tokio::test]
async fn callers_who_wait_for_one_source_share_its_failure_and_the_next_one_asks_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let node = publisher(b"\0asm not what was asked for").await;
    let contract = node.contract();
    let wanted = code(Some(format!("{}/module.wasm", node.url)));
    let load = || store.load(&wanted, &contract, At::Final);
    let (a, b, c) = tokio::join!(load(), load(), load());
    for failed in [a, b, c] {
        assert!(matches!(failed, Err(CodeError::Hash { .. })));
    }
    assert_eq!(node.called("GET"), 1);
    assert!(load().await.is_err());
    assert_eq!(node.called("GET"), 2);
}

/// The proxy's address reaches this test only as a process of its own, because all tests of a
/// process share the environment.
#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() {
    const INNER: &str = "OUTLAYER_TEST_BEHIND_A_PROXY";
    if let Ok(url) = std::env::var(INNER) {
        assert_eq!(web(Guard::new(true), 0).download(&url, 1_000).await.unwrap(), CODE);
        return;
    }
    let target = web_server("200 OK".into(), &[CODE], AT_ONCE).await;
    let proxy = web_server("200 OK".into(), &[b"the proxy's"], AT_ONCE).await;
    let mut inner = tokio::process::Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        inner.env(name, &proxy);
    }
    let name = "tests::a_proxy_of_the_environment_is_not_used";
    inner.env_remove("NO_PROXY").env_remove("no_proxy").env(INNER, &target);
    let output = inner.args(["--exact", name]).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
