//! Reading: the parts of JSON.
//!
//! Nothing that reads a value returns an error. A [`Reader`] that has met one remembers it, has
//! nothing left to read from then on, and gives zeros and empty values.

use std::{borrow::Cow, fmt};

use crate::{Error, Fields, error::Found, text::plain};

/// Reads values from JSON, one after the other.
#[derive(Debug)]
pub struct Reader<'de> {
    json: &'de str,
    at: usize,
    error: Option<Error>,
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
            Ok(json) => Ok(Self { json, at: 0, error: None }),
            Err(error) => Err(Error::new(format_args!("{error}"))),
        }
    }

    /// Checks that there was no error, and that nothing follows but white space.
    ///
    /// # Errors
    /// The first error.
    pub fn finish(&mut self) -> Result<(), Error> {
        if self.peek().is_some() {
            self.refuse(format_args!("trailing characters"));
        }
        self.take_error().map_or(Ok(()), Err)
    }

    /// The first error, if there was one.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// `null`, which stands for a field that is missing.
    pub(crate) const fn null_value() -> Self {
        Self { json: "null", at: 0, error: None }
    }

    /// Ends the reading for an error that says where it is.
    pub(crate) fn end(&mut self, error: Error) {
        self.error.get_or_insert(error);
        (self.json, self.at) = ("", 0);
    }

    /// Ends the reading.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&mut self, error: Error) {
        self.end(self.locate(error));
    }

    /// Ends the reading: what was read is wrong for this reason.
    #[cold]
    #[inline(never)]
    pub fn refuse(&mut self, reason: fmt::Arguments<'_>) {
        self.fail(Error::new(reason));
    }

    /// The place that the reader has come to.
    pub(crate) fn place(&self) -> usize {
        self.at
    }

    /// A reader of the same JSON at another place.
    pub(crate) fn at(&self, at: usize) -> Self {
        Self { json: self.json, at, error: None }
    }

    /// Adds the place that the reader has come to.
    #[cold]
    #[inline(never)]
    fn locate(&self, error: Error) -> Error {
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
    fn wrong(&self, text: fmt::Arguments<'_>) -> Error {
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
            // Negative zero is a floating-point number.
            Some(0) => Number::Other,
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

    /// Ends the reading: what comes is not the expected value.
    #[cold]
    #[inline(never)]
    pub fn mismatch(&mut self, expected: &str) {
        let text;
        let found = match self.peek() {
            Some(b'"') => match self.text() {
                Ok(found) => {
                    text = found;
                    Ok(Found::Text(&text))
                }
                Err(error) => Err(error),
            },
            Some(b'-' | b'0'..=b'9') => self.number().map(|found| match found {
                Number::Natural(found) => Found::Natural(found),
                Number::Negative(found) => Found::Negative(found),
                Number::Other => Found::Other("floating-point number"),
            }),
            Some(b't') => self.word("true").map(|()| Found::Boolean(true)),
            Some(b'f') => self.word("false").map(|()| Found::Boolean(false)),
            Some(b'[') => Ok(Found::Other("sequence")),
            Some(b'{') => Ok(Found::Other("map")),
            _ => self.word("null").map(|()| Found::Other("null")),
        };
        let error = found.map_or_else(|error| error, |found| Error::unexpected(found, expected));
        self.fail(error);
    }

    /// Takes a number if one comes next and it is `accepted`. Anything else is a mismatch.
    fn accept<T: Default>(
        &mut self,
        expected: &str,
        accepted: impl FnOnce(Number) -> Option<T>,
    ) -> T {
        let start = self.at;
        if let Some(b'-' | b'0'..=b'9') = self.peek() {
            match self.number().map(accepted) {
                Ok(Some(found)) => return found,
                Ok(None) => self.at = start,
                Err(error) => self.fail(error),
            }
        }
        self.mismatch(expected);
        T::default()
    }

    /// Takes a natural number of at most `most`.
    #[inline(never)]
    pub fn natural(&mut self, most: u64, expected: &str) -> u64 {
        self.accept(expected, |number| match number {
            Number::Natural(found) if found <= most => Some(found),
            _ => None,
        })
    }

    /// Takes an integer between `least` and `most`.
    #[inline(never)]
    pub fn integer(&mut self, least: i64, most: i64, expected: &str) -> i64 {
        self.accept(expected, |number| {
            let found = match number {
                Number::Natural(found) => i64::try_from(found).ok(),
                Number::Negative(found) => Some(found),
                Number::Other => None,
            };
            found.filter(|found| (least..=most).contains(found))
        })
    }

    /// Takes `true` or `false`.
    #[inline(never)]
    pub fn boolean(&mut self) -> bool {
        let value = self.peek() == Some(b't');
        let is_boolean = match self.peek() {
            Some(b't') => self.word("true").is_ok(),
            Some(b'f') => self.word("false").is_ok(),
            _ => false,
        };
        if !is_boolean {
            self.mismatch("a boolean");
        }
        value && is_boolean
    }

    /// Takes a string.
    #[inline(never)]
    pub fn string(&mut self, expected: &str) -> Cow<'de, str> {
        if self.peek() == Some(b'"') {
            match self.text() {
                Ok(text) => return text,
                Err(error) => self.fail(error),
            }
        }
        self.mismatch(expected);
        Cow::Borrowed("")
    }

    /// Whether a string comes next.
    pub fn at_string(&mut self) -> bool {
        self.peek() == Some(b'"')
    }

    /// Takes the opening bracket of an array or object.
    #[inline(never)]
    pub fn open(&mut self, bracket: u8, expected: &str) {
        if !self.take(bracket) {
            self.mismatch(expected);
        }
    }

    /// Takes the closing bracket of an array or object.
    #[inline(never)]
    pub fn close(&mut self, bracket: u8) {
        if let Err(error) = self.require(bracket) {
            self.fail(error);
        }
    }

    /// Takes the comma before an item that is not the first, and says whether there is an item.
    #[inline(never)]
    pub fn item(&mut self, close: u8, first: bool) -> bool {
        match self.another(close, first) {
            Ok(another) => another,
            Err(error) => {
                self.fail(error);
                false
            }
        }
    }

    /// Takes the name of a field, with the colon.
    #[inline(never)]
    pub fn name(&mut self) -> Cow<'de, str> {
        let name = self.string("a string");
        self.close(b':');
        name
    }

    /// Takes an object, whose fields can be asked for. [`Fields::close`] follows.
    pub fn fields(&mut self) -> Fields<'de> {
        Fields::within(self)
    }

    /// Passes over a value.
    #[inline(never)]
    pub fn pass(&mut self) {
        if let Err(error) = self.skip() {
            self.fail(error);
        }
    }

    /// Takes `null` if it comes next.
    #[inline(never)]
    pub fn null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.word("null").is_ok()
    }

    /// Finds a name among those that there are.
    #[inline(never)]
    pub fn find(&mut self, what: &str, name: &str, names: &[&str]) -> usize {
        let found = names.iter().position(|one| *one == name);
        found.unwrap_or_else(|| {
            let names = names.join("`, `");
            self.refuse(format_args!("unknown {what} `{name}`, expected one of `{names}`"));
            0
        })
    }

    /// Takes the name of a variant without content, and gives its number.
    #[inline(never)]
    pub fn choice(&mut self, names: &[&str]) -> usize {
        // `{"name":null}` is the same.
        let (found, content) = self.tag(names);
        self.check_content(content, false);
        if content {
            self.close(b'}');
        }
        found
    }

    /// Takes the name of a variant, and gives its number. Says whether content follows, and then
    /// [`close`](Self::close) after it.
    #[inline(never)]
    pub fn tag(&mut self, names: &[&str]) -> (usize, bool) {
        let content = self.take(b'{');
        let name = self.string("the name of a variant");
        let found = self.find("variant", &name, names);
        if content {
            self.close(b':');
        }
        (found, content)
    }

    /// Checks that a variant has the content that it must have; one that has none may have `null`.
    #[inline(never)]
    pub fn check_content(&mut self, found: bool, expected: bool) {
        match (found, expected) {
            (true, false) if !self.null() => self.mismatch("unit variant"),
            (false, true) => self.refuse(format_args!("expected the variant's content")),
            _ => {}
        }
    }

    /// Takes the name of a variant with content up to the content, and gives its number.
    /// [`close`](Self::close) follows the content.
    #[inline(never)]
    pub fn variant(&mut self, names: &[&str]) -> usize {
        self.open(b'{', "an object with the name of a variant");
        let name = self.name();
        self.find("variant", &name, names)
    }
}
