//! The file with the HTTP exchanges of an execution: JSON, for people and for programs.
//!
//! Each exchange has the hash of its request, which names it, the request's method and URL for who
//! reads it, and either an answer or an error. Bytes that are UTF-8 are text, others Base64.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use outlayer_guest::{Fetch, FetchError, Fetched, Outgoing};
use outlayer_protocol::{
    Bytes, Hash32,
    http::{Answered, Exchange, ExchangeError, HttpResponse, Transcript},
};
use serde::{Deserialize, Serialize};

/// A network that notes what it is asked.
pub(crate) struct Noted<F> {
    network: F,
    asked: Vec<String>,
}

impl<F> Noted<F> {
    pub(crate) fn new(network: F) -> Self {
        Self { network, asked: Vec::new() }
    }

    /// Method and URL of each request.
    pub(crate) fn asked(&self) -> &[String] {
        &self.asked
    }
}

impl<F: Fetch> Fetch for Noted<F> {
    fn fetch(&mut self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        let request = outgoing.request;
        self.asked.push(format!("{} {}", request.method, request.url));
        self.network.fetch(outgoing)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    exchanges: Vec<Recorded>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    /// Method and URL. Nothing depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    request_hash: Hash32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<Response>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ExchangeError>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    status: u16,
    headers: Vec<(String, Content)>,
    body: Content,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Binary { base64: Bytes },
}

impl From<&Bytes> for Content {
    fn from(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Binary { base64: bytes.clone() },
        }
    }
}

impl From<Content> for Bytes {
    fn from(content: Content) -> Self {
        match content {
            Content::Text(text) => Self(text.into_bytes()),
            Content::Binary { base64 } => base64,
        }
    }
}

/// Reads a transcript.
pub(crate) fn read(path: &Path) -> anyhow::Result<Transcript> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let file: File = serde_json::from_str(&text)
        .with_context(|| format!("{} is no transcript", path.display()))?;
    let exchanges = file.exchanges.into_iter().map(exchange).collect::<anyhow::Result<_>>()?;
    Ok(Transcript { exchanges })
}

fn exchange(recorded: Recorded) -> anyhow::Result<Exchange> {
    let answered = match (recorded.response, recorded.error) {
        (Some(Response { status, headers, body }), None) => Answered::Response(HttpResponse {
            status,
            headers: headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
            body: body.into(),
        }),
        (None, Some(error)) => Answered::Failed(error),
        _ => bail!("an exchange of the transcript needs either a response or an error"),
    };
    Ok(Exchange { request_hash: recorded.request_hash, answered })
}

/// Writes a transcript, whose requests are named so.
pub(crate) fn write(path: &Path, transcript: &Transcript, asked: &[String]) -> anyhow::Result<()> {
    let recorded = |(number, exchange): (usize, &Exchange)| {
        let (response, error) = match &exchange.answered {
            Answered::Response(HttpResponse { status, headers, body }) => {
                let headers = headers.iter().map(|(name, value)| (name.clone(), value.into()));
                let (status, headers) = (*status, headers.collect());
                (Some(Response { status, headers, body: body.into() }), None)
            }
            Answered::Failed(error) => (None, Some(*error)),
        };
        let request = asked.get(number).cloned();
        Recorded { request, request_hash: exchange.request_hash, response, error }
    };
    let exchanges = transcript.exchanges.iter().enumerate().map(recorded).collect();
    let text = serde_json::to_string_pretty(&File { exchanges })?;
    fs::write(path, text + "\n").with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transcript.json");
        let of = |answered| Exchange { request_hash: Hash32([7; 32]), answered };
        let headers = vec![("etag".to_owned(), Bytes(vec![0xff]))];
        let body = Bytes::from("{\"near\": 3}");
        let mut exchanges =
            vec![of(Answered::Response(HttpResponse { status: 200, headers, body }))];
        exchanges.push(of(Answered::Failed(ExchangeError::Tls)));
        let transcript = Transcript { exchanges };
        write(&path, &transcript, &["GET https://a.example/".to_owned()]).unwrap();
        assert_eq!(read(&path).unwrap(), transcript);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#""request": "GET https://a.example/""#), "{text}");
        fs::write(&path, text.replace("tls", "lts")).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("unknown variant `lts`, expected one of `unresolved`"), "{error}");
    }
}
