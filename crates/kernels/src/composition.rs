//! Guests of two components that pass values to each other, for every pair of string encodings and
//! for lists, to find what such a passage costs.

use std::fmt;

/// How a component keeps its strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16.
    Utf16,
    /// Latin-1 where that suffices, UTF-16 elsewhere.
    Compact,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Utf8, Self::Utf16, Self::Compact];
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "utf8",
            Self::Utf16 => "utf16",
            Self::Compact => "latin1+utf16",
        })
    }
}

/// What a string consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The letter `a`, again and again.
    Ascii,
    /// The letter `é`.
    Latin,
    /// The character `中`, which Latin-1 does not have.
    Wide,
    /// As [`Text::Ascii`], with `中` at the end, where it surprises a transcoder that took the
    /// whole for ASCII or Latin-1.
    Late,
}

impl Text {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ascii, Self::Latin, Self::Wide, Self::Late];

    fn character(self) -> char {
        match self {
            Self::Ascii | Self::Late => 'a',
            Self::Latin => 'é',
            Self::Wide => '中',
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ascii => "ascii",
            Self::Latin => "latin",
            Self::Wide => "wide",
            Self::Late => "late",
        })
    }
}

/// Which way a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// As a parameter: from the caller to the component that is called.
    Parameter,
    /// As a result: back to the caller.
    Result,
}

/// A string that passes from one component to another.
#[derive(Clone, Copy, Debug)]
pub struct StringPassage {
    /// Of the component that has the string.
    pub from: Encoding,
    /// Of the component that gets it.
    pub to: Encoding,
    /// What the string consists of.
    pub text: Text,
    /// How many characters it has.
    pub characters: u32,
    /// Whether it is a parameter or a result.
    pub direction: Direction,
    /// How many times it passes.
    pub times: u32,
}

/// Where a string or list begins in the memory of the component that has it, and in that of the one
/// that gets it.
const PLACE: u32 = 1 << 16;
const PAGE: u32 = 1 << 16;

impl StringPassage {
    /// One string of `characters` times `a`, as a parameter.
    pub fn new(from: Encoding, to: Encoding, characters: u32) -> Self {
        let (text, direction) = (Text::Ascii, Direction::Parameter);
        Self { from, to, text, characters, direction, times: 1 }
    }

    /// The guest, in the text format.
    pub fn text_format(&self) -> String {
        let (unit, last, tag) = self.units();
        let bytes = u32::try_from(unit.len()).unwrap_or(u32::MAX).saturating_mul(self.characters);
        // The length is in code units, with the highest bit set for UTF-16 where that is a choice.
        let width = if self.from == Encoding::Utf16 || tag { 2 } else { 1 };
        let length = (bytes / width) | if tag { 1 << 31 } else { 0 };
        let last_at = (PLACE + bytes).saturating_sub(u32::try_from(last.len()).unwrap_or(0));
        let owner = format!(
            r#"(memory (export "memory") {pages})
            (data (i32.const {PLACE}) "{unit}")
            (func $fill (local $have i32)
                (local.set $have (i32.const {unit_bytes}))
                (loop $double
                    (if (i32.lt_u (local.get $have) (i32.const {bytes})) (then
                        (memory.copy
                            (i32.add (i32.const {PLACE}) (local.get $have)) (i32.const {PLACE})
                            (select (local.get $have)
                                (i32.sub (i32.const {bytes}) (local.get $have))
                                (i32.lt_u (local.get $have)
                                    (i32.sub (i32.const {bytes}) (local.get $have)))))
                        (local.set $have (i32.shl (local.get $have) (i32.const 1)))
                        (br $double))))
                (memory.init $last (i32.const {last_at}) (i32.const 0) (i32.const {last_bytes})))
            (data $last "{last}")
            (start $fill)"#,
            pages = pages(bytes),
            unit = escaped(&unit),
            unit_bytes = unit.len(),
            last = escaped(&last),
            last_bytes = last.len(),
        );
        // A transcoder may ask for three bytes for each unit.
        let receiver_pages = pages(bytes.saturating_mul(3));
        passage(&Passage {
            ty: "string",
            owner: &owner,
            length,
            receiver_pages,
            encodings: (&self.from.to_string(), &self.to.to_string()),
            direction: self.direction,
            times: self.times,
        })
    }

    /// The bytes of the repeated character, those that the string ends with instead, and whether
    /// the string is tagged as UTF-16.
    fn units(&self) -> (Vec<u8>, Vec<u8>, bool) {
        let wide = matches!(self.text, Text::Wide | Text::Late);
        let encode = |character: char| match self.from {
            Encoding::Utf8 => character.to_string().into_bytes(),
            Encoding::Compact if !wide => vec![u8::try_from(character).unwrap_or(b'?')],
            Encoding::Utf16 | Encoding::Compact => {
                let mut units = [0; 2];
                character
                    .encode_utf16(&mut units)
                    .iter()
                    .flat_map(|unit| unit.to_le_bytes())
                    .collect()
            }
        };
        let last = if self.text == Text::Late { encode('中') } else { Vec::new() };
        (encode(self.text.character()), last, self.from == Encoding::Compact && wide)
    }
}

/// A guest that passes `list<ELEMENT>`, `times` times. The list has `elements` elements of `size`
/// bytes, whose bytes are all zero.
pub fn list_passage(element: &str, elements: u32, size: u32, times: u32) -> String {
    let bytes = elements.saturating_mul(size);
    passage(&Passage {
        ty: &format!("(list {element})"),
        owner: &format!(r#"(memory (export "memory") {})"#, pages(bytes)),
        length: elements,
        receiver_pages: pages(bytes),
        encodings: ("utf8", "utf8"),
        direction: Direction::Parameter,
        times,
    })
}

/// A guest that lends a resource of its own to another component, and calls it with nothing else,
/// `times` times.
pub fn handle_passage(times: u32) -> String {
    format!(
        r#"(component
    (component $Owner
        (type $thing (resource (rep i32)))
        (export $exported "thing" (type $thing))
        (core module $m
            (import "" "new" (func $new (param i32) (result i32)))
            (func (export "make") (result i32) (call $new (i32.const 7)))
            (func (export "look") (param i32)))
        (core func $new (canon resource.new $thing))
        (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
        (func (export "make") (result (own $exported)) (canon lift (core func $i "make")))
        (func (export "look") (param "it" (borrow $exported)) (canon lift (core func $i "look"))))
    (component $Caller
        (import "thing" (type $thing (sub resource)))
        (import "make" (func $make (result (own $thing))))
        (import "look" (func $look (param "it" (borrow $thing))))
        (core func $make' (canon lower (func $make)))
        (core func $look' (canon lower (func $look)))
        (core func $drop (canon resource.drop $thing))
        (core module $m
            (import "" "make" (func $make (result i32)))
            (import "" "look" (func $look (param i32)))
            (import "" "drop" (func $drop (param i32)))
            (func (export "run") (result i32) (local $n i32) (local $it i32)
                (local.set $n (i32.const {times}))
                (loop $l
                    (local.set $it (call $make))
                    (call $look (local.get $it))
                    (call $drop (local.get $it))
                    (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance
            (export "make" (func $make')) (export "look" (func $look'))
            (export "drop" (func $drop))))))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command)))
    (instance $owner (instantiate $Owner))
    (instance $caller (instantiate $Caller (with "thing" (type $owner "thing"))
        (with "make" (func $owner "make")) (with "look" (func $owner "look"))))
    (export "wasi:cli/run@0.2.0" (instance $caller "wasi:cli/run@0.2.0")))"#
    )
}

/// A guest of two components, one of which passes a value to the other.
struct Passage<'a> {
    /// The type of the value, which is passed as an address and a length.
    ty: &'a str,
    /// The core items of the component that has the value: its memory, and what fills it.
    owner: &'a str,
    /// The length that is passed.
    length: u32,
    receiver_pages: u32,
    encodings: (&'a str, &'a str),
    direction: Direction,
    times: u32,
}

fn passage(passage: &Passage<'_>) -> String {
    let Passage { ty, owner, length, receiver_pages, encodings: (from, to), direction, times } =
        passage;
    let receiver = format!(
        r#"(memory (export "memory") {receiver_pages})
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const {PLACE}))"#
    );
    let repeat = |body: &str| {
        format!(
            r#"(func (export "run") (result i32) (local $n i32)
                (local.set $n (i32.const {times}))
                (loop $l {body}
                    (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                (i32.const 0))"#
        )
    };
    let command = r#"(func $run (result (result)) (canon lift (core func $i "run")))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command))"#;
    let (callee, caller) = match direction {
        Direction::Parameter => (
            format!(
                r#"(core module $m {receiver} (func (export "pass") (param i32 i32)))
        (core instance $i (instantiate $m))
        (func (export "pass") (param "value" {ty}) (canon lift (core func $i "pass")
            (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
            string-encoding={to}))"#
            ),
            format!(
                r#"(import "pass" (func $pass (param "value" {ty})))
        (core module $mine {owner})
        (core instance $mine (instantiate $mine))
        (core func $lowered (canon lower (func $pass) (memory (core memory $mine "memory"))
            string-encoding={from}))
        (core module $m (import "" "pass" (func $pass (param i32 i32)))
            {})"#,
                repeat(&format!("(call $pass (i32.const {PLACE}) (i32.const {length}))"))
            ),
        ),
        Direction::Result => (
            format!(
                r#"(core module $m {owner}
            (func (export "pass") (result i32)
                (i32.store (i32.const 0) (i32.const {PLACE}))
                (i32.store (i32.const 4) (i32.const {length}))
                (i32.const 0)))
        (core instance $i (instantiate $m))
        (func (export "pass") (result {ty}) (canon lift (core func $i "pass")
            (memory (core memory $i "memory")) string-encoding={from}))"#
            ),
            format!(
                r#"(import "pass" (func $pass (result {ty})))
        (core module $mine {receiver})
        (core instance $mine (instantiate $mine))
        (core func $lowered (canon lower (func $pass) (memory (core memory $mine "memory"))
            (realloc (core func $mine "realloc")) string-encoding={to}))
        (core module $m (import "" "pass" (func $pass (param i32)))
            {})"#,
                repeat("(call $pass (i32.const 0))")
            ),
        ),
    };
    format!(
        r#"(component
    (component $Callee
        {callee})
    (component $Caller
        {caller}
        (core instance $i (instantiate $m (with "" (instance (export "pass" (func $lowered))))))
        {command})
    (instance $callee (instantiate $Callee))
    (instance $caller (instantiate $Caller (with "pass" (func $callee "pass"))))
    (export "wasi:cli/run@0.2.0" (instance $caller "wasi:cli/run@0.2.0")))"#
    )
}

/// How many pages hold this many bytes behind [`PLACE`].
fn pages(bytes: u32) -> u32 {
    PLACE / PAGE + bytes.div_ceil(PAGE).max(1)
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_passage_is_valid_text() {
        for from in Encoding::ALL {
            for to in Encoding::ALL {
                for text in Text::ALL {
                    for direction in [Direction::Parameter, Direction::Result] {
                        let passage = StringPassage {
                            text,
                            direction,
                            ..StringPassage::new(from, to, 1_000)
                        };
                        wat::parse_str(passage.text_format()).unwrap();
                    }
                }
            }
        }
        wat::parse_str(list_passage("u8", 100, 1, 1)).unwrap();
        wat::parse_str(handle_passage(1)).unwrap();
    }
}
