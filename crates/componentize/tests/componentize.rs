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

#[test]
fn a_library_is_told_what_a_guest_exports() {
    for library in [
        module(r#"(func (export "_initialize"))"#),
        module(r#"(func $_start) (func (export "run") (result i32) (i32.const 0))"#),
        wat::parse_str("(module)").unwrap(),
        // Before anything else that is wrong.
        module(r#"(import "env" "f" (func)) (func (export "_initialize"))"#),
    ] {
        let error = componentize(&library).unwrap_err();
        assert!(matches!(error, ComponentizeError::NoStart), "{error}");
        assert!(error.to_string().contains("a guest exports a function _start"), "{error}");
    }
}

#[test]
fn a_module_may_export_the_interface_of_a_command_by_itself() {
    const RUN: &str = "package wasi:cli@0.2.6;
        interface run { run: func() -> result; }
        world command { export run; }";
    let mut resolve = Resolve::default();
    let package = resolve.push_str("run.wit", RUN).unwrap();
    let world = resolve.select_world(&[package], Some("command")).unwrap();
    let mut runs = module(r#"(func (export "wasi:cli/run@0.2.6#run") (result i32) (i32.const 0))"#);
    wit_component::embed_component_metadata(&mut runs, &resolve, world, StringEncoding::UTF8)
        .unwrap();
    assert!(componentize(&runs).unwrap().starts_with(b"\0asm\x0d\0\x01\0"));
}

/// The file is written anew by `UPDATE_SNAPSHOTS=1 cargo test --workspace --test componentize`.
#[test]
fn the_sdks_sections_describe_the_hosts_package() {
    for (world, file) in
        [("guest", "component-type.bin"), ("transforming-guest", "component-type-transform.bin")]
    {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("outlayer.wit", WIT).unwrap();
        let world = resolve.select_world(&[package], Some(world)).unwrap();
        let encoded = metadata::encode(&resolve, world, StringEncoding::UTF8, None).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/src/host").join(file);
        if env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&path, &encoded).unwrap();
        }
        assert!(
            fs::read(&path).unwrap() == encoded,
            "{} is not what the WIT says; UPDATE_SNAPSHOTS=1 writes it anew",
            path.display()
        );
    }
}

/// A module with this description of its interfaces.
fn described(interfaces: &[u8]) -> Vec<u8> {
    let mut module = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
    let mut section = vec![14];
    section.extend_from_slice(b"component-type");
    section.extend_from_slice(interfaces);
    module.push(0);
    let mut size = section.len();
    while size > 0x7f {
        module.push(u8::try_from(size & 0x7f).unwrap() | 0x80);
        size >>= 7;
    }
    module.push(u8::try_from(size).unwrap());
    module.extend(section);
    module
}

/// A description of a world with these declarations.
fn world(declarations: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            (type (component (type (component {declarations}))
                (export "c:c/w" (component (type 0)))))
            (export "w" (type 0)) (@custom "wit-component-encoding" "\04\00"))"#
    ))
    .unwrap()
}

fn rejected(interfaces: &[u8]) -> Option<String> {
    match componentize(&described(interfaces)) {
        Err(ComponentizeError::Interfaces { section, reason }) => {
            assert_eq!(section, "component-type");
            Some(reason)
        }
        // Something else is wrong with the module, but the description was read to its end.
        _ => None,
    }
}

#[test]
fn packages_that_depend_on_each_other_are_rejected() {
    let declarations = |third: &str| {
        format!(
            r#"(import "a:a/one" (instance (export "t" (type (sub resource)))))
            (alias export 0 "t" (type $t))
            (import "b:b/two" (instance (alias outer 1 $t (type $s))
                (export "t" (type (eq $s))) (export "u" (type (sub resource)))))
            (alias export 1 "u" (type $u))
            (import "{third}/three" (instance (alias outer 1 $u (type $s))
                (export "u" (type (eq $s)))))"#
        )
    };
    assert_eq!(rejected(&world(&declarations("d:d"))), None);
    assert_eq!(rejected(&world(&declarations("b:b"))), None);
    assert_eq!(
        rejected(&world(&declarations("a:a"))).unwrap(),
        r#"the package "a:a" depends on itself through others"#
    );
}

#[test]
fn descriptions_of_any_depth_are_rejected() {
    let depths = [10, 100, 10_000, 1_000_000];
    let small = std::thread::Builder::new().stack_size(512 << 10);
    let rejected = small.spawn(move || {
        for depth in depths {
            // Types of instances inside of one another, in the form of today and the oldest.
            let nest = [&[1][..], &[0x42, 1, 1].repeat(depth - 1), &[0x42, 0]].concat();
            let mut code = b"\0asm\x0d\0\x01\0".to_vec();
            outlayer_guest::prepare::encode::section(&mut code, 7, &nest);
            for code in [code.clone(), [&[3, 0, 1, b'w'][..], &code].concat()] {
                assert_eq!(rejected(&code).is_some(), depth > 16, "{depth}");
            }
        }
        let packages: String =
            (0..501).map(|index| format!(r#"(import "a:p{index}/i" (instance))"#)).collect();
        assert_eq!(rejected(&world(&packages)).unwrap(), "501 packages, at most 500 are allowed");
    });
    rejected.unwrap().join().unwrap();
}
