//! The versions of the crates that a result depends on, as `Cargo.lock` has them, against the
//! record of this engine version, `N.crates.txt`. It is written as the record of the corpus is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use outlayer_executor::ENGINE_VERSION;

/// What the engine is built on: the crates that the workspace pins exactly.
const ROOTS: [&str; 10] = [
    "finite-wasm 0.6.1",
    "near-parameters 0.38.0",
    "near-primitives-core 0.38.0",
    "near-vm-runner 0.38.0",
    "rand_chacha 0.9.0",
    "wasmparser 0.254.2",
    "wasmtime 48.0.8",
    "wasmtime-wasi 48.0.8",
    "wasmtime-wasi-http 48.0.8",
    "wasmtime-wasi-io 48.0.8",
];

/// Among all crates below the roots, those that read Wasm, compile it, run it, or compute what a
/// host function answers. Names that end with `*` are prefixes.
const RELEVANT: [&str; 27] = [
    "aws-lc*",
    "blst",
    "bn",
    "borsh",
    "cranelift*",
    "curve25519-dalek",
    "ecdsa",
    "ed25519*",
    "elliptic-curve",
    "finite-wasm*",
    "near-crypto*",
    "near-parameters",
    "near-primitives-core",
    "near-vm-runner",
    "p256",
    "primeorder",
    "pulley*",
    "rand_chacha",
    "regalloc2",
    "ripemd",
    "secp256k1*",
    "sha2",
    "sha3",
    "wasm-encoder",
    "wasmparser",
    "wasmtime*",
    "zeropool-bn",
];

fn is_relevant(name: &str) -> bool {
    RELEVANT.iter().any(|relevant| match relevant.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *relevant,
    })
}

/// The packages of a lock file, each as its name and version, with those that it depends on.
fn packages(lock: &str) -> BTreeMap<String, Vec<String>> {
    let value = |block: &str, key: &str| -> Option<String> {
        let line = block.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches([' ', '=', '"']).to_owned())
    };
    let blocks: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    let named = |block: &&str| Some((value(block, "name")?, value(block, "version")?));
    let names: Vec<(String, String)> = blocks.iter().filter_map(named).collect();
    // A dependency is named with its version only where there are several of that name.
    let full = |dependency: &str| -> String {
        let mut parts = dependency.split(' ');
        let (name, version) = (parts.next().unwrap_or_default(), parts.next());
        let only = || names.iter().find(|(known, _)| known == name).map(|(_, version)| &**version);
        format!("{name} {}", version.or_else(only).unwrap_or_default())
    };
    let dependencies = |block: &&str| -> Vec<String> {
        let list = block.split_once("dependencies = [").map_or("", |(_, rest)| rest);
        let list = list.split(']').next().unwrap_or_default();
        list.lines()
            .map(|line| line.trim_matches([' ', ',', '"']))
            .filter(|name| !name.is_empty())
            .map(full)
            .collect()
    };
    blocks
        .iter()
        .filter_map(|block| {
            let (name, version) = named(block)?;
            Some((format!("{name} {version}"), dependencies(block)))
        })
        .collect()
}

/// The relevant crates below the roots. A root that the lock file does not have is named.
fn below(roots: &[&str], lock: &str) -> Result<BTreeSet<String>, String> {
    let packages = packages(lock);
    let mut found = BTreeSet::new();
    let mut left: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
    while let Some(package) = left.pop() {
        let dependencies = packages.get(&package).ok_or_else(|| package.clone())?;
        if found.insert(package) {
            left.extend(dependencies.iter().cloned());
        }
    }
    let name = |package: &String| package.split(' ').next().is_some_and(is_relevant);
    Ok(found.into_iter().filter(name).collect())
}

fn recorded_path() -> PathBuf {
    let name = format!("tests/engine_version/{}.crates.txt", ENGINE_VERSION.0);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_crates_of_the_engine_are_those_of_its_version() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let found = below(&ROOTS, &fs::read_to_string(lock).unwrap()).unwrap_or_else(|root| {
        panic!("Cargo.lock has no {root}: raise ENGINE_VERSION, or pin what it names")
    });
    let found: String = found.iter().map(|package| format!("{package}\n")).collect();
    let path = recorded_path();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() && !path.exists() {
        fs::write(&path, &found).unwrap();
    }
    let recorded = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}\nengine version {} has no record of its crates; write it with \
             UPDATE_SNAPSHOTS=1",
            path.display(),
            ENGINE_VERSION.0
        )
    });
    let moved = super::difference(&recorded, &found);
    assert!(
        moved.is_empty(),
        "Cargo.lock has other crates than engine version {} was recorded with: raise \
         ENGINE_VERSION in crates/executor/src/version.rs and write the new number's records with \
         UPDATE_SNAPSHOTS=1 (or undo the update)\n{moved}",
        ENGINE_VERSION.0
    );
}

#[test]
fn a_crate_that_moved_anywhere_below_is_found() {
    let lock = |cranelift: &str| {
        format!(
            "version = 4\n\n[[package]]\nname = \"wasmtime\"\nversion = \"48.0.8\"\n\
             dependencies = [\n \"middle\",\n \"serde\",\n]\n\n\
             [[package]]\nname = \"middle\"\nversion = \"1.0.0\"\n\
             dependencies = [\n \"cranelift-codegen {cranelift}\",\n]\n\n\
             [[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n\n\
             [[package]]\nname = \"cranelift-codegen\"\nversion = \"0.1.0\"\n\n\
             [[package]]\nname = \"cranelift-codegen\"\nversion = \"0.2.0\"\n"
        )
    };
    let found = |cranelift| below(&["wasmtime 48.0.8"], &lock(cranelift)).map(Vec::from_iter);
    let both = |cranelift: &str| Ok(vec![cranelift.to_owned(), "wasmtime 48.0.8".to_owned()]);
    assert_eq!(found("0.1.0"), both("cranelift-codegen 0.1.0"));
    assert_eq!(found("0.2.0"), both("cranelift-codegen 0.2.0"));
    assert_eq!(below(&["wasmtime 48.0.9"], &lock("0.1.0")), Err("wasmtime 48.0.9".to_owned()));
}
