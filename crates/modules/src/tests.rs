//! Code from a contract and from a URL, and what is kept of it.

use outlayer_client::{
    At,
    testing::{Answer, FakeNode, view_result},
};
use outlayer_protocol::{Bytes, CodeRef, Hash32, methods};
use serde_json::json;

use super::*;

const CODE: &[u8] = b"\0asm a module";

fn code(url: Option<String>) -> CodeRef {
    CodeRef { hash: Hash32::of(CODE), url }
}

fn store(dir: &std::path::Path) -> CodeStore {
    CodeStore::new(CodeConfig {
        cache_dir: Some(dir.to_owned()),
        max_code_bytes: 1_000,
        allow_private_urls: true,
        ..CodeConfig::default()
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
