//! What is written and read here is compared with `serde_json`.

use std::fmt::Debug;

use near_account_id::AccountId;
use near_gas::NearGas;
use near_token::NearToken;
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, Fields, FromJson, Quoted, Reader, ToJson, from_slice, to_vec};

/// What is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    text: String,
    natural: u64,
    small: u8,
    flag: bool,
    option: Option<u32>,
    list: Vec<Choice>,
    pair: (String, u16),
    wrapped: Wrapped,
    kind: Kind,
    hash: [u8; 3],
    amount: NearToken,
    account: AccountId,
}

/// Reads a struct from a reader that is at its start, as a contract reads its arguments.
macro_rules! read_by_fields {
    ($name:ident: $($field:ident)*) => {
        fn $name(json: &[u8]) -> Result<Everything, Error> {
            let mut fields = Fields::new(json)?;
            let read = Everything { $($field: fields.take(stringify!($field)),)* };
            fields.finish()?;
            Ok(read)
        }
    };
}

read_by_fields! {
    read: text natural small flag option list pair wrapped kind hash amount account
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, FromJson)]
#[serde(transparent)]
struct Wrapped(u32);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, FromJson)]
#[serde(rename_all = "snake_case")]
enum Kind {
    FirstKind,
    #[serde(rename = "the-other")]
    Other,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromJson)]
#[serde(rename_all = "snake_case")]
enum Choice {
    OneThing(u32),
    ManyThings(Vec<String>),
}

/// Fields that nobody asks for are skipped.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    a: Option<u8>,
}

fn read_open(json: &[u8]) -> Result<Open, Error> {
    let mut fields = Fields::new(json)?;
    let read = Open { a: fields.take("a") };
    fields.finish()?;
    Ok(read)
}

fn everything() -> impl Strategy<Value = Everything> {
    let choice = prop_oneof![
        any::<u32>().prop_map(Choice::OneThing),
        any::<Vec<String>>().prop_map(Choice::ManyThings),
    ];
    let kind = prop_oneof![Just(Kind::FirstKind), Just(Kind::Other)];
    let numbers = (any::<u64>(), any::<u8>(), any::<bool>(), any::<Option<u32>>(), any::<u128>());
    let texts = (any::<String>(), any::<(String, u16)>(), any::<[u8; 3]>());
    (numbers, texts, prop::collection::vec(choice, 0..4), any::<u32>(), kind).prop_map(
        |((natural, small, flag, option, amount), (text, pair, hash), list, wrapped, kind)| {
            Everything {
                text,
                natural,
                small,
                flag,
                option,
                list,
                pair,
                wrapped: Wrapped(wrapped),
                kind,
                hash,
                amount: NearToken::from_yoctonear(amount),
                account: "alice.near".parse().unwrap(),
            }
        },
    )
}

/// What is written.
#[derive(Clone, Debug, Serialize, ToJson)]
struct Written {
    text: String,
    natural: u64,
    small: u8,
    integer: i32,
    flag: bool,
    unit: (),
    option: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<Box<Part>>,
    parts: Vec<Part>,
    pair: (String, u16),
    wrapped: WrittenNumber,
    hash: [u8; 3],
    account: AccountId,
    amount: NearToken,
    gas: NearGas,
}

#[derive(Clone, Debug, Serialize, ToJson)]
#[serde(transparent)]
struct WrittenNumber(u32);

#[derive(Clone, Debug, Serialize, ToJson)]
#[serde(rename_all = "snake_case")]
enum Part {
    NoContent,
    #[serde(rename = "a-number")]
    Number(u32),
    SomeFields {
        first: Option<i32>,
        second: Loose,
    },
}

#[derive(Clone, Debug, Serialize, ToJson)]
#[serde(untagged)]
enum Loose {
    Number(u64),
    Named { name: String },
}

fn part() -> impl Strategy<Value = Part> {
    let loose = prop_oneof![
        any::<u64>().prop_map(Loose::Number),
        any::<String>().prop_map(|name| Loose::Named { name }),
    ];
    prop_oneof![
        Just(Part::NoContent),
        any::<u32>().prop_map(Part::Number),
        (any::<Option<i32>>(), loose)
            .prop_map(|(first, second)| Part::SomeFields { first, second }),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    let numbers = (any::<u64>(), any::<u8>(), any::<i32>(), any::<bool>(), any::<Option<u32>>());
    let texts = (any::<String>(), any::<(String, u16)>(), any::<u128>(), any::<[u8; 3]>());
    (numbers, texts, prop::option::of(part()), prop::collection::vec(part(), 0..4)).prop_map(
        |((natural, small, integer, flag, option), (text, pair, amount, hash), one, parts)| {
            Written {
                text,
                natural,
                small,
                integer,
                flag,
                unit: (),
                option,
                skipped: one.map(Box::new),
                parts,
                pair,
                wrapped: WrittenNumber(option.unwrap_or(7)),
                hash,
                account: "alice.near".parse().unwrap(),
                amount: NearToken::from_yoctonear(amount),
                gas: NearGas::from_gas(natural),
            }
        },
    )
}

/// Objects within each other, and an enum of which only some variants have content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromJson)]
struct Nested {
    one: Mixed,
    rest: Vec<Mixed>,
    #[serde(rename = "in")]
    within: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromJson)]
#[serde(rename_all = "snake_case")]
enum Mixed {
    SomeFields { first: Option<i32>, second: u8 },
    NoContent,
    Number(u32),
    NoFields {},
}

fn mixed() -> impl Strategy<Value = Mixed> {
    prop_oneof![
        (any::<Option<i32>>(), any::<u8>())
            .prop_map(|(first, second)| Mixed::SomeFields { first, second }),
        Just(Mixed::NoContent),
        any::<u32>().prop_map(Mixed::Number),
        Just(Mixed::NoFields {}),
    ]
}

fn nested() -> impl Strategy<Value = Nested> {
    (mixed(), prop::collection::vec(mixed(), 0..4), any::<Option<String>>())
        .prop_map(|(one, rest, within)| Nested { one, rest, within })
}

/// Checks that both readers accept the same, with the same value, or refuse the same.
fn alike<T: DeserializeOwned + PartialEq + Debug>(found: Result<T, Error>, json: &[u8]) {
    match serde_json::from_slice::<T>(json) {
        Ok(expected) => assert_eq!(found.unwrap(), expected),
        Err(_) => {
            found.unwrap_err();
        }
    }
}

fn reads_alike<T: DeserializeOwned + FromJson + PartialEq + Debug>(json: &[u8]) {
    alike(from_slice::<T>(json), json);
}

proptest! {
    #[test]
    fn what_is_written_is_what_serde_json_writes(value in written()) {
        prop_assert_eq!(to_vec(&value), serde_json::to_vec(&value).unwrap());
    }

    #[test]
    fn what_serde_json_writes_is_read_back(value in everything()) {
        let json = serde_json::to_vec(&value).unwrap();
        prop_assert_eq!(&read(&json).unwrap(), &value);
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        prop_assert_eq!(&read(&pretty).unwrap(), &value);
    }

    #[test]
    fn a_changed_byte_is_read_as_serde_json_reads_it(
        value in everything(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut json = serde_json::to_vec(&value).unwrap();
        let at = at.index(json.len());
        json[at] = byte;
        alike(read(&json), &json);
        json.truncate(at);
        alike(read(&json), &json);
    }

    #[test]
    fn objects_within_each_other_are_read_as_serde_json_reads_them(
        value in nested(),
        at: prop::sample::Index,
        byte in prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]:,\"0-n"[..])],
    ) {
        let mut json = serde_json::to_vec(&value).unwrap();
        prop_assert_eq!(&from_slice::<Nested>(&json).unwrap(), &value);
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        prop_assert_eq!(&from_slice::<Nested>(&pretty).unwrap(), &value);
        let at = at.index(json.len());
        json[at] = byte;
        reads_alike::<Nested>(&json);
        json.truncate(at);
        reads_alike::<Nested>(&json);
    }

    #[test]
    fn strings_and_numbers_are_read_as_serde_json_reads_them(
        text in concat!(
            r#"("?([ -~]|\\u[0-9a-fA-F]{4}|\\["\\/bfnrt]){0,6}"?)"#,
            "|-?[0-9]{1,21}[.eE+-]?[0-9]{0,3}",
        ),
    ) {
        reads_alike::<String>(text.as_bytes());
        reads_alike::<u64>(text.as_bytes());
        reads_alike::<i32>(text.as_bytes());
        reads_alike::<u8>(text.as_bytes());
        reads_alike::<bool>(text.as_bytes());
        reads_alike::<NearToken>(text.as_bytes());
        // `serde_json` lets halves of characters pass where it skips.
        if !text.contains("\\u") {
            let json = format!(r#"{{"b": {text}, "a":1}}"#);
            alike(read_open(json.as_bytes()), json.as_bytes());
        }
    }
}

#[test]
fn every_form_of_json_is_read_as_serde_json_reads_it() {
    for json in [
        "",
        " ",
        "{",
        "}",
        "{}",
        "null",
        "nul",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        r#"{"a":1}"#,
        r#"{"a":null}"#,
        r#"{"a":1 , "b":[1,2.5e-3,{"c":[]},"x",true,false,null]}"#,
        r#"{"a":1}x"#,
        r#"{"a":1,"a":2}"#,
        r#"{a:1}"#,
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"b":[1,]}"#,
        r#"{"b":[,]}"#,
        r#"{"b":{"c"}}"#,
        r#"{"b":{1:2}}"#,
        r#"{"b":01}"#,
        r#"{"b":-}"#,
        r#"{"b":1.}"#,
        r#"{"b":1e}"#,
        r#"{"b":tru}"#,
        r#"{"b":"}"#,
        r#"{"b":[1}}"#,
        r#"{"a":256}"#,
        r#"{"a":-1}"#,
        r#"{"a":"1"}"#,
        r#"{"\u0061":1}"#,
        "\u{feff}{}",
    ] {
        alike(read_open(json.as_bytes()), json.as_bytes());
    }
    for json in [
        r#""no_content""#,
        r#"{"no_content":null}"#,
        r#"{"no_content":{}}"#,
        r#"{"no_content":null,"number":1}"#,
        r#""number""#,
        r#"{"number":1}"#,
        r#"{"number":null}"#,
        r#""some_fields""#,
        r#"{"some_fields":{"second":1}}"#,
        r#"{"some_fields":{"second":1,"third":{"first":2}}}"#,
        r#"{"some_fields":{"second":1,"first":-2147483648}}"#,
        r#"{"some_fields":{"second":1,"first":-2147483649}}"#,
        r#"{"some_fields":{"first":1}}"#,
        r#"{"some_fields":{"second":1,"second":1}}"#,
        r#"{"some_fields":{"second":1}"#,
        r#"{"some_fields":null}"#,
        r#"{"no_fields":{}}"#,
        r#"{"no_fields":{"a":1}}"#,
        r#"{"no_fields":null}"#,
        r#""first_kind""#,
        r#""the-other""#,
        r#""other""#,
        r#"{"first_kind":null}"#,
        r#"{"first_kind":1}"#,
        r#"{"first_kind":null,"the-other":null}"#,
        r#""one_thing""#,
        r#"{"one_thing":1}"#,
        r#"{"one_thing":1,"many_things":null}"#,
        r#"{"many_things":["a","b"]}"#,
        r#"{"many_things":["a",1]}"#,
        r#"{"other":1}"#,
        "{}",
        "1",
        "null",
        "[]",
        r#"["a",1]"#,
        r#"["a"]"#,
        r#"["a",1,2]"#,
        "[1,2,3]",
        "[1,2]",
        "[1,2,3,4]",
        r#""alice.near""#,
        r#""Alice""#,
        "340282366920938463463374607431768211455",
        r#""340282366920938463463374607431768211456""#,
    ] {
        reads_alike::<Kind>(json.as_bytes());
        reads_alike::<Choice>(json.as_bytes());
        reads_alike::<Mixed>(json.as_bytes());
        reads_alike::<(String, u16)>(json.as_bytes());
        reads_alike::<[u8; 3]>(json.as_bytes());
        reads_alike::<AccountId>(json.as_bytes());
        reads_alike::<NearToken>(json.as_bytes());
        reads_alike::<Option<Vec<u8>>>(json.as_bytes());
    }
    reads_alike::<String>(b"\"\xff\"");
}

#[test]
fn errors_say_what_was_found_and_expected_and_where() {
    let error = |json: &str| read(json.as_bytes()).unwrap_err().to_string();
    for (json, expected) in [
        ("{\n  \"text\": 5 }", "invalid type: integer `5`, expected a string at line 2"),
        ("{\"text\":null}", "invalid type: null, expected a string at line 1"),
        ("{\"text\":\"\",\"natural\":-1}", "invalid type: integer `-1`, expected u64 at line 1"),
        ("{\"text\":\"\",\"natural\":1.5}", "floating-point number, expected u64 at line 1"),
        ("{}", "missing field `text` at line 1"),
    ] {
        assert!(error(json).contains(expected), "{json}: {}", error(json));
    }
    let error = |json: &str| from_slice::<Vec<Choice>>(json.as_bytes()).unwrap_err().to_string();
    for (json, expected) in [
        ("{}", "invalid type: map, expected a sequence at line 1"),
        ("[true]", "boolean `true`, expected an object with the name of a variant"),
        ("[{\"other\":1}]", "unknown variant `other`, expected one of `one_thing`, `many_things`"),
        ("[{\"one_thing\":[]}]", "invalid type: sequence, expected u32"),
        ("[{\"one_thing\":1}", "EOF while parsing: expected `,` or `]`"),
        ("[]1", "trailing characters at line 1 column 2"),
    ] {
        assert!(error(json).contains(expected), "{json}: {}", error(json));
    }
    let error = |json: &str| from_slice::<u8>(json.as_bytes()).unwrap_err().to_string();
    assert_eq!(error("300"), "invalid type: integer `300`, expected u8 at line 1 column 3");
    assert_eq!(error("\"x\""), "invalid type: string \"x\", expected u8 at line 1 column 3");
}

#[test]
fn the_first_error_is_the_one_that_is_told() {
    let mut reader = Reader::new(b"[300,\"x\"]").unwrap();
    assert_eq!(Vec::<u8>::read(&mut reader), [0]);
    assert_eq!(String::read(&mut reader), "");
    let error = reader.finish().unwrap_err().to_string();
    assert_eq!(error, "invalid type: integer `300`, expected u8 at line 1 column 4");
}

#[test]
fn values_that_nobody_asks_for_may_be_nested_deeply() {
    let nested = |depth| format!("{{\"b\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    alike(read_open(nested(100).as_bytes()), nested(100).as_bytes());
    alike(read_open(nested(100_000).as_bytes()), nested(100_000).as_bytes());
}

/// The arguments of a method.
#[derive(Debug, PartialEq, Deserialize)]
struct Arguments {
    a: u8,
    b: Option<String>,
    c: Vec<Choice>,
}

fn arguments(json: &str) -> Result<Arguments, Error> {
    let mut fields = Fields::new(json.as_bytes())?;
    let read = Arguments { a: fields.take("a"), b: fields.take("b"), c: fields.take("c") };
    fields.finish()?;
    Ok(read)
}

#[test]
fn a_struct_is_read_from_fields_as_serde_derives_it() {
    for json in [
        r#"{"a":1,"b":"x","c":[{"one_thing":7}]}"#,
        r#" { "c" : [ ] , "a" : 2 } "#,
        r#"{"c":[],"a":3,"b":null}"#,
        r#"{"\u0061":1,"other":{"a":[1.5]},"c":[]}"#,
        r#"{"a":1}"#,
        r#"{"c":[]}"#,
        "{}",
        "",
        "1",
        r#"{"a":1,"a":2,"c":[]}"#,
        r#"{"a":1,"c":[]}x"#,
        r#"{"a":1,"c":[],}"#,
        r#"{"a":"1","c":[]}"#,
        r#"{"a":1,"c":["one_thing"]}"#,
        r#"{"a":null,"c":[]}"#,
        r#"{"a":1,"c":[]"#,
        r#"{"a":1,"c":[}"#,
    ] {
        let found = arguments(json);
        match serde_json::from_str::<Arguments>(json) {
            Ok(expected) => assert_eq!(found.unwrap(), expected),
            Err(_) => drop(found.unwrap_err()),
        }
    }
    let error = |json: &str| arguments(json).unwrap_err();
    assert_eq!(error(r#"{"a":1}"#).to_string(), "missing field `c` at line 1 column 6");
    assert_eq!(
        error("{\n\"a\":\"x\"}").to_string(),
        "invalid type: string \"x\", expected u8 at line 2 column 7"
    );
    assert_eq!(
        error(r#"{"a":1,"c":[],"d":1,"d":2}"#).to_string(),
        "duplicate field `d` at line 1 column 24"
    );
}

#[test]
fn an_error_shows_a_text_without_what_a_terminal_would_obey() {
    for text in ["", "plain ä 漢", "\"\\", "\0\u{1b}[31m\n\u{7f}\u{9b}", "\u{202e}\u{200b}\u{feff}"]
    {
        let shown = Quoted(text).to_string();
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        let hidden = shown.chars().any(|character| matches!(character, '\u{200b}'..='\u{206f}'));
        assert!(!hidden && !shown.contains('\u{feff}'), "{shown:?}");
    }
    assert_eq!(Quoted("a\"\\ä\u{1b}").to_string(), r#""a\"\\ä\u{1b}""#);
}
