//! What `scripts/demo` compiles, `scripts/test` does not compile again.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

/// One compilation by cargo: everything that makes it another one, besides what it depends on.
type Unit = String;

/// The compilations of a cargo command, each with those that it depends on.
fn units(arguments: &[&str]) -> BTreeSet<Unit> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let answer = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--workspace", "--locked", "--unit-graph", "-Zunstable-options"])
        // A stable cargo shows the units under this variable.
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(root)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{errors}");
    // A profile for a package that is not in the build any more.
    assert!(!errors.contains("did not match any packages"), "{errors}");
    let graph: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let units = graph["units"].as_array().unwrap();
    let with_dependencies = |unit: &Value| {
        let dependencies: Vec<String> = unit["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| name(&units[usize::try_from(one["index"].as_u64().unwrap()).unwrap()]))
            .collect();
        format!("{} with {dependencies:?}", name(unit))
    };
    units.iter().map(with_dependencies).collect()
}

fn name(unit: &Value) -> String {
    let mut profile = unit["profile"].clone();
    // `dev` or `test`: the second has all of the first, and cargo does not tell them apart.
    profile.as_object_mut().unwrap().remove("name");
    let parts = ["pkg_id", "target", "platform", "mode", "features"];
    format!("{} {profile}", parts.map(|part| unit[part].to_string()).join(" "))
}

#[test]
fn the_tests_compile_nothing_again_that_the_demo_compiled() {
    let script = include_str!("../../scripts/lib/common.sh");
    assert!(script.contains("cargo build --workspace --locked --example demo \"$@\""));
    let programs = ["--bin", "testbed", "--bin", "outlayer", "--bin", "localnet"];
    let demo = units(&[&["build", "--example", "demo"][..], &programs].concat());
    let tests = units(&["test", "--no-run"]);
    let again: Vec<&Unit> = demo.difference(&tests).collect();
    assert!(again.is_empty(), "{} of {}: {again:#?}", again.len(), demo.len());
    assert!(demo.len() < tests.len());
}
