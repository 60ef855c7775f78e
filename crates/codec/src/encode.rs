//! Writing.

use near_account_id::AccountId;
use near_token::NearToken;

/// A value that has an encoding.
pub trait Encode {
    /// Writes the value.
    fn encode(&self, bytes: &mut Vec<u8>);

    /// Writes the items of a list, without their number.
    fn encode_items(items: &[Self], bytes: &mut Vec<u8>)
    where
        Self: Sized,
    {
        items.iter().for_each(|item| item.encode(bytes));
    }
}

/// The encoding of a value.
pub fn to_vec<T: Encode>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_024);
    value.encode(&mut bytes);
    bytes
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Encode for $number {
            #[inline(never)]
            fn encode(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        })*
    };
}

numbers!(u16 u32 u64 u128 i32);

impl Encode for u8 {
    #[inline(never)]
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }

    fn encode_items(items: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(items);
    }
}

impl Encode for bool {
    fn encode(&self, bytes: &mut Vec<u8>) {
        u8::from(*self).encode(bytes);
    }
}

/// Writes the number of a list's items. No list has more than borsh can count.
#[inline(never)]
fn put_count(count: usize, bytes: &mut Vec<u8>) {
    u32::try_from(count).unwrap_or(u32::MAX).encode(bytes);
}

#[inline(never)]
fn put_text(text: &[u8], bytes: &mut Vec<u8>) {
    put_count(text.len(), bytes);
    bytes.extend_from_slice(text);
}

impl Encode for str {
    fn encode(&self, bytes: &mut Vec<u8>) {
        put_text(self.as_bytes(), bytes);
    }
}

impl Encode for String {
    fn encode(&self, bytes: &mut Vec<u8>) {
        put_text(self.as_bytes(), bytes);
    }
}

impl Encode for AccountId {
    fn encode(&self, bytes: &mut Vec<u8>) {
        put_text(self.as_bytes(), bytes);
    }
}

impl Encode for NearToken {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.as_yoctonear().encode(bytes);
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, bytes: &mut Vec<u8>) {
        put_count(self.len(), bytes);
        T::encode_items(self, bytes);
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.as_slice().encode(bytes);
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self, bytes: &mut Vec<u8>) {
        T::encode_items(self, bytes);
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.is_some().encode(bytes);
        if let Some(value) = self {
            value.encode(bytes);
        }
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, bytes: &mut Vec<u8>) {
        (**self).encode(bytes);
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.0.encode(bytes);
        self.1.encode(bytes);
    }
}
