//! The result of a view, read without a tree of JSON values.

use std::fmt;

use near_jsonrpc_primitives::types::query::{QueryResponseKind, RpcQueryResponse};
use near_primitives::{hash::CryptoHash, views::CallResult};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, SeqAccess, Visitor},
};

/// The most lines of a view's log. NEAR lets a call log 100.
const MOST_LINES: usize = 1_000;

/// The response to a question for the result of a view.
#[derive(Deserialize)]
struct Response {
    id: u64,
    result: Viewed,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Viewed {
    result: Vec<u8>,
    #[serde(default, deserialize_with = "lines")]
    logs: Vec<String>,
    block_height: u64,
    block_hash: CryptoHash,
}

/// Reads a bounded number of lines. A list of empty ones takes much more memory than text.
fn lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Lines;

    impl<'de> Visitor<'de> for Lines {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MOST_LINES} lines")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut lines = Vec::new();
            while let Some(line) = list.next_element()? {
                if lines.len() == MOST_LINES {
                    return Err(A::Error::invalid_length(MOST_LINES + 1, &self));
                }
                lines.push(line);
            }
            Ok(lines)
        }
    }

    deserializer.deserialize_seq(Lines)
}

/// The result of a view, if `answer` is one and answers the question `id`. What else it may be has
/// to be found out elsewhere.
pub(super) fn parse(answer: &[u8], id: u64) -> Option<RpcQueryResponse> {
    let response: Response = serde_json::from_slice(answer).ok()?;
    let Viewed { result, logs, block_height, block_hash } = response.result;
    let is_mine = response.id == id && response.error.is_none();
    let kind = QueryResponseKind::CallResult(CallResult { result, logs });
    is_mine.then_some(RpcQueryResponse { kind, block_height, block_hash })
}

#[cfg(test)]
mod tests {
    use near_jsonrpc_client::methods::{RpcMethod as _, query::RpcQueryRequest};
    use serde_json::{Value, json};

    use super::*;

    fn answer(result: &Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": 7, "result": result })
    }

    #[test]
    fn a_view_is_read_as_the_client_reads_it_and_nothing_else_is_taken_for_one() {
        let hash = CryptoHash::hash_bytes(b"block");
        let result = json!({
            "result": [0, 255, 7], "logs": ["one"], "block_height": 5, "block_hash": hash
        });
        let read = parse(answer(&result).to_string().as_bytes(), 7).unwrap();
        let theirs = RpcQueryRequest::parse_handler_response(result.clone()).unwrap().ok().unwrap();
        let (QueryResponseKind::CallResult(ours), QueryResponseKind::CallResult(theirs)) =
            (&read.kind, &theirs.kind)
        else {
            panic!("{read:?}")
        };
        assert_eq!((&ours.result, &ours.logs), (&theirs.result, &theirs.logs));
        assert_eq!(ours.logs, ["one"]);
        assert_eq!((read.block_height, read.block_hash), (5, hash));

        assert!(parse(answer(&result).to_string().as_bytes(), 8).is_none(), "another question");
        for (member, value) in [
            ("result", json!([256])),
            ("result", json!("AA==")),
            ("logs", json!([1])),
            ("logs", json!(vec![""; MOST_LINES + 1])),
            ("block_height", json!("5")),
            ("block_hash", json!(null)),
        ] {
            let mut other = result.clone();
            other[member] = value;
            assert!(parse(answer(&other).to_string().as_bytes(), 7).is_none(), "{other}");
        }
        let failed = json!({ "error": "x", "logs": [], "block_height": 5, "block_hash": hash });
        assert!(parse(answer(&failed).to_string().as_bytes(), 7).is_none());
        let mut both = answer(&result);
        both["error"] = json!({ "code": 1 });
        assert!(parse(both.to_string().as_bytes(), 7).is_none());
        assert!(parse(b"", 7).is_none());
    }
}
