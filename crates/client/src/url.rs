//! The URL of an endpoint, which is often a secret.

use std::{fmt, str::FromStr, sync::Arc};

use reqwest::Url;
use serde_json::Value;

/// The URL of a node's JSON-RPC endpoint.
///
/// Providers put their customers' API keys into the user part, the path or the query. So however it
/// is printed, this shows the scheme, the host and the port alone.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Result<Arc<Url>, InvalidUrl>);

/// A URL at which there cannot be an endpoint. The message does not show the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It cannot be parsed.
    #[error(transparent)]
    Syntax(<Url as FromStr>::Err),
    /// It has another scheme.
    #[error("another scheme was found")]
    Scheme,
}

impl EndpointUrl {
    fn parse(text: &str) -> Result<Url, InvalidUrl> {
        let url = Url::parse(text.trim()).map_err(InvalidUrl::Syntax)?;
        if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(InvalidUrl::Scheme) }
    }

    /// The whole URL, to connect to.
    pub(crate) fn secret(&self) -> Result<&Arc<Url>, InvalidUrl> {
        self.0.as_ref().map_err(Clone::clone)
    }

    /// Host and port, as a connection is made to them; `None` where the URL has none.
    pub fn host_and_port(&self) -> Option<String> {
        let url = self.0.as_ref().ok()?;
        Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
    }

    /// The parts of the URL that may be secret, in the forms in which a server may repeat them.
    fn secrets(&self) -> Vec<String> {
        /// Shorter parts, such as `rpc` or `v1`, are no keys.
        const LEAST: usize = 6;
        let Ok(url) = &self.0 else {
            return Vec::new();
        };
        let mut parts = vec![url.username(), url.password().unwrap_or_default()];
        parts.push(url.path());
        parts.extend(url.path().split('/'));
        let query = url.query().unwrap_or_default();
        parts.push(query);
        parts.extend(query.split(['&', '=', ';']));
        parts.push(url.fragment().unwrap_or_default());
        let mut secrets: Vec<String> = parts.into_iter().map(str::to_owned).collect();
        let decoded = |part: &String| percent_decoded(part).filter(|decoded| decoded != part);
        secrets.extend(secrets.iter().filter_map(decoded).collect::<Vec<_>>());
        secrets.retain(|part| part.len() >= LEAST);
        // The longest first, so that no part of one is left because a shorter one was replaced.
        secrets.sort_by_key(|part| std::cmp::Reverse(part.len()));
        secrets.dedup();
        secrets
    }

    /// A text that came from the endpoint, without the parts of the URL that may be secret: pages
    /// that report an error often repeat the path that they were asked for.
    pub(crate) fn scrub(&self, text: &str) -> String {
        scrubbed(text, &self.secrets())
    }

    /// The same for all texts in a JSON value.
    pub(crate) fn scrub_json(&self, value: &mut Value) {
        scrub_texts(value, &self.secrets());
    }
}

fn scrubbed(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if text.contains(secret) {
            text = text.replace(secret, "…");
        }
    }
    text
}

fn scrub_texts(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => *text = scrubbed(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub_texts(item, secrets)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| scrub_texts(member, secrets));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `text` with its percent escapes decoded, or `None` when that is no UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(decoded).ok()
}

/// Takes any text. What is wrong with it is said by [`Node::new`](crate::Node::new).
impl<T: Into<String>> From<T> for EndpointUrl {
    fn from(text: T) -> Self {
        Self(Self::parse(&text.into()).map(Arc::new))
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(url) => f.write_str(&url.origin().ascii_serialization()),
            Err(_) => f.write_str("(an invalid URL)"),
        }
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        for (text, shown) in [
            ("https://user:passw0rd@rpc.example/k3y-in-path?apikey=quer1", "https://rpc.example"),
            ("http://localhost:3030/k3y-in-path", "http://localhost:3030"),
            ("http://[::1]:3030/?k3y", "http://[::1]:3030"),
            ("ftp://rpc.example/k3y-in-path", "(an invalid URL)"),
            ("k3y-in-path", "(an invalid URL)"),
        ] {
            let url = EndpointUrl::from(text);
            for printed in [format!("{url}"), format!("{url:?}"), format!("{url:#?}")] {
                assert_eq!(printed, shown);
            }
        }
    }

    #[test]
    fn what_a_server_repeats_of_the_url_is_replaced() {
        let url =
            EndpointUrl::from("https://user00:passw0rd@h.example/rpc/k3y%2Bpath?apikey=quer1y");
        let page = "rpc: Cannot POST /rpc/k3y%2Bpath?apikey=quer1y, key k3y+path or quer1y or \
                    passw0rd of user00";
        assert_eq!(url.scrub(page), "rpc: Cannot POST …?…, key … or … or … of …");
        let mut value = json!({ "a": ["x k3y+path", 1, null], "b": { "c": "quer1y" } });
        url.scrub_json(&mut value);
        assert_eq!(value, json!({ "a": ["x …", 1, null], "b": { "c": "…" } }));
    }
}
