//! Writing: from serde's calls to the bytes of JSON.

use serde::{
    Serialize, Serializer,
    ser::{
        Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
        SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    },
};

use crate::{Never, text::plain};

/// Writes values as JSON without white space.
#[derive(Debug, Default)]
pub struct Writer {
    json: Vec<u8>,
}

// The functions in this block are not generic, and so exist once.
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

    #[inline(never)]
    fn raw(&mut self, text: &str) {
        self.json.extend_from_slice(text.as_bytes());
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

    #[inline(never)]
    fn integer(&mut self, value: i64) {
        if value < 0 {
            self.json.push(b'-');
        }
        self.natural(value.unsigned_abs());
    }

    #[inline(never)]
    fn text(&mut self, text: &str) {
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

    /// Writes the name of a field.
    #[inline(never)]
    fn name(&mut self, name: &str) {
        self.separate();
        self.text(name);
        self.json.push(b':');
    }

    /// Ends the key of a map, which was written from `start` on.
    #[inline(never)]
    fn end_key(&mut self, start: usize) -> Result<(), Never> {
        if self.json.get(start) != Some(&b'"') {
            unwritable("the keys of a map must be strings");
        }
        self.json.push(b':');
        Ok(())
    }

    /// Writes the start of a variant that has content.
    #[inline(never)]
    fn variant(&mut self, name: &str, open: &str) {
        self.json.push(b'{');
        self.name(name);
        self.raw(open);
    }
}

/// Panics: JSON cannot express the value.
#[cold]
#[inline(never)]
fn unwritable(why: &'static str) -> ! {
    match Never::custom(why) {}
}

/// An array or object that is being written.
#[derive(Debug)]
pub struct Compound<'a> {
    writer: &'a mut Writer,
    /// What ends it.
    close: &'static str,
}

impl Compound<'_> {
    fn end(self) {
        self.writer.raw(self.close);
    }
}

macro_rules! integers {
    ($($method:ident $value:ty, $write:ident;)+) => {
        $(fn $method(self, value: $value) -> Result<(), Never> {
            self.$write(value.into());
            Ok(())
        })+
    };
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    integers! {
        serialize_u8 u8, natural;
        serialize_u16 u16, natural;
        serialize_u32 u32, natural;
        serialize_u64 u64, natural;
        serialize_i8 i8, integer;
        serialize_i16 i16, integer;
        serialize_i32 i32, integer;
        serialize_i64 i64, integer;
    }

    fn serialize_bool(self, value: bool) -> Result<(), Never> {
        self.raw(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_f32(self, _: f32) -> Result<(), Never> {
        unwritable("there are no floating-point numbers")
    }

    fn serialize_f64(self, _: f64) -> Result<(), Never> {
        unwritable("there are no floating-point numbers")
    }

    fn serialize_char(self, value: char) -> Result<(), Never> {
        self.text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Never> {
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<(), Never> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Never> {
        self.raw("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Never> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<(), Never> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        self.variant(name, "");
        value.serialize(&mut *self)?;
        self.raw("}");
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>, Never> {
        self.raw("[");
        Ok(Compound { writer: self, close: "]" })
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'a>, Never> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, Never> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Never> {
        self.variant(name, "[");
        Ok(Compound { writer: self, close: "]}" })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a>, Never> {
        self.raw("{");
        Ok(Compound { writer: self, close: "}" })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, Never> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Never> {
        self.variant(name, "{");
        Ok(Compound { writer: self, close: "}}" })
    }
}

/// What follows an item's comma is the item.
macro_rules! items {
    ($($interface:ident $method:ident,)+) => {
        $(impl $interface for Compound<'_> {
            type Ok = ();
            type Error = Never;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
                self.writer.separate();
                value.serialize(&mut *self.writer)
            }

            fn end(self) -> Result<(), Never> {
                Compound::end(self);
                Ok(())
            }
        })+
    };
}

items! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

macro_rules! fields {
    ($($interface:ident,)+) => {
        $(impl $interface for Compound<'_> {
            type Ok = ();
            type Error = Never;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Never> {
                self.writer.name(name);
                value.serialize(&mut *self.writer)
            }

            fn end(self) -> Result<(), Never> {
                Compound::end(self);
                Ok(())
            }
        })+
    };
}

fields! {
    SerializeStruct,
    SerializeStructVariant,
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Never> {
        self.writer.separate();
        let start = self.writer.json.len();
        key.serialize(&mut *self.writer)?;
        self.writer.end_key(start)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Never> {
        Compound::end(self);
        Ok(())
    }
}
