//! The contract's own encodings are those of serde and borsh, with which everybody else reads.

#![allow(clippy::unwrap_used)]

use outlayer_json::{FromJson, ToJson};
use outlayer_protocol::{
    CancelBy, Compute, Config, EngineVersion, ExecutionRequest, GuestKind, OnRefusal,
    ResponseFormat, Settlement, events::Event,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

/// Events that are written as they were read.
#[test]
fn an_event_is_written_as_serde_reads_it() {
    let (id, hash) = ("alice.near", "00".repeat(32));
    let config = Config::new(EngineVersion(1), 88);
    let events = [
        ("execution_timed_out", json!({"request_id": 1, "deadline": 2, "fee": "0", "refund": "3"})),
        ("execution_cancelled", json!({"request_id": 1, "fee": "2", "refund": "3"})),
        (
            "execution_disputed",
            json!({
                "request_id": 1,
                "digests": [{"digest": hash, "workers": [id, "bob.near"]}],
                "approvals": 2,
                "fee": "3",
                "refund": "4",
            }),
        ),
        ("commitment_made", json!({"request_id": 1, "worker_id": id, "round": 2})),
        ("claim_made", json!({"request_id": 1, "worker_id": id, "until": 2})),
        ("claim_missed", json!({"request_id": 1, "worker_id": id, "until": 2})),
        ("digest_revealed", json!({"request_id": 1, "worker_id": id, "digest": hash, "round": 2})),
        ("round_voided", json!({"request_id": 1, "round": 2, "snapshot_height": 3})),
        ("shares_closed", json!({"request_id": 1, "refund": "2"})),
        ("config_set", json!({"config": config})),
        ("owner_proposed", json!({"account_id": null})),
        ("owner_changed", json!({"from": id, "to": "bob.near"})),
        ("pause_changed", json!({"paused": true})),
        ("upgrade_proposed", json!({"code_hash": hash, "from_height": 1})),
        ("upgrade_made", json!({"code_hash": null, "layout": 3})),
        ("worker_registered", json!({"worker_id": id, "metadata": "\"\\\u{1}ä"})),
        ("worker_suspended", json!({"worker_id": id, "suspended": false})),
        ("worker_removed", json!({"worker_id": id})),
        ("refund_bounced", json!({"account_id": id, "amount": "1", "claimable": true})),
        ("code_published", json!({"hash": hash, "publisher_id": id, "total_bytes": 1})),
        ("code_named", json!({"name": "n", "hash": hash, "url": "https://x", "retired": false})),
        ("code_retired", json!({"hash": hash})),
        ("code_retired", json!({"hash": hash, "name": "n"})),
    ];
    for (name, data) in events {
        let json = json!({
            "standard": "outlayer", "version": "1.0.0", "event": name, "data": [data],
        });
        let event = Event::from_log(&format!("EVENT_JSON:{json}")).unwrap();
        let line = event.to_log();
        let found: serde_json::Value =
            serde_json::from_str(line.strip_prefix("EVENT_JSON:").unwrap()).unwrap();
        assert_eq!(found, json);
    }
}

fn written_alike<T: Serialize + ToJson>(value: &T) {
    let expected = serde_json::to_string(value).unwrap();
    assert_eq!(String::from_utf8(outlayer_json::to_vec(value)).unwrap(), expected);
}

fn alike<T>(value: &T)
where
    T: Serialize + DeserializeOwned + ToJson + FromJson + PartialEq + std::fmt::Debug,
{
    written_alike(value);
    let json = serde_json::to_vec(value).unwrap();
    assert_eq!(outlayer_json::from_slice::<T>(&json).unwrap(), *value);
}

#[test]
fn json_is_that_of_serde() {
    alike(&Config::new(EngineVersion(1), 88));
    [CancelBy::Nobody, CancelBy::Requester, CancelBy::Payer].iter().for_each(alike);
    [OnRefusal::Panic, OnRefusal::Return].iter().for_each(alike);
    [ResponseFormat::Json, ResponseFormat::Borsh].iter().for_each(alike);
    [GuestKind::WasiP1, GuestKind::WasiP2, GuestKind::Near].iter().for_each(alike);
    [Compute::Fuel(u64::MAX), Compute::Gas(1 << 60)].iter().for_each(alike);
    let hash = "0f".repeat(32);
    for code in [
        json!({"hash": hash}),
        json!({"hash": hash, "url": "https://x"}),
        json!({"name": "alice.near/n@1"}),
    ] {
        let request = json!({
            "code": code, "args": ["a", "b"], "env": [["K", "v"]], "input": "AAEC",
            "max_fee": "5", "refund_to": "bob.near", "approvals": 2,
        });
        alike(&serde_json::from_value::<ExecutionRequest>(request).unwrap());
    }
    for outcome in [
        json!("timed_out"),
        json!("out_of_fuel"),
        json!("cancelled"),
        json!({"completed": {"output": "AAEC"}}),
        json!({"exited": {"code": -7}}),
        json!({"trapped": {"reason": "\"quoted\""}}),
        json!({"limit_exceeded": {"which": "memory_bytes", "limit": 5}}),
        json!({"refused": {"code": "c", "reason": "r"}}),
        json!({"planned": {"output": "AAEC", "plan": ""}}),
        json!({"disputed": {"digests": [{"digest": hash, "workers": ["alice.near", "bob.near"]}]}}),
    ] {
        let settlement = json!({
            "request_id": null, "outcome": outcome, "used": {"fuel": "1"}, "fee": "2",
            "held": "3", "refund": "4", "digest": hash,
        });
        let settlement: Settlement = serde_json::from_value(settlement).unwrap();
        alike(&settlement);
        let expected = borsh::to_vec(&settlement).unwrap();
        assert_eq!(outlayer_codec::to_vec(&settlement), expected);
        assert_eq!(outlayer_codec::from_slice(&expected), Ok(settlement));
    }
}

#[test]
fn a_request_with_wrong_fields_is_refused_with_their_names() {
    let error = |json: &str| {
        outlayer_json::from_slice::<ExecutionRequest>(json.as_bytes()).unwrap_err().to_string()
    };
    let code = r#""code":{"name":"n"}"#;
    assert!(error("{}").contains("missing field `code`"), "{}", error("{}"));
    let twice = format!("{{{code},{code}}}");
    assert!(error(&twice).contains("duplicate field `code`"), "{}", error(&twice));
    let other = format!("{{{code},\"x\":1}}");
    assert!(error(&other).contains("unknown field `x`"), "{}", error(&other));
    let none = r#"{"code":{}}"#;
    assert!(error(none).contains("expected a hash and perhaps a url"), "{}", error(none));
    let hash = r#"{"code":{"hash":"xyz"}}"#;
    assert!(error(hash).contains("64 hex digits"), "{}", error(hash));
}
