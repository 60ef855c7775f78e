//! Reading structs from the fields of an object.
//!
//! What serde derives for a struct is a function of its own, which is 2 KB of the contract's Wasm
//! for a struct of ten fields. Here a struct lends the places of its fields, and one function fills
//! them.

use std::fmt;

use near_account_id::AccountId;
use near_token::NearToken;
use outlayer_json::{FromJson, Reader};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Unexpected, Visitor,
};

use crate::{
    Bytes, CancelBy, CodeSource, Compute, EngineVersion, GuestKind, Hash32, HttpAccess, OnRefusal,
    ResourceLimits, ResponseFormat, SecretRef,
    config::{Prices, RequestBounds},
    json::u64_string,
    window::{SPEEDS, Speed, Window},
};

/// A place that takes the value of a field.
pub(crate) enum Place<'a> {
    Bool(&'a mut bool),
    U8(&'a mut u8),
    U16(&'a mut u16),
    U32(&'a mut u32),
    U64(&'a mut u64),
    /// A number, or its decimal digits as a string.
    Decimal(&'a mut u64),
    Hash(&'a mut Hash32),
    MaybeHash(&'a mut Option<Hash32>),
    MaybeText(&'a mut Option<String>),
    Token(&'a mut NearToken),
    MaybeToken(&'a mut Option<NearToken>),
    MaybeAccount(&'a mut Option<AccountId>),
    Texts(&'a mut Vec<String>),
    Variables(&'a mut Vec<(String, String)>),
    Bytes(&'a mut Bytes),
    Code(&'a mut CodeSource),
    Kind(&'a mut Option<GuestKind>),
    CancelBy(&'a mut CancelBy),
    OnRefusal(&'a mut OnRefusal),
    Format(&'a mut ResponseFormat),
    Compute(&'a mut Compute),
    Limits(&'a mut ResourceLimits),
    MaybeHttp(&'a mut Option<HttpAccess>),
    Text(&'a mut String),
    Secrets(&'a mut Vec<SecretRef>),
    Engine(&'a mut EngineVersion),
    Prices(&'a mut Prices),
    Bounds(&'a mut RequestBounds),
    Window(&'a mut Window),
    Speeds(&'a mut [Speed; SPEEDS]),
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        fn fill<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
            place: &mut T,
            deserializer: D,
        ) -> Result<(), D::Error> {
            *place = T::deserialize(deserializer)?;
            Ok(())
        }
        match self {
            Self::Bool(place) => fill(place, deserializer),
            Self::U8(place) => fill(place, deserializer),
            Self::U16(place) => fill(place, deserializer),
            Self::U32(place) => fill(place, deserializer),
            Self::U64(place) => fill(place, deserializer),
            Self::Decimal(place) => {
                *place = u64_string::deserialize(deserializer)?;
                Ok(())
            }
            Self::Hash(place) => fill(place, deserializer),
            Self::MaybeHash(place) => fill(place, deserializer),
            Self::MaybeText(place) => fill(place, deserializer),
            Self::Token(place) => fill(place, deserializer),
            Self::MaybeToken(place) => fill(place, deserializer),
            Self::MaybeAccount(place) => fill(place, deserializer),
            Self::Texts(place) => fill(place, deserializer),
            Self::Variables(place) => fill(place, deserializer),
            Self::Bytes(place) => fill(place, deserializer),
            Self::Code(place) => fill(place, deserializer),
            Self::Kind(place) => fill(place, deserializer),
            Self::CancelBy(place) => fill(place, deserializer),
            Self::OnRefusal(place) => fill(place, deserializer),
            Self::Format(place) => fill(place, deserializer),
            Self::Compute(place) => fill(place, deserializer),
            Self::Limits(place) => fill(place, deserializer),
            Self::MaybeHttp(place) => fill(place, deserializer),
            Self::Text(place) => fill(place, deserializer),
            Self::Secrets(place) => fill(place, deserializer),
            Self::Engine(place) => fill(place, deserializer),
            Self::Prices(place) => fill(place, deserializer),
            Self::Bounds(place) => fill(place, deserializer),
            Self::Window(place) => fill(place, deserializer),
            Self::Speeds(place) => fill(place, deserializer),
        }
    }
}

impl Place<'_> {
    fn read(self, reader: &mut Reader<'_>) {
        match self {
            Self::Bool(place) => *place = FromJson::read(reader),
            Self::U8(place) => *place = FromJson::read(reader),
            Self::U16(place) => *place = FromJson::read(reader),
            Self::U32(place) => *place = FromJson::read(reader),
            Self::U64(place) => *place = FromJson::read(reader),
            Self::Decimal(place) => *place = u64_string::read_json(reader),
            Self::Hash(place) => *place = FromJson::read(reader),
            Self::MaybeHash(place) => *place = FromJson::read(reader),
            Self::MaybeText(place) => *place = FromJson::read(reader),
            Self::Token(place) => *place = FromJson::read(reader),
            Self::MaybeToken(place) => *place = FromJson::read(reader),
            Self::MaybeAccount(place) => *place = FromJson::read(reader),
            Self::Texts(place) => *place = FromJson::read(reader),
            Self::Variables(place) => *place = FromJson::read(reader),
            Self::Bytes(place) => *place = FromJson::read(reader),
            Self::Code(place) => *place = FromJson::read(reader),
            Self::Kind(place) => *place = FromJson::read(reader),
            Self::CancelBy(place) => *place = FromJson::read(reader),
            Self::OnRefusal(place) => *place = FromJson::read(reader),
            Self::Format(place) => *place = FromJson::read(reader),
            Self::Compute(place) => *place = FromJson::read(reader),
            Self::Limits(place) => *place = FromJson::read(reader),
            Self::MaybeHttp(place) => *place = FromJson::read(reader),
            Self::Text(place) => *place = FromJson::read(reader),
            Self::Secrets(place) => *place = FromJson::read(reader),
            Self::Engine(place) => *place = FromJson::read(reader),
            Self::Prices(place) => *place = FromJson::read(reader),
            Self::Bounds(place) => *place = FromJson::read(reader),
            Self::Window(place) => *place = FromJson::read(reader),
            Self::Speeds(place) => *place = FromJson::read(reader),
        }
    }
}

/// How a struct is read.
pub(crate) struct Shape {
    /// The name of the struct, for errors.
    pub(crate) name: &'static str,
    /// The names of its fields. Those that must be given come first.
    pub(crate) fields: &'static [&'static str],
    /// How many fields must be given. The others keep the value that they have.
    pub(crate) required: usize,
    /// Whether other fields are refused. Else they are ignored.
    pub(crate) only: bool,
}

/// Fills the places of a struct's fields, which come in the order of [`Shape::fields`].
pub(crate) fn fill<'de, D: Deserializer<'de>>(
    deserializer: D,
    shape: &'static Shape,
    places: &mut [Option<Place<'_>>],
) -> Result<(), D::Error> {
    deserializer.deserialize_struct(shape.name, shape.fields, Object { shape, places })
}

/// Fills the places as [`fill`] does, from the contract's own reader.
#[inline(never)]
pub(crate) fn read(
    reader: &mut Reader<'_>,
    shape: &'static Shape,
    places: &mut [Option<Place<'_>>],
) {
    reader.open(b'{', shape.name);
    let mut first = true;
    while reader.item(b'}', first) {
        first = false;
        let name = reader.name();
        if !shape.only && !shape.fields.contains(&&*name) {
            reader.pass();
            continue;
        }
        let number = reader.find("field", &name, shape.fields);
        match places.get_mut(number).and_then(Option::take) {
            Some(place) => place.read(reader),
            None => reader.refuse(format_args!("duplicate field `{name}`")),
        }
    }
    reader.close(b'}');
    let missing = places.iter().take(shape.required).position(Option::is_some);
    if let Some(name) = missing.and_then(|number| shape.fields.get(number)) {
        reader.refuse(format_args!("missing field `{name}`"));
    }
}

struct Object<'a, 'p> {
    shape: &'static Shape,
    places: &'a mut [Option<Place<'p>>],
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("struct ")?;
        f.write_str(self.shape.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { shape, places } = self;
        while let Some(number) = map.next_key_seed(Name(shape))? {
            match places.get_mut(number).map(Option::take) {
                Some(Some(place)) => map.next_value_seed(place)?,
                Some(None) => {
                    let name = shape.fields.get(number).copied().unwrap_or_default();
                    return Err(A::Error::duplicate_field(name));
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let missing = places.iter().take(shape.required).position(Option::is_some);
        match missing.and_then(|number| shape.fields.get(number).copied()) {
            Some(name) => Err(A::Error::missing_field(name)),
            None => Ok(()),
        }
    }
}

/// Finds the number of a field by its name.
struct Name(&'static Shape);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("field identifier")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let Shape { fields, only, .. } = *self.0;
        match fields.iter().position(|field| *field == name) {
            Some(number) => Ok(number),
            None if only => Err(E::unknown_field(name, fields)),
            None => Ok(fields.len()),
        }
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<usize, E> {
        match std::str::from_utf8(name) {
            Ok(name) => self.visit_str(name),
            Err(_) => Err(E::invalid_type(Unexpected::Bytes(name), &self)),
        }
    }
}

/// Implements `Deserialize` for a struct: those of its fields that must be given, then those that
/// keep the value which the expression has for them.
macro_rules! read_by_fields {
    (
        $name:ident = $initial:expr, only: $only:expr,
        required: { $($field:ident: $kind:ident,)* },
        optional: { $($other:ident: $other_kind:ident,)* }
    ) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                let mut read: Self = $initial;
                let mut places = [
                    $(Some($crate::object::Place::$kind(&mut read.$field)),)*
                    $(Some($crate::object::Place::$other_kind(&mut read.$other)),)*
                ];
                $crate::object::fill(deserializer, &Self::SHAPE, &mut places)?;
                Ok(read)
            }
        }

        impl outlayer_json::FromJson for $name {
            fn read(reader: &mut outlayer_json::Reader<'_>) -> Self {
                let mut read: Self = $initial;
                let mut places = [
                    $(Some($crate::object::Place::$kind(&mut read.$field)),)*
                    $(Some($crate::object::Place::$other_kind(&mut read.$other)),)*
                ];
                $crate::object::read(reader, &Self::SHAPE, &mut places);
                read
            }
        }

        impl $name {
            const SHAPE: $crate::object::Shape = $crate::object::Shape {
                name: stringify!($name),
                fields: &[$(stringify!($field),)* $(stringify!($other),)*],
                required: <[&str]>::len(&[$(stringify!($field)),*]),
                only: $only,
            };
        }
    };
}

pub(crate) use read_by_fields;
