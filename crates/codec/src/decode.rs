//! Reading.

use near_account_id::{AccountId, AccountIdRef};
use near_token::NearToken;

use crate::Error;

/// Bytes that are read as one value.
#[derive(Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
    error: Option<Error>,
}

impl<'a> Input<'a> {
    /// The start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, error: None }
    }

    /// Whether nothing is left to read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left to read.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    #[cold]
    #[inline(never)]
    fn fail(&mut self, error: Error) {
        self.rest = &[];
        self.error.get_or_insert(error);
    }

    /// What was just read is valid only if `valid`.
    #[inline(never)]
    pub fn require(&mut self, valid: bool) {
        if !valid {
            self.fail(Error::Invalid);
        }
    }

    /// Takes the next bytes, or none if there are not enough.
    #[inline(never)]
    fn take(&mut self, count: usize) -> &'a [u8] {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                taken
            }
            None => {
                self.fail(Error::TooShort);
                &[]
            }
        }
    }

    /// The first error so far.
    pub const fn error(&self) -> Option<Error> {
        self.error
    }

    /// Checks that everything was read, without any error.
    ///
    /// # Errors
    /// The first [`Error`].
    #[inline(never)]
    pub fn finish(&mut self) -> Result<(), Error> {
        if !self.rest.is_empty() {
            self.fail(Error::TooLong);
        }
        self.error.map_or(Ok(()), Err)
    }
}

/// A value that can be read from its encoding.
pub trait Decode: Sized {
    /// Reads the value. After an error it is any value of the type.
    fn decode(input: &mut Input<'_>) -> Self;

    /// Reads an array.
    fn decode_array<const N: usize>(input: &mut Input<'_>) -> [Self; N] {
        std::array::from_fn(|_| Self::decode(input))
    }

    /// Reads `count` values.
    fn decode_items(count: usize, input: &mut Input<'_>) -> Vec<Self> {
        // The number is anybody's word. Every item takes at least a byte.
        let mut items = Vec::with_capacity(count.min(4_096 / size_of::<Self>().max(1)));
        for _ in 0..count {
            items.push(Self::decode(input));
            if input.error.is_some() {
                break;
            }
        }
        items
    }
}

/// Reads a value from its encoding.
///
/// # Errors
/// When the bytes are not the encoding of a value of this type.
pub fn from_slice<T: Decode>(bytes: &[u8]) -> Result<T, Error> {
    let mut input = Input::new(bytes);
    let value = T::decode(&mut input);
    input.finish().map(|()| value)
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Decode for $number {
            #[inline(never)]
            fn decode(input: &mut Input<'_>) -> Self {
                match input.rest.split_first_chunk() {
                    Some((bytes, rest)) => {
                        input.rest = rest;
                        Self::from_le_bytes(*bytes)
                    }
                    None => {
                        input.fail(Error::TooShort);
                        0
                    }
                }
            }
        })*
    };
}

numbers!(u16 u32 u64 u128 i32);

impl Decode for u8 {
    #[inline(never)]
    fn decode(input: &mut Input<'_>) -> Self {
        match input.rest.split_first() {
            Some((byte, rest)) => {
                input.rest = rest;
                *byte
            }
            None => {
                input.fail(Error::TooShort);
                0
            }
        }
    }

    fn decode_array<const N: usize>(input: &mut Input<'_>) -> [Self; N] {
        input.take(N).first_chunk().copied().unwrap_or([0; N])
    }

    fn decode_items(count: usize, input: &mut Input<'_>) -> Vec<Self> {
        input.take(count).to_vec()
    }
}

impl Decode for bool {
    #[inline(never)]
    fn decode(input: &mut Input<'_>) -> Self {
        let found = u8::decode(input);
        input.require(found <= 1);
        found == 1
    }
}

/// Takes the bytes of a list of bytes.
#[inline(never)]
fn take_bytes<'a>(input: &mut Input<'a>) -> &'a [u8] {
    let count = u32::decode(input);
    input.take(count as usize)
}

fn take_text<'a>(input: &mut Input<'a>) -> &'a str {
    let bytes = take_bytes(input);
    if bytes.is_empty() {
        return "";
    }
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            input.fail(Error::Invalid);
            ""
        }
    }
}

impl Decode for String {
    #[inline(never)]
    fn decode(input: &mut Input<'_>) -> Self {
        take_text(input).into()
    }
}

/// Stands for an account id that is none.
const NOBODY: &AccountIdRef = AccountIdRef::new_or_panic("near");

impl Decode for AccountId {
    #[inline(never)]
    fn decode(input: &mut Input<'_>) -> Self {
        match AccountIdRef::new(take_text(input)) {
            Ok(account_id) => account_id.into(),
            Err(_) => {
                input.fail(Error::Invalid);
                NOBODY.into()
            }
        }
    }
}

impl Decode for NearToken {
    fn decode(input: &mut Input<'_>) -> Self {
        Self::from_yoctonear(Decode::decode(input))
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut Input<'_>) -> Self {
        let count = u32::decode(input) as usize;
        T::decode_items(count, input)
    }
}

impl<T: Decode, const N: usize> Decode for [T; N] {
    fn decode(input: &mut Input<'_>) -> Self {
        T::decode_array(input)
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Input<'_>) -> Self {
        bool::decode(input).then(|| T::decode(input))
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn decode(input: &mut Input<'_>) -> Self {
        (A::decode(input), B::decode(input))
    }
}
