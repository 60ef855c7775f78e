//! The worker's settings: where they come from, what is said of wrong ones, and what is not shown.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// A key that no account has.
const KEY: &str = "ed25519:3D4YudUahN1nawWogh8pAKSj92sUNMdbZGjn7kERKzYoTy8tnFQuwoGUC51DowKqorvkr2p\
                   ytJSnwuSbsNVfqygr";

/// Runs `outlayer worker run` with nothing in its environment but `variables`.
fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_outlayer"))
        .args(["worker", "run"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What such a run says when it does not begin.
fn refusal(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let ended = run(folder, variables, arguments);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(text(&ended.stdout), "");
    text(&ended.stderr)
}

/// A folder with a configuration file and a key.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = "# The node asks for a key in its path.\n\
                  rpc_url = \"https://user:PASS@rpc.example.com/v1/TOKEN?apikey=TOKEN\"\n\
                  contract = \"outlayer.near\"\n\
                  key_file = [\"worker.json\"]\n\
                  concurrency = 4\n\
                  in_flight = 8\n\
                  optimistic = true\n";
    fs::write(folder.path().join("worker.toml"), config).unwrap();
    key(folder.path(), 0o600);
    folder
}

fn key(folder: &Path, mode: u32) -> PathBuf {
    let path = folder.join("worker.json");
    let content = format!(r#"{{"account_id":"worker.near","private_key":"{KEY}"}}"#);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

const EFFECTIVE: &str = "\
network              not set                          the default
rpc_url              \"https://rpc.example.com/…\"      worker.toml:2
quorum               1                                the default
chain_id             not set                          the default
contract             \"other.near\"                     the flag --contract
account              not set                          the default
key_file             \"worker.json\"                    worker.toml:4
secret_key           not set                          the default
concurrency          3                                the environment variable OUTLAYER_CONCURRENCY
in_flight            9                                the flag --in-flight
poll_interval        500                              the default
";

#[test]
fn flags_go_before_the_environment_the_file_and_defaults() {
    let folder = folder();
    let variables = [
        ("OUTLAYER_CONCURRENCY", "3"),
        ("OUTLAYER_IN_FLIGHT", "5"),
        // One that is empty counts as not set, as in a list of variables with gaps.
        ("OUTLAYER_CONTRACT", ""),
    ];
    let mut arguments = vec![
        "--config",
        "worker.toml",
        "--in-flight",
        "9",
        "--contract",
        "other.near",
        "--optimistic=false",
        "--print-config",
    ];
    let ended = run(folder.path(), &variables, &arguments);
    assert_eq!(text(&ended.stderr), "");
    let said = text(&ended.stdout);
    assert!(said.starts_with(EFFECTIVE), "{said}");
    assert!(!said.contains("TOKEN") && !said.contains("PASS"), "{said}");

    arguments.push("--json");
    let ended = run(folder.path(), &variables, &arguments);
    let said: Value = serde_json::from_slice(&ended.stdout).unwrap();
    for (key, value, source) in [
        (
            "rpc_url",
            r#"["https://rpc.example.com/…"]"#,
            r#"{"kind":"file","line":2,"path":"worker.toml"}"#,
        ),
        ("key_file", r#"["worker.json"]"#, r#"{"kind":"file","line":4,"path":"worker.toml"}"#),
        ("concurrency", "3", r#"{"kind":"environment","variable":"OUTLAYER_CONCURRENCY"}"#),
        ("in_flight", "9", r#"{"flag":"--in-flight","kind":"flag"}"#),
        ("optimistic", "false", r#"{"flag":"--optimistic","kind":"flag"}"#),
        ("tgas", "300", r#"{"kind":"default"}"#),
        ("memory", "null", r#"{"kind":"default"}"#),
        ("engine", "null", r#"{"kind":"default"}"#),
    ] {
        let expected = |json: &str| serde_json::from_str::<Value>(json).unwrap();
        assert_eq!(said[key]["value"], expected(value), "{key}");
        assert_eq!(said[key]["source"], expected(source), "{key}");
    }
}

#[test]
fn a_wrong_setting_is_named_with_its_value_its_place_and_what_is_expected() {
    let folder = folder();
    let config = ["--config", "worker.toml"];
    let with = |more: &[&'static str]| [&config[..], more].concat();
    let said = refusal(folder.path(), &[("OUTLAYER_CONCURRENCY", "many")], &config);
    assert_eq!(
        said,
        "outlayer: concurrency (from the environment variable OUTLAYER_CONCURRENCY): found \
         \"many\", expected a whole number from 1 to 1024\n"
    );
    let said = refusal(folder.path(), &[], &with(&["--tgas", "0"]));
    assert_eq!(
        said,
        "outlayer: tgas (from the flag --tgas): found \"0\", expected a whole number from 1 to \
         1000\n"
    );
    let said = refusal(folder.path(), &[], &with(&["--rpc-url", "ftp//TOKEN@x"]));
    assert!(said.starts_with("outlayer: rpc_url (from the flag --rpc-url): found \"…\""), "{said}");
    assert!(!said.contains("TOKEN"), "{said}");
    let said = refusal(folder.path(), &[], &with(&["--log-format", "xml"]));
    assert!(said.contains("found \"xml\", expected text or json"), "{said}");
    let said = refusal(folder.path(), &[("RUST_LOG", "outlayer=loud")], &config);
    assert!(said.contains("log (from the environment variable RUST_LOG): found"), "{said}");
    let own = format!("{}=/usr/bin/outlayer", outlayer_guest::ENGINE_VERSION.0);
    let said = refusal(folder.path(), &[("OUTLAYER_ENGINE", &own)], &config);
    let expected = format!("found \"{own}\", expected VERSION=PROGRAM");
    assert!(said.contains(&expected), "{said}");
    let said = refusal(folder.path(), &[], &["--contract", "outlayer.near"]);
    assert!(said.starts_with("outlayer: network is missing, expected"), "{said}");
    assert!(said.contains("--network") && said.contains("OUTLAYER_NETWORK"), "{said}");
    let said = refusal(folder.path(), &[("OUTLAYER_CONFIG", "gone.toml")], &[]);
    assert!(said.contains("the configuration file gone.toml: No such file"), "{said}");
    fs::write(folder.path().join("worker.toml"), "concurrency = 0\n").unwrap();
    let said = refusal(folder.path(), &[], &with(&["--rpc-url=http://x", "--contract=c.near"]));
    assert!(said.contains("concurrency (from worker.toml:1): found \"0\""), "{said}");
}

#[test]
fn a_key_is_refused_in_the_arguments_in_the_file_and_where_others_can_read_it() {
    let folder = folder();
    for arguments in [
        vec!["--secret-key".to_owned(), KEY.to_owned()],
        vec![format!("--secret-key={KEY}")],
        vec!["--secret-key".to_owned()],
    ] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let said = refusal(folder.path(), &[], &arguments);
        assert!(said.contains("--key-file") && said.contains("OUTLAYER_SECRET_KEY"), "{said}");
        assert!(!said.contains(KEY), "{said}");
    }
    let config = ["--config", "worker.toml"];
    key(folder.path(), 0o640);
    let said = refusal(folder.path(), &[], &config);
    assert_eq!(
        said,
        "outlayer: worker.json: the key file has mode 0640, so other users can use the key; \
         expected 0600 or 0400. Run: chmod 600 'worker.json'\n"
    );
    let said = refusal(folder.path(), &[], &[&config[..], &["--key-file", "/nope"]].concat());
    assert!(said.starts_with("outlayer: /nope: No such file or directory"), "{said}");
    assert!(said.contains("Expected a key file here: JSON such as"), "{said}");
    key(folder.path(), 0o600);
    let said = refusal(folder.path(), &[("OUTLAYER_SECRET_KEY", KEY)], &config);
    assert!(said.contains("give the keys in one of the two ways"), "{said}");
    assert!(!said.contains(KEY), "{said}");
    let variables =
        [("OUTLAYER_SECRET_KEY", "SECRET,ed25519:x"), ("OUTLAYER_WORKER_ACCOUNT", "w.near")];
    let plain = ["--rpc-url=http://x", "--contract=c.near"];
    let said = refusal(folder.path(), &variables, &plain);
    assert!(said.contains("secret_key (from the environment variable"), "{said}");
    assert!(!said.contains("SECRET,"), "{said}");
    fs::write(folder.path().join("worker.toml"), format!("secret_key = \"{KEY}\"")).unwrap();
    let said = refusal(folder.path(), &[], &config);
    assert!(said.contains("a configuration file is no place for a key"), "{said}");
    assert!(!said.contains(KEY), "{said}");
}

#[test]
fn help_does_not_show_what_is_in_the_environment() {
    for arguments in [
        &["worker", "run", "--help"][..],
        &["pending", "--help"],
        &["deploy", "--help"],
        &["estimate", "--help"],
    ] {
        let said = Command::new(env!("CARGO_BIN_EXE_outlayer"))
            .args(arguments)
            .env("OUTLAYER_RPC_URL", "https://x/TOKEN")
            .env("OUTLAYER_SECRET_KEY", KEY)
            .output()
            .unwrap();
        let said = text(&said.stdout);
        assert!(said.contains("OUTLAYER_RPC_URL"), "{said}");
        assert!(!said.contains("TOKEN") && !said.contains(KEY), "{said}");
    }
}

#[test]
fn the_example_of_a_configuration_file_is_taken() {
    let folder = folder();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/worker.toml");
    let arguments =
        ["--config", example.to_str().unwrap(), "--key-file", "worker.json", "--print-config"];
    let ended = run(folder.path(), &[], &arguments);
    assert_eq!(text(&ended.stderr), "");
    assert_eq!(ended.status.code(), Some(0));
    assert!(text(&ended.stdout).contains("\"https://rpc.testnet.near.org\""));
}
