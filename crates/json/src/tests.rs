//! What is written and read here is compared with `serde_json`.

use std::{collections::BTreeMap, fmt::Debug};

use near_account_id::AccountId;
use near_gas::NearGas;
use near_token::NearToken;
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, Fields, ToJson, from_slice, to_vec};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Everything {
    text: String,
    natural: u64,
    small: u8,
    integer: i64,
    flag: bool,
    unit: (),
    #[serde(default)]
    option: Option<u32>,
    list: Vec<Choice>,
    pair: (String, u16),
    map: BTreeMap<String, i8>,
    wrapped: Wrapped,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Wrapped(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    Nothing,
    OneThing(u32),
    TwoThings(String, bool),
    Named { first: Option<i32>, second: Vec<char> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    standard: String,
    #[serde(flatten)]
    event: Tagged,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
enum Tagged {
    WithData([u8; 1]),
    Without,
}

/// Fields that nobody asks for are skipped.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    a: Option<u8>,
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

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Nothing),
        any::<u32>().prop_map(Choice::OneThing),
        (any::<String>(), any::<bool>()).prop_map(|(a, b)| Choice::TwoThings(a, b)),
        (any::<Option<i32>>(), any::<Vec<char>>())
            .prop_map(|(first, second)| Choice::Named { first, second }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = (any::<u64>(), any::<u8>(), any::<i64>(), any::<bool>(), any::<Option<u32>>());
    let texts = (any::<String>(), any::<(String, u16)>(), any::<BTreeMap<String, i8>>());
    (numbers, texts, prop::collection::vec(choice(), 0..4), any::<u32>()).prop_map(
        |((natural, small, integer, flag, option), (text, pair, map), list, wrapped)| Everything {
            text,
            natural,
            small,
            integer,
            flag,
            unit: (),
            option,
            list,
            pair,
            map,
            wrapped: Wrapped(wrapped),
        },
    )
}

/// Checks that both readers accept the same, with the same value, or refuse the same.
fn reads_alike<T: DeserializeOwned + PartialEq + Debug>(json: &[u8]) {
    let (found, expected) = (from_slice::<T>(json), serde_json::from_slice::<T>(json));
    match expected {
        Ok(expected) => assert_eq!(found.unwrap(), expected),
        Err(_) => {
            found.unwrap_err();
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_what_serde_json_writes(value in written()) {
        prop_assert_eq!(to_vec(&value), serde_json::to_vec(&value).unwrap());
    }

    #[test]
    fn what_serde_json_writes_is_read_back(value in everything()) {
        let json = serde_json::to_vec(&value).unwrap();
        prop_assert_eq!(&from_slice::<Everything>(&json).unwrap(), &value);
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        prop_assert_eq!(&from_slice::<Everything>(&pretty).unwrap(), &value);
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
        reads_alike::<Everything>(&json);
        json.truncate(at);
        reads_alike::<Everything>(&json);
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
        reads_alike::<u8>(text.as_bytes());
        reads_alike::<i32>(text.as_bytes());
        // `serde_json` lets halves of characters pass where it skips.
        if !text.contains("\\u") {
            reads_alike::<Open>(format!(r#"{{"b": {text}, "a":1}}"#).as_bytes());
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
        reads_alike::<Open>(json.as_bytes());
    }
    for json in [
        r#""nothing""#,
        r#"{"nothing":null}"#,
        r#"{"nothing":1}"#,
        r#""one_thing""#,
        r#"{"one_thing":1}"#,
        r#"{"one_thing":1,"nothing":null}"#,
        r#"{"two_things":["a",true]}"#,
        r#"{"two_things":["a"]}"#,
        r#"{"two_things":["a",true,1]}"#,
        r#"{"named":{"second":[]}}"#,
        r#"{"named":1}"#,
        r#""other""#,
        r#"{"other":1}"#,
        "{}",
        "1",
        "null",
        "[]",
    ] {
        reads_alike::<Choice>(json.as_bytes());
    }
    for json in [
        r#"{"standard":"s","event":"without"}"#,
        r#"{"event":"with_data","standard":"s","data":[1]}"#,
        r#"{"data":[1],"standard":"s","event":"with_data"}"#,
        r#"{"standard":"s"}"#,
    ] {
        reads_alike::<Flat>(json.as_bytes());
    }
    reads_alike::<String>(b"\"\xff\"");
}

#[test]
fn errors_say_what_was_found_and_expected_and_where() {
    let error = |json: &str| from_slice::<Everything>(json.as_bytes()).unwrap_err().to_string();
    for json in [
        "{\n  \"text\": 5 }",
        "{\"flag\":\"yes\"}",
        "{\"natural\":-1}",
        "{\"small\":300}",
        "{\"integer\":null}",
        "{\"list\":{}}",
        "{\"list\":[\"other\"]}",
        "{\"other\":1}",
        "{\"list\":[\"one_thing\"]}",
        "{\"pair\":[\"a\"]}",
    ] {
        let expected = serde_json::from_str::<Everything>(json).unwrap_err().to_string();
        // The two stop at another column of the same line.
        let words = |text: &str| text.rsplit_once(" column ").unwrap().0.to_owned();
        assert_eq!(words(&error(json)), words(&expected));
    }
    assert_eq!(error("{\"text\":\"a\" 1"), "expected `,` or `}` at line 1 column 12");
    assert_eq!(error("{"), "EOF while parsing: expected `\"` at line 1 column 1");
}

#[test]
fn values_that_nobody_asks_for_may_be_nested_deeply() {
    let nested = |depth| format!("{{\"b\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    reads_alike::<Open>(nested(100).as_bytes());
    reads_alike::<Open>(nested(100_000).as_bytes());
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
    let read = Arguments { a: fields.take("a")?, b: fields.take("b")?, c: fields.take("c")? };
    fields.finish()?;
    Ok(read)
}

#[test]
fn a_struct_is_read_from_fields_as_serde_derives_it() {
    for json in [
        r#"{"a":1,"b":"x","c":["nothing"]}"#,
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
