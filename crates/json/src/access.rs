//! The items of arrays and objects, and the variants of enums, as serde asks for them.

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error as _, Expected, MapAccess, SeqAccess, Unexpected,
        VariantAccess, Visitor,
    },
};

use crate::{Error, Reader};

/// The items of an array or object whose opening bracket was taken.
pub(crate) struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    close: u8,
    first: bool,
}

impl<'a, 'de> Items<'a, 'de> {
    pub(crate) fn new(reader: &'a mut Reader<'de>, close: u8) -> Self {
        Self { reader, close, first: true }
    }

    fn another(&mut self) -> Result<bool, Error> {
        let another = self.reader.another(self.close, self.first);
        self.first = false;
        another
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.another()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        if self.another()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.reader.require(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

/// The value of an enum: the name of a variant, or an object with that name and its content.
pub(crate) struct Variant<'a, 'de> {
    pub(crate) reader: &'a mut Reader<'de>,
    pub(crate) object: bool,
}

impl Variant<'_, '_> {
    /// Checks that the variant has the content that it is expected to have.
    fn check_content(&self, expected: &dyn Expected) -> Result<(), Error> {
        if self.object {
            return Ok(());
        }
        Err(Error::invalid_type(Unexpected::UnitVariant, expected))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Error> {
        let name = seed.deserialize(&mut *self.reader)?;
        if self.object {
            self.reader.require(b':')?;
        }
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.object { self.reader.unit(&"unit variant") } else { Ok(()) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.check_content(&"newtype variant")?;
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.check_content(&"tuple variant")?;
        self.reader.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.check_content(&"struct variant")?;
        self.reader.deserialize_map(visitor)
    }
}
