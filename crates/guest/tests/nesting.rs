//! However deep a component nests, it is rejected without recursion; and what is as deep as allowed
//! fits on a small stack.
#![allow(clippy::unwrap_used)]

use outlayer_guest::prepare::{component, encode};
use outlayer_protocol::Status;

const COMPONENT_TYPE: u8 = 0x41;
const INSTANCE_TYPE: u8 = 0x42;
/// The first byte of a declaration that declares a type.
const DECLARES_TYPE: u8 = 0x01;
const COMPONENT_SECTION: u8 = 4;
const TYPE_SECTION: u8 = 7;

const MAX_DEPTH: usize = 16;
const MAX_TYPE_DEPTH: usize = 16;
const MAX_CHAIN: usize = 100;

const DEPTHS: [usize; 4] = [10, 100, 10_000, 1_000_000];

fn sized(id: u8, content: &[u8]) -> Vec<u8> {
    let mut code = b"\0asm\x0d\0\x01\0".to_vec();
    encode::section(&mut code, id, content);
    code
}

fn number(value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::unsigned(&mut bytes, value);
    bytes
}

/// A component with types nested in one another: a type of this kind in each level.
fn nested(kind: u8, depth: usize) -> Vec<u8> {
    let mut types = vec![1];
    types.extend([kind, 1, DECLARES_TYPE].repeat(depth - 1));
    types.extend([kind, 0]);
    sized(TYPE_SECTION, &types)
}

/// A component with this many types, each of which `refer` makes from the index of the one before.
fn chain(depth: usize, refer: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut types = number(depth);
    // Primitive: u8.
    types.push(0x7d);
    for index in 0..depth - 1 {
        // As a type of a value, an index is signed.
        let mut ty = Vec::new();
        encode::signed(&mut ty, i64::try_from(index).unwrap());
        types.extend(refer(&ty));
    }
    sized(TYPE_SECTION, &types)
}

/// Gives the bytes of a type that refers to the type with this index.
type Refer = fn(&[u8]) -> Vec<u8>;

/// The ways in which a type refers to another, each with the bytes for it.
fn references() -> Vec<(&'static str, Vec<u8>)> {
    let code: [(&str, Refer); 7] = [
        ("list", |ty| [&[0x70], ty].concat()),
        ("option", |ty| [&[0x6b], ty].concat()),
        ("tuple", |ty| [&[0x6f, 1], ty].concat()),
        ("record", |ty| [&[0x72, 1, 1, b'a'], ty].concat()),
        ("variant", |ty| [&[0x71, 1, 1, b'a', 1][..], ty, &[0]].concat()),
        ("result", |ty| [&[0x6a, 1][..], ty, &[0]].concat()),
        ("error", |ty| [&[0x6a, 0, 1], ty].concat()),
    ];
    let depths = |refer: Refer| DEPTHS.map(|depth| chain(depth, refer));
    code.into_iter().flat_map(|(name, refer)| depths(refer).map(|code| (name, code))).collect()
}

/// A component with this many types of instances, each with an export that has the type before.
fn instances(depth: usize) -> Vec<u8> {
    let mut types = number(depth);
    types.extend([INSTANCE_TYPE, 0]);
    for index in 0..depth - 1 {
        // An alias of the type outside, and an export of an instance of that type.
        types.extend([INSTANCE_TYPE, 2, 0x02, 0x03, 0x02, 1]);
        types.extend(number(index));
        types.extend([0x04, 0x00, 1, b'a', 0x05, 0]);
    }
    sized(TYPE_SECTION, &types)
}

/// Components nested in one another.
fn components(depth: usize) -> Vec<u8> {
    (1..depth).fold(b"\0asm\x0d\0\x01\0".to_vec(), |inner, _| sized(COMPONENT_SECTION, &inner))
}

fn reason(code: &[u8]) -> Option<String> {
    match component(code) {
        Ok(_) => None,
        Err(Status::InvalidModule { reason }) => Some(reason),
        Err(other) => panic!("{other:?}"),
    }
}

const TYPES: &str = "types within types, at most 16 deep are allowed";
const CHAINS: &str = "types that refer to types, at most 100 deep are allowed";
const COMPONENTS: &str = "components within components, at most 16 deep are allowed";

/// Runs `test` on a thread whose stack is smaller than any that a host runs guests on.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let small = std::thread::Builder::new().stack_size(256 << 10);
    small.spawn(test).unwrap().join().unwrap();
}

#[test]
fn types_nest_to_a_bound() {
    for kind in [COMPONENT_TYPE, INSTANCE_TYPE] {
        assert_eq!(reason(&nested(kind, MAX_TYPE_DEPTH)), None, "{kind:#x}");
        assert_eq!(reason(&nested(kind, MAX_TYPE_DEPTH + 1)).unwrap(), TYPES, "{kind:#x}");
    }
}

#[test]
fn types_refer_to_types_to_a_bound() {
    let most = MAX_CHAIN;
    let list = |ty: &[u8]| [&[0x70], ty].concat();
    assert_eq!(reason(&chain(most, list)), None);
    assert_eq!(reason(&chain(most + 1, list)).unwrap(), CHAINS);
    assert_eq!(reason(&instances(most)), None);
    assert_eq!(reason(&instances(most + 1)).unwrap(), CHAINS);
}

#[test]
fn any_depth_is_rejected_on_a_small_stack() {
    on_a_small_stack(|| {
        for depth in DEPTHS {
            for kind in [COMPONENT_TYPE, INSTANCE_TYPE] {
                let expected = (depth > MAX_TYPE_DEPTH).then(|| TYPES.to_owned());
                assert_eq!(reason(&nested(kind, depth)), expected, "{depth}");
            }
            let expected = (depth > MAX_CHAIN).then(|| CHAINS.to_owned());
            assert_eq!(reason(&instances(depth)), expected, "{depth}");
        }
        for (name, code) in references() {
            let found = reason(&code);
            assert!(found.as_deref().is_none_or(|reason| reason == CHAINS), "{name}: {found:?}");
            assert_eq!(found.is_some(), code.len() > 2_000, "{name}");
        }
        for depth in [10, 100, 1_000] {
            let expected = (depth > MAX_DEPTH).then(|| COMPONENTS.to_owned());
            assert_eq!(reason(&components(depth)), expected, "{depth}");
        }
    });
}

/// Types of values that refer to one another, `levels` of them, with a resource at the bottom.
fn chained(levels: u32) -> String {
    (1..levels).fold("(type $t0 (own $r))".to_owned(), |types, level| {
        let kind = ["(result (error $t))", "(list $t)", "(option $t)", "(tuple u8 $t)"];
        let kind = kind[level as usize % 4].replace("$t", &format!("$t{}", level - 1));
        format!("{types} (type $t{level} {kind})")
    })
}

#[test]
fn what_is_as_deep_as_allowed_fits_a_small_stack() {
    on_a_small_stack(|| {
        // Deep types that are named, remapped for each instance, compared, lowered and lifted.
        let levels = 60;
        let (types, last) = (chained(levels), levels - 1);
        let text = format!(
            r#"(component
                (import "host" (instance $host
                    (export "r" (type $r (sub resource)))
                    {types} (export "t" (type $named (eq $t{last})))
                    (export "f" (func (param "a" $named) (result $named)))))
                (component $inner
                    (import "i" (instance $i
                        (export "r" (type $r (sub resource)))
                        {types} (export "t" (type $named (eq $t{last})))
                        (export "f" (func (param "a" $named) (result $named)))))
                    (export "o" (instance $i)))
                (instance $a (instantiate $inner (with "i" (instance $host))))
                (instance $b (instantiate $inner (with "i" (instance $host))))
                (core module $m (memory (export "m") 1)
                    (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
                (core instance $m (instantiate $m))
                (core func (canon lower (func $host "f") (memory (core memory $m "m"))
                    (realloc (core func $m "r")))))"#
        );
        assert_eq!(reason(&wat::parse_str(text).unwrap()), None);
        // Nests of both kinds around a chain.
        let nest = (1..MAX_TYPE_DEPTH).fold(
            format!(
                r#"(instance (export "r" (type $r (sub resource))) {}
                    (export "t" (type (eq $t{}))))"#,
                chained(80),
                79
            ),
            |inner, _| format!(r#"(instance (type $n {inner}) (export "n" (instance (type $n))))"#),
        );
        let text = format!(r#"(component (type $n {nest}) (import "n" (instance (type $n))))"#);
        assert_eq!(reason(&wat::parse_str(text).unwrap()), None);
    });
}

#[test]
fn what_an_instance_exports_is_as_deep_as_its_deepest_type() {
    let text = |further: u32| {
        let (types, last) = (chained(60), 59);
        let above = chained(further).replace("(type $t0 (own $r))", "").replace("$t", "$u");
        let above = above.replace("$u0", "$a");
        format!(
            r#"(component
                (import "i" (instance $i (export "r" (type $r (sub resource)))
                    {types} (export "t" (type (eq $t{last})))))
                (alias export $i "t" (type $a)) {above})"#
        )
    };
    // One more for the type of the instance itself.
    assert_eq!(reason(&wat::parse_str(text(40)).unwrap()), None);
    assert_eq!(reason(&wat::parse_str(text(42)).unwrap()).unwrap(), CHAINS);
}

#[test]
fn a_nest_behind_other_declarations_is_found() {
    // In each level, what stands before the type that nests: an import, an export, an alias, a
    // core type, and types of values, functions and resources.
    let inner = (0..MAX_TYPE_DEPTH).fold("(component)".to_owned(), |inner, level| {
        format!(
            r#"(component
                (type $r{level} (record (field "a" u8) (field "b" (list string))))
                (type $f{level} (func (param "p" (list string)) (result (tuple u8 u16))))
                (core type (module (import "m" "n" (func)) (export "e" (func (param i32)))))
                (import "i{level}" (func (type $f{level})))
                (import "t{level}" (type (sub resource)))
                (export "x{level}" (type (eq $r{level})))
                (type {inner}))"#
        )
    });
    let text = format!("(component (type {inner}))");
    assert_eq!(reason(&wat::parse_str(&text).unwrap()).unwrap(), TYPES);
    // One level less, and the scan has understood everything that it skipped.
    let text = text.replacen("(type (component)))", ")", 1);
    assert_eq!(reason(&wat::parse_str(&text).unwrap()), None);
}
