//! What `scripts/demo` compiles, `scripts/test` does not compile again, and it compiles no program
//! that tests nothing.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

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

/// The lines of the Rust sources below `folder`, each with its file.
fn lines(folder: &Path) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            lines.extend(self::lines(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            lines.extend(text.lines().map(|line| (name.clone(), line.trim().to_owned())));
        }
    }
    lines
}

/// The examples in the documentation that `cargo test` would compile. A block begins with three
/// backticks; those that are no Rust, or are ignored, say so.
fn examples(lines: &[(String, String)]) -> Vec<&String> {
    let mut inside = false;
    let mut found = Vec::new();
    for (file, line) in lines {
        // A whole page, which may have examples.
        if line.contains("doc = include_str!") {
            found.push(file);
        }
        let Some(text) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            continue;
        };
        let Some(language) = text.trim().strip_prefix("```") else { continue };
        inside = !inside;
        let rust = ["", "rust", "no_run", "should_panic", "compile_fail"];
        if inside && language.split(',').all(|word| rust.contains(&word.trim())) {
            found.push(file);
        }
    }
    found
}

/// A test program, and a run of rustdoc that looks for examples, take seconds each. So both are
/// turned off in the manifests of what has no tests or examples, and it must have none.
#[test]
fn what_is_built_without_tests_or_examples_has_none() {
    let answer = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .output()
        .unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let metadata: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let (mut without_tests, mut without_examples) = (0, 0);
    for package in metadata["packages"].as_array().unwrap() {
        let name = &package["name"];
        let source = Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("src");
        let lines = lines(&source);
        let targets = package["targets"].as_array().unwrap();
        let programs = |target: &&Value| {
            ["lib", "bin", "cdylib", "proc-macro"].contains(&target["kind"][0].as_str().unwrap())
        };
        // Where one target of a package runs the tests of its sources, they are run.
        if targets.iter().filter(programs).all(|target| target["test"] == false) {
            let test = lines.iter().find(|(_, line)| line.contains("#[test]"));
            assert_eq!(test, None, "{name} is built without its tests");
            without_tests += 1;
        }
        let library = |target: &&Value| target["kind"][0] == "lib";
        if targets.iter().filter(library).all(|target| target["doctest"] == false) {
            assert_eq!(examples(&lines), Vec::<&String>::new(), "{name} is built without them");
            without_examples += 1;
        }
    }
    assert!(without_tests > 10, "{without_tests}");
    assert!(without_examples > 20, "{without_examples}");
}
