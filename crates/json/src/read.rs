//! Reading: from the bytes of JSON to the calls of serde's visitors.

use std::borrow::Cow;

use serde::{
    Deserializer,
    de::{Error as _, Expected, Unexpected, Visitor},
};

use crate::{
    Error,
    access::{Items, Variant},
    text::plain,
};

/// Reads values from JSON, one after the other.
#[derive(Debug)]
pub struct Reader<'de> {
    json: &'de str,
    at: usize,
}

/// A number without a fraction or an exponent.
enum Number {
    Natural(u64),
    Negative(i64),
    /// Any other number, which is skipped.
    Other,
}

// The functions in this block are not generic, and so exist once.
impl<'de> Reader<'de> {
    /// A reader at the start of `json`.
    ///
    /// # Errors
    /// When the bytes are not UTF-8.
    pub fn new(json: &'de [u8]) -> Result<Self, Error> {
        match std::str::from_utf8(json) {
            Ok(json) => Ok(Self { json, at: 0 }),
            Err(error) => Err(Error::new(format_args!("{error}"))),
        }
    }

    /// Checks that nothing follows but white space.
    ///
    /// # Errors
    /// When something follows.
    pub fn finish(&mut self) -> Result<(), Error> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Error::new(format_args!("trailing characters"))),
        }
    }

    /// The place that the reader has come to.
    pub(crate) fn place(&self) -> usize {
        self.at
    }

    /// A reader of the same JSON at another place.
    pub(crate) fn at(&self, at: usize) -> Self {
        Self { json: self.json, at }
    }

    /// Adds the place that the reader has come to.
    #[cold]
    #[inline(never)]
    pub fn locate(&self, error: Error) -> Error {
        let read = self.json.get(..self.at).unwrap_or(self.json);
        let line_start = read.rfind('\n').map_or(0, |at| at + 1);
        let line = read.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Error::new(format_args!("{error} at line {line} column {}", read.len() - line_start))
    }

    fn byte(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    /// The next byte that is not white space, which is not taken.
    #[inline(never)]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Takes `expected` if it comes next.
    pub(crate) fn take(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += 1;
        }
        found
    }

    /// Takes `expected`, which must come next.
    #[inline(never)]
    pub(crate) fn require(&mut self, expected: u8) -> Result<(), Error> {
        if self.take(expected) {
            return Ok(());
        }
        Err(self.wrong(format_args!("expected `{}`", char::from(expected))))
    }

    #[cold]
    #[inline(never)]
    fn wrong(&self, text: std::fmt::Arguments<'_>) -> Error {
        if self.at >= self.json.len() {
            return Error::new(format_args!("EOF while parsing: {text}"));
        }
        Error::new(text)
    }

    /// Takes what comes between the items of an array or object, and says whether there is another
    /// item. The closing bracket is left.
    #[inline(never)]
    pub(crate) fn another(&mut self, close: u8, first: bool) -> Result<bool, Error> {
        if self.peek() == Some(close) {
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        if !self.take(b',') {
            return Err(self.wrong(format_args!("expected `,` or `{}`", char::from(close))));
        }
        if self.peek() == Some(close) {
            return Err(Error::new(format_args!("trailing comma")));
        }
        Ok(true)
    }

    /// Takes the word `null`, `true` or `false`.
    fn word(&mut self, word: &str) -> Result<(), Error> {
        match self.json.get(self.at..) {
            Some(rest) if rest.starts_with(word) => {
                self.at += word.len();
                Ok(())
            }
            _ => Err(self.wrong(format_args!("expected a value"))),
        }
    }

    /// Takes digits, and says how many there were.
    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    #[inline(never)]
    fn number(&mut self) -> Result<Number, Error> {
        let negative = self.take(b'-');
        let start = self.at;
        let length = self.digits();
        let digits = self.json.get(start..self.at).unwrap_or_default();
        if length == 0 || (length > 1 && digits.starts_with('0')) {
            return Err(self.wrong(format_args!("invalid number")));
        }
        let mut whole = true;
        if self.byte() == Some(b'.') {
            self.at += 1;
            whole = false;
            if self.digits() == 0 {
                return Err(self.wrong(format_args!("invalid number")));
            }
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            whole = false;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.wrong(format_args!("invalid number")));
            }
        }
        if !whole {
            return Ok(Number::Other);
        }
        let natural = digits.bytes().try_fold(0u64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0')))
        });
        Ok(match natural {
            Some(natural) if !negative => Number::Natural(natural),
            Some(natural) => match 0i64.checked_sub_unsigned(natural) {
                Some(found) => Number::Negative(found),
                None => Number::Other,
            },
            None => Number::Other,
        })
    }

    /// Takes a string. It is borrowed unless it has escapes.
    #[inline(never)]
    pub(crate) fn text(&mut self) -> Result<Cow<'de, str>, Error> {
        self.require(b'"')?;
        let mut whole = String::new();
        loop {
            let start = self.at;
            let rest = self.json.as_bytes().get(start..).unwrap_or_default();
            self.at += plain(rest);
            // The string ends before an ASCII character, which is a boundary.
            let run = self.json.get(start..self.at).unwrap_or_default();
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(if whole.is_empty() {
                        Cow::Borrowed(run)
                    } else {
                        whole.push_str(run);
                        Cow::Owned(whole)
                    });
                }
                Some(b'\\') => {
                    self.at += 1;
                    whole.push_str(run);
                    whole.push(self.escape()?);
                }
                _ => return Err(self.wrong(format_args!("control character in a string"))),
            }
        }
    }

    /// Takes what follows a backslash.
    fn escape(&mut self) -> Result<char, Error> {
        let byte = self.byte();
        self.at += 1;
        Ok(match byte {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => {
                self.at -= 1;
                return Err(self.wrong(format_args!("invalid escape")));
            }
        })
    }

    /// Takes what follows `\u`: a character, or the first half of one, which is followed by the
    /// second.
    fn unicode(&mut self) -> Result<char, Error> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..0xdc00 if self.json.get(self.at..).is_some_and(|it| it.starts_with("\\u")) => {
                self.at += 2;
                match self.hex4()? {
                    second @ 0xdc00..0xe000 => {
                        0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    _ => first,
                }
            }
            first => first,
        };
        // A lone half is not a character.
        char::from_u32(code).ok_or_else(|| self.wrong(format_args!("lone surrogate in a string")))
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.wrong(format_args!("invalid escape")));
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// Skips a value, however deep others are nested in it.
    pub(crate) fn skip(&mut self) -> Result<(), Error> {
        // The closing brackets of the arrays and objects that the reader is in.
        let mut nested = Vec::new();
        loop {
            let mut first = false;
            match self.peek() {
                Some(b'"') => drop(self.text()?),
                Some(b'-' | b'0'..=b'9') => self.number().map(|_| ())?,
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(open @ (b'[' | b'{')) => {
                    self.at += 1;
                    nested.push(open + 2);
                    first = true;
                }
                _ => self.word("null")?,
            }
            loop {
                let Some(close) = nested.last().copied() else { return Ok(()) };
                if self.another(close, first)? {
                    if close == b'}' {
                        self.text()?;
                        self.require(b':')?;
                    }
                    break;
                }
                self.require(close)?;
                nested.pop();
                first = false;
            }
        }
    }

    /// The error for a value of another type than the expected one.
    #[cold]
    #[inline(never)]
    fn mismatch(&mut self, expected: &dyn Expected) -> Error {
        let text;
        let found = match self.peek() {
            Some(b'"') => match self.text() {
                Ok(found) => {
                    text = found;
                    Unexpected::Str(&text)
                }
                Err(error) => return error,
            },
            Some(b'-' | b'0'..=b'9') => match self.number() {
                Ok(Number::Natural(found)) => Unexpected::Unsigned(found),
                Ok(Number::Negative(found)) => Unexpected::Signed(found),
                Ok(Number::Other) => Unexpected::Float(0.0),
                Err(error) => return error,
            },
            Some(b't') if self.word("true").is_ok() => Unexpected::Bool(true),
            Some(b'f') if self.word("false").is_ok() => Unexpected::Bool(false),
            Some(b'n') if self.word("null").is_ok() => Unexpected::Unit,
            Some(b'[') => Unexpected::Seq,
            Some(b'{') => Unexpected::Map,
            _ => return self.wrong(format_args!("expected a value")),
        };
        Error::invalid_type(found, expected)
    }

    /// Takes an integer that is expected to be natural.
    #[inline(never)]
    fn natural(&mut self, expected: &dyn Expected) -> Result<u64, Error> {
        let start = self.at;
        if let Some(b'-' | b'0'..=b'9') = self.peek() {
            match self.number()? {
                Number::Natural(found) => return Ok(found),
                Number::Negative(found) => {
                    return Err(Error::invalid_value(Unexpected::Signed(found), expected));
                }
                Number::Other => self.at = start,
            }
        }
        Err(self.mismatch(expected))
    }

    /// Takes an integer.
    #[inline(never)]
    fn integer(&mut self, expected: &dyn Expected) -> Result<i64, Error> {
        let start = self.at;
        if let Some(b'-' | b'0'..=b'9') = self.peek() {
            let found = match self.number()? {
                Number::Natural(found) => i64::try_from(found).ok(),
                Number::Negative(found) => Some(found),
                Number::Other => None,
            };
            if let Some(found) = found {
                return Ok(found);
            }
        }
        self.at = start;
        Err(self.mismatch(expected))
    }

    #[inline(never)]
    fn boolean(&mut self, expected: &dyn Expected) -> Result<bool, Error> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => Err(self.mismatch(expected)),
        }
    }

    /// Takes a string that is expected.
    #[inline(never)]
    fn expected_text(&mut self, expected: &dyn Expected) -> Result<Cow<'de, str>, Error> {
        if self.peek() == Some(b'"') { self.text() } else { Err(self.mismatch(expected)) }
    }

    /// Takes the opening bracket of an array or object that is expected.
    #[inline(never)]
    pub(crate) fn open(&mut self, bracket: u8, expected: &dyn Expected) -> Result<(), Error> {
        if self.take(bracket) { Ok(()) } else { Err(self.mismatch(expected)) }
    }

    /// Takes `null` if it comes next.
    #[inline(never)]
    fn null(&mut self) -> Result<bool, Error> {
        match self.peek() {
            Some(b'n') => self.word("null").map(|()| true),
            _ => Ok(false),
        }
    }

    #[inline(never)]
    pub(crate) fn unit(&mut self, expected: &dyn Expected) -> Result<(), Error> {
        if self.null()? { Ok(()) } else { Err(self.mismatch(expected)) }
    }

    /// Takes the start of an enum's value, and says whether it is an object.
    #[inline(never)]
    fn open_enum(&mut self, expected: &dyn Expected) -> Result<bool, Error> {
        match self.peek() {
            Some(b'"') => Ok(false),
            _ => self.open(b'{', expected).map(|()| true),
        }
    }
}

macro_rules! integers {
    ($($method:ident $take:ident $visit:ident,)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let value = self.$take(&visitor)?;
            visitor.$visit(value)
        })+
    };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            Some(b'"') => self.deserialize_str(visitor),
            Some(b'{') => self.deserialize_map(visitor),
            Some(b'[') => self.deserialize_seq(visitor),
            Some(b't' | b'f') => self.deserialize_bool(visitor),
            Some(b'-' | b'0'..=b'9') => {
                let start = self.at;
                match self.number()? {
                    Number::Natural(found) => visitor.visit_u64(found),
                    Number::Negative(found) => visitor.visit_i64(found),
                    Number::Other => {
                        self.at = start;
                        Err(self.mismatch(&visitor))
                    }
                }
            }
            _ => self.deserialize_unit(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.boolean(&visitor)?;
        visitor.visit_bool(value)
    }

    integers! {
        deserialize_u8 natural visit_u64,
        deserialize_u16 natural visit_u64,
        deserialize_u32 natural visit_u64,
        deserialize_u64 natural visit_u64,
        deserialize_i8 integer visit_i64,
        deserialize_i16 integer visit_i64,
        deserialize_i32 integer visit_i64,
        deserialize_i64 integer visit_i64,
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.expected_text(&visitor)? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(&self.text()?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.null()? { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.unit(&visitor)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.open(b'[', &visitor)?;
        let value = visitor.visit_seq(Items::new(self, b']'))?;
        self.require(b']')?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.open(b'{', &visitor)?;
        let value = visitor.visit_map(Items::new(self, b'}'))?;
        self.require(b'}')?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let object = self.open_enum(&visitor)?;
        let value = visitor.visit_enum(Variant { reader: self, object })?;
        if object {
            self.require(b'}')?;
        }
        Ok(value)
    }

    serde::forward_to_deserialize_any! { f32 f64 char bytes byte_buf }
}
