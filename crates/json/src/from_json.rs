//! Reading: from JSON to values.

use near_account_id::{AccountId, AccountIdRef};
use near_token::NearToken;

use crate::{Quoted, Reader};

/// A value that can be read from JSON.
pub trait FromJson: Sized {
    /// Reads the value. After an error it is any value of the type.
    fn read(reader: &mut Reader<'_>) -> Self;
}

macro_rules! naturals {
    ($($number:ty)*) => {
        $(impl FromJson for $number {
            fn read(reader: &mut Reader<'_>) -> Self {
                let found = reader.natural(Self::MAX.into(), stringify!($number));
                Self::try_from(found).unwrap_or_default()
            }
        })*
    };
}

naturals!(u8 u16 u32 u64);

impl FromJson for i32 {
    fn read(reader: &mut Reader<'_>) -> Self {
        let found = reader.integer(Self::MIN.into(), Self::MAX.into(), "i32");
        Self::try_from(found).unwrap_or_default()
    }
}

impl FromJson for bool {
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.boolean()
    }
}

impl FromJson for String {
    #[inline(never)]
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.string("a string").into_owned()
    }
}

/// Stands for an account id that is none.
const NOBODY: &AccountIdRef = AccountIdRef::new_or_panic("near");

impl FromJson for AccountId {
    #[inline(never)]
    fn read(reader: &mut Reader<'_>) -> Self {
        let text = reader.string("a string");
        match AccountIdRef::new(&*text) {
            Ok(account_id) => account_id.into(),
            Err(error) => {
                // The error itself also shows a character, for which it needs all that `Quoted`
                // spares.
                let reason = error.kind();
                reader.refuse(format_args!("invalid value: {}, {reason}", Quoted(&text)));
                NOBODY.into()
            }
        }
    }
}

impl FromJson for NearToken {
    #[inline(never)]
    fn read(reader: &mut Reader<'_>) -> Self {
        let text = reader.string("a string");
        let amount = text.parse().unwrap_or_else(|error| {
            reader.refuse(format_args!("{error}"));
            0
        });
        Self::from_yoctonear(amount)
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn read(reader: &mut Reader<'_>) -> Self {
        if reader.null() { None } else { Some(T::read(reader)) }
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.open(b'[', "a sequence");
        let mut items = Vec::new();
        while reader.item(b']', items.is_empty()) {
            items.push(T::read(reader));
        }
        reader.close(b']');
        items
    }
}

impl<T: FromJson + Copy + Default, const N: usize> FromJson for [T; N] {
    fn read(reader: &mut Reader<'_>) -> Self {
        let items = Vec::read(reader);
        <[T; N]>::try_from(&items[..]).unwrap_or_else(|_| {
            let found = items.len();
            reader.refuse(format_args!("invalid length {found}, expected an array of length {N}"));
            [T::default(); N]
        })
    }
}

impl<A: FromJson, B: FromJson> FromJson for (A, B) {
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.open(b'[', "a tuple of size 2");
        let a = A::read(reader);
        if !reader.item(b']', false) {
            reader.refuse(format_args!("invalid length 1, expected a tuple of size 2"));
        }
        let pair = (a, B::read(reader));
        reader.close(b']');
        pair
    }
}
