//! Executions with secrets: who has the openings repeats them, and nobody else is told a verdict.

use outlayer_protocol::secrets::{LiveSecrets, Opening, SecretPin};

use super::*;

/// Asks `https://a.example/` once, and writes all environment variables to its standard output.
fn code() -> Vec<u8> {
    let encoded = borsh::to_vec(&asked()).unwrap();
    let data: String = encoded.iter().map(|byte| format!("\\{byte:02x}")).collect();
    wat::parse_str(format!(
        r#"(module
            (import "outlayer" "http_fetch" (func $fetch (param i32 i32) (result i64)))
            (import "wasi_snapshot_preview1" "environ_sizes_get"
                (func $sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get"
                (func $environ (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "{data}")
            (func (export "_start")
                (drop (call $fetch (i32.const 0) (i32.const {})))
                (drop (call $sizes (i32.const 1024) (i32.const 1028)))
                (drop (call $environ (i32.const 2048) (i32.const 4096)))
                (i32.store (i32.const 1024) (i32.const 4096))
                (drop (call $fd_write
                    (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1032)))))"#,
        encoded.len()
    ))
    .unwrap()
}

fn asked() -> HttpRequest {
    HttpRequest::get("https://a.example/")
}

fn opening(salt: u8, value: &str) -> Opening {
    Opening { salt: [salt; 32], value: value.to_owned() }
}

/// The secrets in the order of the request, which is not that of their names.
fn given() -> Vec<(String, Opening)> {
    vec![
        ("TOKEN".to_owned(), opening(1, "hunter2")),
        ("API_KEY".to_owned(), opening(2, "correct horse")),
    ]
}

/// Evidence of an honest execution with [`given`] over HTTP.
fn honest() -> Evidence {
    let mut view = view(ENGINE_VERSION);
    view.request.code.hash = Hash32::of(&code());
    view.request.http = Some(HttpAccess::to(vec!["a.example".to_owned()]));
    let pin = |(name, opening): &(String, Opening)| SecretPin {
        owner_id: "keys.near".parse().unwrap(),
        name: name.clone(),
        version: 3,
        commitment: opening.commitment(),
    };
    let pins: Vec<_> = given().iter().map(pin).collect();
    let secrets = Secrets::new(
        view.request.id(),
        pins.iter().zip(given()).map(|(pin, (_, opening))| (pin, opening)),
    );
    let recipients = vec!["worker.near".parse().unwrap()];
    view.request.secrets = Some(LiveSecrets { pins: pins.clone(), recipients });
    let (code, given) = (code(), secrets.variables());
    let job = Job { secrets: given, ..Job::of_live(Code::of(&code), &view.request, &view.input) };
    let exchange = Exchange {
        request_hash: asked().hash(),
        answered: Answered::Failed(ExchangeError::TimedOut),
    };
    let network = Transcript { exchanges: vec![exchange] };
    let mut recorded = Connected { snapshot: EmptySnapshot, network };
    let execution = executor().execute(&job, &mut recorded).unwrap();
    assert_eq!(execution.transcript.exchanges.len(), 1);
    let output = String::from_utf8(execution.output.clone()).unwrap();
    assert!(output.ends_with("\0TOKEN=hunter2\0API_KEY=correct horse\0"), "{output:?}");
    let response = secrets.response(execution, 7);
    let transcript = Transcript::decode(&response.transcript).unwrap();
    Evidence { transcript, ..evidence(view, &response) }
}

fn judge(evidence: &Evidence, openings: &Openings) -> Result<Replay, VerifyError> {
    verify(evidence, &code(), &mut EmptySnapshot, &engines(), openings)
}

#[test]
fn with_its_openings_an_execution_is_repeated_in_whatever_order_they_are_given() {
    let evidence = honest();
    let blinded = evidence.transcript.exchanges[0].request_hash;
    assert_ne!(blinded, asked().hash());
    let mut reversed = given();
    reversed.reverse();
    // An earlier version, and the secret of another request.
    reversed.insert(0, ("TOKEN".to_owned(), opening(9, "hunter1")));
    reversed.push(("OTHER".to_owned(), opening(4, "x")));
    for openings in [given(), reversed] {
        let openings = openings.into_iter().collect();
        let replay = judge(&evidence, &openings).unwrap();
        assert!(replay.is_match(), "{replay:?}");
        assert_eq!(replay.digest, Some(evidence.completed.digest));
        let none = evidence.verdict_without_execution(&engines(), &openings).unwrap();
        assert_eq!(none, None);
    }
}

#[test]
fn without_them_the_verdict_names_what_is_needed() {
    let evidence = honest();
    let needed = |openings: &Openings| {
        let replay = judge(&evidence, openings).unwrap();
        assert_eq!(replay.digest, None);
        let early = evidence.verdict_without_execution(&engines(), openings).unwrap();
        assert_eq!(early, Some(replay.clone()));
        match replay.verdict {
            Verdict::SecretNeeded { names } => names,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(needed(&Openings::none()), ["TOKEN", "API_KEY"]);
    let one = given().into_iter().take(1).collect();
    assert_eq!(needed(&one), ["API_KEY"]);
    let json = serde_json::to_value(judge(&evidence, &one).unwrap()).unwrap();
    assert_eq!((&json["verdict"], &json["names"][0]), (&"secret_needed".into(), &"API_KEY".into()));
}

#[test]
fn another_value_or_salt_is_an_error_that_shows_neither() {
    let evidence = honest();
    for wrong in [opening(2, "correct house"), opening(3, "correct horse")] {
        let found = wrong.commitment();
        let mut given = given();
        given[1].1 = wrong;
        let openings: Openings = given.into_iter().collect();
        let error = judge(&evidence, &openings).unwrap_err();
        let said = format!("{error} {error:?} {openings:?}");
        let VerifyError::Opening(OpeningError::Other { expected, found: given, .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!((expected, given), (opening(2, "correct horse").commitment(), vec![found]));
        assert!(said.contains("API_KEY") && said.contains(&found.to_string()), "{said}");
        assert!(!said.contains("correct") && !said.contains("hunter2"), "{said}");
        assert!(evidence.verdict_without_execution(&engines(), &openings).is_err());
    }
}

#[test]
fn a_transcript_with_plain_hashes_is_not_that_of_an_execution_with_secrets() {
    let mut evidence = honest();
    evidence.transcript.exchanges[0].request_hash = asked().hash();
    let replay = judge(&evidence, &given().into_iter().collect()).unwrap();
    let Verdict::Mismatch { differs } = replay.verdict else { panic!("{replay:?}") };
    assert_eq!(differs[0].part, "transcript");
    let plain = asked().hash().to_string();
    assert!(!differs[0].replayed.contains(&plain), "the hash with a secret in it is not shown");
}
