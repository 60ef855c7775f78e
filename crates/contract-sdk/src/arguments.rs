//! Reading a method's arguments. Arguments that are wrong end the call.

use std::mem::ManuallyDrop;

use outlayer_codec::{Decode, Input};
use outlayer_json::{Error, Fields, FromJson, Never};

use crate::env;

/// A struct that is read from the arguments of a method. Other arguments are ignored.
pub trait FromArguments<'de> {
    /// Reads the struct.
    fn from_arguments(arguments: &mut Arguments<'de>) -> Self;
}

/// The arguments of a method: the fields of an object.
#[derive(Debug)]
pub struct Arguments<'de>(ManuallyDrop<Fields<'de>>);

impl<'de> Arguments<'de> {
    #[inline(never)]
    fn new(json: &'de [u8]) -> Self {
        Self(ManuallyDrop::new(or_end(Fields::new(json))))
    }

    /// The value of an argument. One that is missing is read as `null`.
    pub fn take<T: FromJson>(&mut self, name: &'static str) -> T {
        self.0.take(name)
    }

    #[inline(never)]
    fn finish(&mut self) {
        or_end(self.0.finish());
    }
}

fn or_end<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| end(&error))
}

#[cold]
#[inline(never)]
fn end(error: &Error) -> ! {
    env::panic_str(&format!("Failed to deserialize input from JSON. Error: `{error}`"))
}

/// Reads the arguments of a method from JSON, which must be one object.
///
/// # Errors
/// None. Arguments that are wrong end the call. The result has the form that near-sdk expects.
// Methods with the same arguments share this function.
#[inline(never)]
pub fn from_slice<'de, T: FromArguments<'de>>(json: &'de [u8]) -> Result<T, Never> {
    let mut arguments = Arguments::new(json);
    let value = T::from_arguments(&mut arguments);
    arguments.finish();
    Ok(value)
}

/// What near-sdk reads a method's arguments with where they are in borsh.
pub trait BorshDeserialize: Decode {
    /// Reads the arguments.
    ///
    /// # Errors
    /// None. Arguments that are wrong end the call. The result has the form that near-sdk expects.
    fn try_from_slice(bytes: &[u8]) -> Result<Self, Never> {
        let mut input = Input::new(bytes);
        let value = Self::decode(&mut input);
        if let Err(error) = input.finish() {
            end_borsh(error);
        }
        Ok(value)
    }
}

impl<T: Decode> BorshDeserialize for T {}

#[cold]
#[inline(never)]
fn end_borsh(error: outlayer_codec::Error) -> ! {
    env::panic_str(&format!("Failed to deserialize input from Borsh. Error: `{error}`"))
}
