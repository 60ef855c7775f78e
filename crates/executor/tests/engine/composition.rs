//! What components pass to each other is paid for, by length, whatever it is.

use outlayer_executor::fuel;
use outlayer_kernels::composition::{
    Direction, Encoding, StringPassage, Text, handle_passage, list_passage,
};
use outlayer_protocol::{Compute, Status};

use crate::common::Run;

/// More than any of these guests uses.
const PLENTY: u64 = 100_000_000;

/// What a guest uses that must complete.
fn used(text: &str) -> u64 {
    let execution = Run::wat(text).fuel(PLENTY).run();
    assert_eq!(execution.status, Status::Completed, "{text}");
    let Compute::Fuel(used) = execution.used else { panic!("{:?}", execution.used) };
    used
}

fn strings() -> impl Iterator<Item = StringPassage> {
    let pairs = Encoding::ALL.into_iter().flat_map(|from| Encoding::ALL.map(|to| (from, to)));
    pairs.flat_map(|(from, to)| {
        Text::ALL.into_iter().flat_map(move |text| {
            [Direction::Parameter, Direction::Result].map(|direction| StringPassage {
                text,
                direction,
                ..StringPassage::new(from, to, 0)
            })
        })
    })
}

#[test]
fn a_string_costs_at_least_a_unit_for_each_character_in_every_pair_of_encodings() {
    const FEW: u32 = 1_000;
    const MANY: u32 = 100_000;
    for passage in strings() {
        // The owner fills its memory once; the passages follow it.
        let cost =
            |characters, times| used(&StringPassage { characters, times, ..passage }.text_format());
        let each = |characters| (cost(characters, 11) - cost(characters, 1)) / 10;
        let (few, many) = (each(FEW), each(MANY));
        let bytes = u64::from(MANY - FEW) * fuel::REALLOC_BYTE;
        assert!(many - few >= bytes, "{passage:?}: {few}, {many}");
        // At most six allocations of three bytes a character, and not the square of anything.
        assert!(many - few <= bytes * 20, "{passage:?}: {few}, {many}");
    }
}

#[test]
fn a_passage_that_copies_costs_what_its_bytes_cost() {
    let each = |passage: StringPassage| {
        let cost = |times| used(&StringPassage { times, ..passage }.text_format());
        cost(2) - cost(1)
    };
    let utf8 = |characters| each(StringPassage::new(Encoding::Utf8, Encoding::Utf8, characters));
    assert_eq!(utf8(100_002) - utf8(2), 100_000 * fuel::REALLOC_BYTE);
    let wide = |characters| each(StringPassage::new(Encoding::Utf16, Encoding::Utf16, characters));
    assert_eq!(wide(100_001) - wide(1), 200_000 * fuel::REALLOC_BYTE);
}

#[test]
fn lists_cost_more_than_their_bytes() {
    for (element, size) in
        [("u8", 1), ("u64", 8), ("string", 8), ("(tuple u8 u64)", 16), ("(list u8)", 8)]
    {
        let each = |elements| {
            let cost = |times| used(&list_passage(element, elements, size, times));
            cost(2) - cost(1)
        };
        let bytes = u64::from(size) * 10_000 * fuel::REALLOC_BYTE;
        assert!(each(10_100) - each(100) > bytes, "{element}");
    }
}

#[test]
fn handles_are_counted_by_operators() {
    assert!(used(&handle_passage(1_001)) - used(&handle_passage(1)) > 50_000);
}

#[test]
fn a_string_that_cannot_be_paid_for_does_not_pass() {
    for from in Encoding::ALL {
        for to in Encoding::ALL {
            let endless =
                StringPassage { times: u32::MAX, ..StringPassage::new(from, to, 1_000_000) };
            let execution = Run::wat(&endless.text_format()).fuel(PLENTY).run();
            assert_eq!(execution.status, Status::OutOfFuel, "{from} to {to}");
            assert_eq!(execution.used, Compute::Fuel(PLENTY));
        }
    }
}

#[test]
fn a_component_that_contains_no_other_is_charged_for_nothing_more() {
    // What it costs was the same before compositions were charged.
    let alone = r#"(component
        (core module $m (memory (export "m") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "run") (result i32)
                (drop (call 0 (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1000)))
                (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run") (memory (core memory $i "m"))
            (realloc (core func $i "realloc"))))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command)))"#;
    let alone = used(alone);
    assert!(alone < 100, "{alone}");
}

#[test]
fn a_wrapped_realloc_changes_no_result() {
    // The receiver returns what it got: the sum of its units, checked by the sender.
    let text = StringPassage::new(Encoding::Utf16, Encoding::Utf8, 1_000).text_format();
    let checked = text.replacen(
        r#"(func (export "pass") (param i32 i32))"#,
        r#"(func (export "pass") (param $at i32) (param $length i32) (local $sum i32)
            (if (i32.ne (local.get $length) (i32.const 1000)) (then unreachable))
            (loop $l
                (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $l (local.tee $length (i32.sub (local.get $length) (i32.const 1)))))
            (if (i32.ne (local.get $sum) (i32.const 97000)) (then unreachable)))"#,
        1,
    );
    assert_ne!(checked, text);
    used(&checked);
}
