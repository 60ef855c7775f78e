//! Writing: from values to the bytes of JSON.

use near_account_id::AccountId;
use near_gas::NearGas;
use near_token::NearToken;

use crate::text::plain;

/// A value that JSON can express.
pub trait ToJson {
    /// Writes the value.
    fn write(&self, writer: &mut Writer);
}

/// Writes values as JSON without white space.
#[derive(Debug, Default)]
pub struct Writer {
    json: Vec<u8>,
}

impl Writer {
    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.json
    }

    /// What was written, as text.
    pub fn into_string(self) -> String {
        // What is written is text, with ASCII around it.
        String::from_utf8(self.json).unwrap_or_default()
    }

    /// Writes what is JSON already, or a part of it.
    #[inline(never)]
    pub fn raw(&mut self, text: &str) {
        self.json.extend_from_slice(text.as_bytes());
    }

    /// Room for so many bytes, which whoever asks for it fills with JSON or a part of it.
    #[inline(never)]
    pub fn space(&mut self, bytes: usize) -> &mut [u8] {
        let start = self.json.len();
        self.json.resize(start + bytes, b' ');
        self.json.get_mut(start..).unwrap_or_default()
    }

    #[inline(never)]
    fn natural(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            // The remainder is a digit.
            #[allow(clippy::cast_possible_truncation)]
            let digit = (value % 10) as u8;
            digits[start] = b'0' + digit;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.json.extend_from_slice(&digits[start..]);
    }

    /// Writes a string.
    #[inline(never)]
    pub fn text(&mut self, text: &str) {
        self.json.reserve(text.len() + 2);
        self.json.push(b'"');
        let mut rest = text.as_bytes();
        loop {
            let (run, escaped) = rest.split_at(plain(rest));
            self.json.extend_from_slice(run);
            let [byte, after @ ..] = escaped else { break };
            self.escape(*byte);
            rest = after;
        }
        self.json.push(b'"');
    }

    fn escape(&mut self, byte: u8) {
        let short = match byte {
            b'"' | b'\\' => byte,
            0x8 => b'b',
            0x9 => b't',
            0xa => b'n',
            0xc => b'f',
            0xd => b'r',
            _ => {
                let digit = b"0123456789abcdef"[usize::from(byte & 15)];
                self.json.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit]);
                return;
            }
        };
        self.json.extend_from_slice(&[b'\\', short]);
    }

    /// Writes the comma before any item but the first.
    #[inline(never)]
    fn separate(&mut self) {
        if !matches!(self.json.last(), Some(b'[' | b'{')) {
            self.json.push(b',');
        }
    }

    /// Opens an array or object.
    #[inline(never)]
    pub fn open(&mut self, bracket: u8) {
        self.json.push(bracket);
    }

    /// Closes an array or object.
    #[inline(never)]
    pub fn close(&mut self, bracket: u8) {
        self.json.push(bracket);
    }

    /// Writes the name of a field.
    #[inline(never)]
    pub fn name(&mut self, name: &str) {
        self.separate();
        self.text(name);
        self.json.push(b':');
    }

    /// Writes a field.
    #[inline(never)]
    pub fn field(&mut self, name: &str, value: &dyn ToJson) {
        self.name(name);
        value.write(self);
    }

    /// Writes the start of a variant that has content.
    #[inline(never)]
    pub fn variant(&mut self, name: &str) {
        self.json.push(b'{');
        self.name(name);
    }
}

macro_rules! naturals {
    ($($number:ty)*) => {
        $(impl ToJson for $number {
            fn write(&self, writer: &mut Writer) {
                writer.natural((*self).into());
            }
        })*
    };
}

naturals!(u8 u16 u32 u64);

impl ToJson for i32 {
    fn write(&self, writer: &mut Writer) {
        if *self < 0 {
            writer.json.push(b'-');
        }
        writer.natural(self.unsigned_abs().into());
    }
}

impl ToJson for bool {
    fn write(&self, writer: &mut Writer) {
        writer.raw(if *self { "true" } else { "false" });
    }
}

impl ToJson for () {
    fn write(&self, writer: &mut Writer) {
        writer.raw("null");
    }
}

impl ToJson for str {
    fn write(&self, writer: &mut Writer) {
        writer.text(self);
    }
}

impl ToJson for String {
    fn write(&self, writer: &mut Writer) {
        writer.text(self);
    }
}

impl ToJson for AccountId {
    fn write(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }
}

impl ToJson for NearToken {
    fn write(&self, writer: &mut Writer) {
        writer.text(&self.as_yoctonear().to_string());
    }
}

impl ToJson for NearGas {
    fn write(&self, writer: &mut Writer) {
        writer.text(&self.as_gas().to_string());
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn write(&self, writer: &mut Writer) {
        match self {
            Some(value) => value.write(writer),
            None => ().write(writer),
        }
    }
}

impl<T: ToJson> ToJson for [T] {
    fn write(&self, writer: &mut Writer) {
        writer.open(b'[');
        for item in self {
            writer.separate();
            item.write(writer);
        }
        writer.close(b']');
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn write(&self, writer: &mut Writer) {
        self.as_slice().write(writer);
    }
}

impl<T: ToJson, const N: usize> ToJson for [T; N] {
    fn write(&self, writer: &mut Writer) {
        self.as_slice().write(writer);
    }
}

impl<T: ToJson + ?Sized> ToJson for &T {
    fn write(&self, writer: &mut Writer) {
        (**self).write(writer);
    }
}

impl<T: ToJson + ?Sized> ToJson for Box<T> {
    fn write(&self, writer: &mut Writer) {
        (**self).write(writer);
    }
}

impl<A: ToJson, B: ToJson> ToJson for (A, B) {
    fn write(&self, writer: &mut Writer) {
        writer.open(b'[');
        self.0.write(writer);
        writer.separate();
        self.1.write(writer);
        writer.close(b']');
    }
}
