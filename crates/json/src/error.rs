//! What is wrong with JSON that is read. Nothing can be wrong with JSON that is written.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

/// Why a value cannot be read from JSON: what was found, what was expected, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Text>);

/// Behind a second pointer, so that a result with an [`Error`] is no longer than one word more.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text(Box<str>);

impl Error {
    #[cold]
    #[inline(never)]
    pub(crate) fn new(text: fmt::Arguments<'_>) -> Self {
        Self(Box::new(Text(text.to_string().into())))
    }

    #[cold]
    #[inline(never)]
    fn unexpected(what: &str, found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        // `Unexpected` can be displayed, but that would bring floating-point numbers along.
        match found {
            Unexpected::Bool(found) => {
                Self::new(format_args!("{what}: boolean `{found}`, expected {expected}"))
            }
            Unexpected::Unsigned(found) => {
                Self::new(format_args!("{what}: integer `{found}`, expected {expected}"))
            }
            Unexpected::Signed(found) => {
                Self::new(format_args!("{what}: integer `{found}`, expected {expected}"))
            }
            Unexpected::Str(found) => {
                Self::new(format_args!("{what}: string {found:?}, expected {expected}"))
            }
            found => {
                let found = match found {
                    Unexpected::Float(_) => "floating-point number",
                    Unexpected::Unit => "null",
                    Unexpected::Seq => "sequence",
                    Unexpected::Map => "map",
                    Unexpected::Option => "Option value",
                    Unexpected::NewtypeStruct => "newtype struct",
                    Unexpected::Enum => "enum",
                    Unexpected::UnitVariant => "unit variant",
                    Unexpected::NewtypeVariant => "newtype variant",
                    Unexpected::TupleVariant => "tuple variant",
                    Unexpected::StructVariant => "struct variant",
                    Unexpected::Other(other) => other,
                    _ => "another type",
                };
                Self::new(format_args!("{what}: {found}, expected {expected}"))
            }
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: Display>(text: T) -> Self {
        Self::new(format_args!("{text}"))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unexpected("invalid type", found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unexpected("invalid value", found, expected)
    }
}

/// An error that does not occur. A type without values lets the compiler leave out
/// every check for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}

impl Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}
