//! Reading an object's fields by name.
//!
//! What serde derives for a struct has a loop over the object's fields, which looks for each in
//! turn and remembers what it has found. A contract has a struct for the arguments of each method,
//! and its methods would share nothing. Here a struct is no more than a call for each of its
//! fields. Fields that come in the order in which they are asked for are read as they come; those
//! that come earlier are passed over, and read when they are asked for.

use std::borrow::Cow;

use serde::{Deserialize, de::Error as _};

use crate::{Error, Reader};

/// A struct that is read from the fields of an object. Other fields of the object are ignored.
pub trait FromObject<'de>: Sized {
    /// Reads the struct.
    ///
    /// # Errors
    /// When a field is missing or cannot be read.
    fn from_fields(fields: &mut Fields<'de>) -> Result<Self, Error>;
}

/// The fields of an object.
#[derive(Debug)]
pub struct Fields<'de> {
    /// Stands behind the last field that was read or passed over.
    reader: Reader<'de>,
    /// The names of those fields, and where their values start.
    passed: Vec<(Cow<'de, str>, usize)>,
    /// Reads the value that is asked for.
    value: Reader<'de>,
    /// Where that value was found.
    found: Found,
}

/// Where the value of a field was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Behind all that were read or passed over.
    Next,
    /// Among those that were passed over.
    Before,
    /// Nowhere.
    Absent,
}

impl<'de> Fields<'de> {
    /// The fields of the object that `json` is.
    ///
    /// # Errors
    /// When it is not an object.
    pub fn new(json: &'de [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(json)?;
        match reader.open(b'{', &"an object") {
            Ok(()) => {
                let value = reader.at(0);
                Ok(Self { reader, passed: Vec::new(), value, found: Found::Absent })
            }
            Err(error) => Err(reader.locate(error)),
        }
    }

    /// The value of a field. A field that is missing is read as `null`.
    ///
    /// # Errors
    /// When the value cannot be read, or the field is missing and cannot be `null`, or it is there
    /// twice.
    pub fn take<T: Deserialize<'de>>(&mut self, name: &'static str) -> Result<T, Error> {
        self.find(name)?;
        match T::deserialize(&mut self.value) {
            Ok(value) => {
                self.taken();
                Ok(value)
            }
            Err(error) => Err(self.wrong(name, error)),
        }
    }

    /// Checks that what remains is the rest of an object, and that nothing follows it.
    ///
    /// # Errors
    /// When it is not, or a field is there twice.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.pass(None)
            .and_then(|_| self.reader.finish())
            .map_err(|error| self.reader.locate(error))
    }

    /// Passes over fields until `name` comes. Its value is not passed over.
    fn pass(&mut self, name: Option<&'static str>) -> Result<bool, Error> {
        while self.reader.another(b'}', self.passed.is_empty())? {
            let next = self.reader.text()?;
            self.reader.require(b':')?;
            if self.passed.iter().any(|(passed, _)| *passed == next) {
                return Err(Error::new(format_args!("duplicate field `{next}`")));
            }
            let found = name == Some(&*next);
            self.passed.push((next, self.reader.place()));
            if found {
                return Ok(true);
            }
            self.reader.skip()?;
        }
        if name.is_none() {
            self.reader.require(b'}')?;
        }
        Ok(false)
    }

    #[inline(never)]
    fn find(&mut self, name: &'static str) -> Result<(), Error> {
        if let Some((_, place)) = self.passed.iter().find(|(passed, _)| *passed == name) {
            self.value = self.reader.at(*place);
            self.found = Found::Before;
            return Ok(());
        }
        (self.value, self.found) = match self.pass(Some(name)) {
            Ok(true) => (self.reader.at(self.reader.place()), Found::Next),
            Ok(false) => (Reader::new(b"null")?, Found::Absent),
            Err(error) => return Err(self.reader.locate(error)),
        };
        Ok(())
    }

    #[inline(never)]
    fn taken(&mut self) {
        if self.found == Found::Next {
            self.reader = self.value.at(self.value.place());
        }
    }

    #[cold]
    #[inline(never)]
    fn wrong(&self, name: &'static str, error: Error) -> Error {
        match self.found {
            Found::Absent => self.reader.locate(Error::missing_field(name)),
            Found::Next | Found::Before => self.value.locate(error),
        }
    }
}

/// Reads a struct from JSON, which must be one object.
///
/// # Errors
/// An [`Error`] that says what was found, what was expected, and where.
pub fn object_from_slice<'de, T: FromObject<'de>>(json: &'de [u8]) -> Result<T, Error> {
    let mut fields = Fields::new(json)?;
    let value = T::from_fields(&mut fields)?;
    fields.finish()?;
    Ok(value)
}
