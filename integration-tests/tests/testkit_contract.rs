//! The contract that comes with the command and the test kit is the one that its sources give.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use outlayer_integration_tests::artifacts::workspace;

#[test]
fn the_contract_that_is_deployed_is_the_one_of_these_sources() {
    let script = workspace().join("scripts/testkit-contract");
    let output = Command::new(script).arg("--check").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    println!("{said}");
}
