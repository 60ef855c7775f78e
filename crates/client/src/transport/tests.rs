//! Nothing that is printed shows an API key, whatever the endpoint does.

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex},
};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    At, ChainError, EndpointUrl, Node, NodeConfig, SendError,
    testing::{Answer, CONTRACT, FakeNode, handler_error},
};

const SECRETS: [&str; 5] = ["useruser", "SECRETpass", "SECRETpath", "SECRETquery", "SECRET/path"];

/// A page that repeats everything that it was asked with.
const ECHO: &[u8] = b"useruser:SECRETpass cannot POST /v1/SECRETpath?apikey=SECRETquery";

fn with_secrets(url: &str) -> String {
    let host = url.trim_start_matches("http://");
    format!("http://useruser:SECRETpass@{host}/v1/SECRETpath?apikey=SECRETquery&SECRET%2Fpath")
}

/// All the ways in which an error is printed.
fn printed(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        text += &format!("{error} {error:#} {error:?} {error:#?}\n");
        next = error.source();
    }
    text
}

fn assert_no_secret(text: &str, what: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn raw(head: &str, body: &[u8]) -> Answer {
    let mut bytes = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Answer::Raw(bytes)
}

fn kinds() -> Vec<fn() -> Answer> {
    vec![
        || Answer::Http(200, ECHO.to_vec()),
        || Answer::Http(400, ECHO.to_vec()),
        || Answer::Http(401, ECHO.to_vec()),
        || Answer::Http(404, ECHO.to_vec()),
        || Answer::Http(413, ECHO.to_vec()),
        || Answer::Http(422, ECHO.to_vec()),
        || Answer::Http(429, ECHO.to_vec()),
        || Answer::Http(502, ECHO.to_vec()),
        || raw("307 x\r\nlocation: http://127.0.0.1:1/v1/SECRETpath?apikey=SECRETquery", ECHO),
        || raw("200 x\r\ncontent-length: 5000", ECHO),
        || raw("this is not HTTP /v1/SECRETpath", ECHO),
        || Answer::Raw(Vec::new()),
        || Answer::Hang,
        || Answer::Http(200, vec![b' '; 200_000]),
        || Answer::Result(json!({ "path": "/v1/SECRETpath?apikey=SECRETquery" })),
        || {
            Answer::Result(json!({
                "error": "no key SECRETquery, SECRET/path", "logs": [], "block_height": 1,
                "block_hash": "11111111111111111111111111111111"
            }))
        },
        || Answer::Error(handler_error("SECRETpath", &json!({ "path": "/v1/SECRETpath" }))),
        || {
            let info = json!({ "error_message": "at /v1/SECRETpath?apikey=SECRETquery" });
            Answer::Error(handler_error("INTERNAL_ERROR", &info))
        },
        || {
            Answer::Error(json!({
                "name": "REQUEST_VALIDATION_ERROR", "code": -32700, "message": "SECRETquery",
                "cause": { "name": "PARSE_ERROR", "info": { "error_message": "SECRETpath" } },
                "data": "useruser"
            }))
        },
        || Answer::Error(json!({ "code": 7, "message": "SECRETquery", "data": "SECRETpath" })),
        || {
            let id = "SECRETquery";
            Answer::Http(200, json!({ "jsonrpc": "2.0", "id": id, "result": 1 }).to_string().into())
        },
    ]
}

#[tokio::test]
async fn no_failure_shows_the_secrets_of_the_url() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    // While there is only one subscriber, whether an event is ever told is settled for good by the
    // first thread that meets it, and other tests have threads that listen to nothing.
    let _other = tracing::Dispatch::new(tracing_subscriber::registry());
    let _logging = tracing::subscriber::set_default(subscriber);
    let contract = CONTRACT.parse().unwrap();
    for kind in kinds() {
        let fake = FakeNode::start(move |_, _| kind()).await;
        let second = with_secrets(&fake.url.replace("127.0.0.1", "localhost"));
        for quorum in [1, 2] {
            let config = NodeConfig {
                endpoints: vec![with_secrets(&fake.url).into(), second.clone().into()],
                quorum,
                attempts: 2,
                timeout: std::time::Duration::from_millis(100),
                ..fake.config()
            };
            let single = NodeConfig { quorum: 1, ..config.clone() };
            let single = NodeConfig { endpoints: vec![config.endpoints[0].clone()], ..single };
            for config in [config, single] {
                let node = Node::new(&config).unwrap();
                let text = format!("{config:?} {node:?} {:?} {}", node.health(), node.shown_url());
                assert_no_secret(&text, "the client");
                let errors: [ChainError; 3] = [
                    node.block(At::Final).await.unwrap_err(),
                    node.view(&contract, "get", Vec::new(), At::Final).await.unwrap_err(),
                    node.check_network().await.unwrap_err(),
                ];
                for error in errors {
                    assert_no_secret(&printed(&error), "an error");
                    assert_no_secret(&printed(&SendError::from(error)), "an error");
                }
            }
        }
    }
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("WARN"), "nothing was logged: {log}");
    assert_no_secret(&log, "the log");
}

/// The end of what is shown of an answer may fall into a secret.
#[tokio::test]
async fn no_part_of_a_secret_is_left_where_an_answer_is_cut() {
    for before in 180..200 {
        let page = [&b"x".repeat(before)[..], b"SECRETquery and more"].concat();
        let fake = FakeNode::start(move |_, _| Answer::Http(200, page.clone())).await;
        let endpoints = vec![with_secrets(&fake.url).into()];
        let config = NodeConfig { endpoints, attempts: 1, ..fake.config() };
        let error = Node::new(&config).unwrap().block(At::Optimistic).await.unwrap_err();
        let text = printed(&error);
        assert!(text.contains("it begins with") && !text.contains("SEC"), "{before}: {text}");
    }
}

#[tokio::test]
async fn connections_that_fail_do_not_show_the_secrets_of_the_url() {
    for host in ["http://127.0.0.1:1", "http://nowhere.invalid", "http://[::1]:1"] {
        let config = NodeConfig { attempts: 1, ..NodeConfig::new(with_secrets(host)) };
        let error = Node::new(&config).unwrap().block(At::Final).await.unwrap_err();
        assert_no_secret(&printed(&error), "an error");
        assert!(error.to_string().contains(host), "{error}");
    }
    for broken in ["http://SECRETpath:x/", "SECRETpath", "ftp://useruser@x/", "http://[SECRETpath]"]
    {
        let config = NodeConfig::new(broken);
        let error = Node::new(&config).unwrap_err();
        assert_no_secret(&format!("{config:?} {}", printed(&error)), "an error");
        assert_no_secret(&EndpointUrl::from(broken).to_string(), "a URL");
    }
}
