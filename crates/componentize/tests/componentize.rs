//! Which modules become components and which do not, and that the section in the sdk describes the
//! host's WIT package as it is.
#![allow(clippy::unwrap_used)]

use std::{env, fs, path::Path};

use outlayer_componentize::{ComponentizeError, componentize};
use wit_component::{StringEncoding, metadata};
use wit_parser::Resolve;

const WIT: &str = include_str!("../../executor/wit/outlayer.wit");

/// A module with these items and a memory.
fn module(items: &str) -> Vec<u8> {
    let memory = r#"(memory (export "memory") 1)"#;
    wat::parse_str(format!("(module {items} {memory})")).unwrap()
}

#[test]
fn a_command_becomes_a_component_and_always_the_same() {
    let command = module(
        r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (func (export "_start"))"#,
    );
    let component = componentize(&command).unwrap();
    assert!(component.starts_with(b"\0asm\x0d\0\x01\0"));
    assert_eq!(componentize(&command).unwrap(), component);
}

#[test]
fn what_cannot_become_one_says_why() {
    for bytes in [&b""[..], b"(module)", b"\0asm\x0d\0\x01\0"] {
        assert!(matches!(componentize(bytes), Err(ComponentizeError::NotACoreModule)));
    }
    let core =
        module(r#"(import "outlayer" "log" (func (param i32 i32))) (func (export "_start"))"#);
    let error = componentize(&core).unwrap_err();
    assert!(matches!(error, ComponentizeError::CoreImports), "{error}");
    let foreign = module(r#"(import "env" "f" (func)) (func (export "_start"))"#);
    let error = componentize(&foreign).unwrap_err().to_string();
    assert!(error.contains("env"), "{error}");
    assert!(componentize(b"\0asm\x01\0\0\0\x01\xff").is_err());
}

/// The file is written anew by `UPDATE_SNAPSHOTS=1 cargo test --workspace --test componentize`.
#[test]
fn the_sdks_section_describes_the_hosts_package() {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("outlayer.wit", WIT).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let encoded = metadata::encode(&resolve, world, StringEncoding::UTF8, None).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/src/host/component-type.bin");
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &encoded).unwrap();
    }
    assert!(
        fs::read(&path).unwrap() == encoded,
        "{} is not what the WIT says; UPDATE_SNAPSHOTS=1 writes it anew",
        path.display()
    );
}
