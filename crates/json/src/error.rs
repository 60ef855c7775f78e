//! What is wrong with JSON that is read. Nothing can be wrong with JSON that is written.

use std::fmt::{self, Display};

use crate::Quoted;

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

    /// The error for a value that is not what was expected.
    #[cold]
    #[inline(never)]
    pub(crate) fn unexpected(found: Found<'_>, expected: &str) -> Self {
        match found {
            Found::Boolean(found) => {
                Self::new(format_args!("invalid type: boolean `{found}`, expected {expected}"))
            }
            Found::Natural(found) => {
                Self::new(format_args!("invalid type: integer `{found}`, expected {expected}"))
            }
            Found::Negative(found) => {
                Self::new(format_args!("invalid type: integer `{found}`, expected {expected}"))
            }
            Found::Text(found) => {
                let found = Quoted(found);
                Self::new(format_args!("invalid type: string {found}, expected {expected}"))
            }
            Found::Other(found) => {
                Self::new(format_args!("invalid type: {found}, expected {expected}"))
            }
        }
    }
}

/// A value that is not what was expected.
pub(crate) enum Found<'a> {
    Boolean(bool),
    Natural(u64),
    Negative(i64),
    Text(&'a str),
    Other(&'static str),
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl std::error::Error for Error {}

/// An error that does not occur. A type without values lets the compiler leave out every check for
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}

impl Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}
