//! The contract that comes with the command and the test kit is the one that its sources give, and
//! a release's names its commit.

#![allow(clippy::unwrap_used)]

use std::{fs, process::Command};

use outlayer_integration_tests::artifacts::workspace;

#[test]
fn the_contract_that_is_deployed_is_the_one_of_these_sources() {
    let script = workspace().join("scripts/testkit-contract");
    let output = Command::new(script).arg("--check").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    println!("{said}");
}

#[test]
fn the_contract_of_a_release_has_its_commit_in_the_metadata() {
    let (folder, revision) = (tempfile::tempdir().unwrap(), "7".repeat(40));
    let build = |revision: &str| {
        let mut script = Command::new(workspace().join("scripts/wasm"));
        script.args(["--quiet", "outlayer_contract"]).env("OUTLAYER_WASM_OUT", folder.path());
        let output = script.env("OUTLAYER_REVISION", revision).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(folder.path().join("outlayer_contract.wasm")).unwrap()
    };
    let has =
        |code: &[u8], text: &str| code.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    let (released, ordinary) = (build(&revision), build(""));
    for part in [
        format!(
            "\"source_code_snapshot\":\"git+https://github.com/outlayer/outlayer?rev={revision}"
        ),
        format!("\"build_command\":[\"env\",\"OUTLAYER_REVISION={revision}\",\"scripts/wasm\"]"),
        format!("/tree/{revision}"),
    ] {
        assert!(has(&released, &part) && !has(&ordinary, &part), "{part}");
    }
    assert!(has(&ordinary, "\"build_info\":null") && !has(&released, "\"build_info\":null"));
}
