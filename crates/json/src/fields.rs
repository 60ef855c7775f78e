//! Reading an object's fields by name.
//!
//! What serde derives for a struct has a loop over the object's fields, which looks for each in
//! turn and remembers what it has found. A contract has a struct for the arguments of each method,
//! and its methods would share nothing. Here a struct is no more than a call for each of its
//! fields. Fields that come in the order in which they are asked for are read as they come; those
//! that come earlier are passed over, and read when they are asked for.

use std::borrow::Cow;

use crate::{Error, FromJson, Reader};

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
    /// When the bytes are not UTF-8.
    pub fn new(json: &'de [u8]) -> Result<Self, Error> {
        Reader::new(json).map(Self::of)
    }

    /// The fields of the object that comes next in `reader`, which goes on behind it once they are
    /// [closed](Self::close).
    pub(crate) fn within(reader: &mut Reader<'de>) -> Self {
        Self::of(std::mem::replace(reader, Reader::null_value()))
    }

    #[inline(never)]
    fn of(mut reader: Reader<'de>) -> Self {
        reader.open(b'{', "an object");
        let value = reader.at(0);
        Self { reader, passed: Vec::new(), value, found: Found::Absent }
    }

    /// Passes over what remains of the object, and lets the reader of what is around it go on.
    #[inline(never)]
    pub fn close(mut self, around: &mut Reader<'de>) {
        self.pass(None);
        *around = self.reader;
    }

    /// The value of a field. A field that is missing is read as `null`. A value that cannot be read
    /// is an error of [`finish`](Self::finish), and so is a field that is there twice.
    pub fn take<T: FromJson>(&mut self, name: &'static str) -> T {
        let value = T::read(self.find(name));
        self.taken(name);
        value
    }

    /// Checks that every field could be read, that what remains is the rest of an object, and that
    /// nothing follows it.
    ///
    /// # Errors
    /// The first error.
    #[inline(never)]
    pub fn finish(&mut self) -> Result<(), Error> {
        self.pass(None);
        self.reader.finish()
    }

    /// Passes over fields until `name` comes. Its value is not passed over.
    fn pass(&mut self, name: Option<&'static str>) -> bool {
        while self.reader.item(b'}', self.passed.is_empty()) {
            let next = self.reader.name();
            if self.passed.iter().any(|(passed, _)| *passed == next) {
                self.reader.refuse(format_args!("duplicate field `{next}`"));
                return false;
            }
            let found = name == Some(&*next);
            self.passed.push((next, self.reader.place()));
            if found {
                return true;
            }
            self.reader.pass();
        }
        if name.is_none() {
            self.reader.close(b'}');
        }
        false
    }

    /// Where to read a field.
    #[inline(never)]
    fn find(&mut self, name: &'static str) -> &mut Reader<'de> {
        let before = self.passed.iter().find(|(passed, _)| *passed == name);
        let (place, found) = if let Some((_, place)) = before {
            (Some(*place), Found::Before)
        } else if self.pass(Some(name)) {
            (Some(self.reader.place()), Found::Next)
        } else {
            (None, Found::Absent)
        };
        self.found = found;
        self.value = place.map_or(Reader::null_value(), |place| self.reader.at(place));
        &mut self.value
    }

    /// A field was read.
    #[inline(never)]
    fn taken(&mut self, name: &'static str) {
        match (self.value.take_error(), self.found) {
            (None, Found::Next) => self.reader = self.value.at(self.value.place()),
            (None, Found::Before | Found::Absent) => {}
            (Some(_), Found::Absent) => {
                self.reader.refuse(format_args!("missing field `{name}`"));
            }
            (Some(error), Found::Next | Found::Before) => self.reader.end(error),
        }
    }
}
