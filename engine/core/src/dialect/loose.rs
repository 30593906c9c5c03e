//! JSON fields that may be of any type, so that only broken syntax stops a parse.
//!
//! A field that is not what the protocol says becomes [`Loose::Wrong`], and the dialect names it
//! in its error; the parser's own type errors would quote the message's content. Null is a
//! missing field.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// A field's value.
#[derive(Clone, Debug, Default)]
pub(super) enum Loose<T> {
    /// There is none.
    #[default]
    Missing,
    /// It is of another type.
    Wrong,
    /// As the protocol says.
    Is(T),
}

impl<T> Loose<T> {
    /// The value, if it is one of the right type.
    pub(super) fn required(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Missing | Self::Wrong => None,
        }
    }

    /// The value, if there is one.
    ///
    /// # Errors
    ///
    /// It is of another type.
    pub(super) fn optional(self) -> Result<Option<T>, WrongType> {
        match self {
            Self::Is(value) => Ok(Some(value)),
            Self::Missing => Ok(None),
            Self::Wrong => Err(WrongType),
        }
    }
}

/// A field is of another type than the protocol says.
#[derive(Clone, Copy, Debug)]
pub(super) struct WrongType;

/// What a field may be read from. What is not said here is of the wrong type.
pub(super) trait Kind<'de>: Sized {
    /// From text that the message holds as it is.
    fn from_borrowed(text: &'de str) -> Option<Self> {
        Self::from_text(text)
    }

    /// From text that had escapes.
    fn from_text(_text: &str) -> Option<Self> {
        None
    }

    /// From a whole number.
    fn from_number(_number: u64) -> Option<Self> {
        None
    }

    /// From an object.
    fn from_object<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A string.
pub(super) type Text<'a> = Cow<'a, str>;

impl<'a, 'de: 'a> Kind<'de> for Text<'a> {
    fn from_borrowed(text: &'de str) -> Option<Self> {
        Some(Cow::Borrowed(text))
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(Cow::Owned(text.to_owned()))
    }
}

/// A whole number, or a string of digits.
impl Kind<'_> for u64 {
    fn from_text(text: &str) -> Option<Self> {
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        is_digits.then(|| text.parse().ok()).flatten()
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(number)
    }
}

/// An object with these fields.
#[derive(Clone, Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Kind<'de> for Object<T> {
    fn from_object<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|fields| Some(Self(fields)))
    }
}

impl<'de, T: Kind<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor(PhantomData))
    }
}

struct LooseVisitor<T>(PhantomData<T>);

impl<'de, T: Kind<'de>> Visitor<'de> for LooseVisitor<T> {
    type Value = Loose<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(or_wrong(T::from_borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(or_wrong(T::from_text(text)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(or_wrong(T::from_number(number)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(or_wrong(
            u64::try_from(number).ok().and_then(T::from_number),
        ))
    }

    fn visit_f64<E: Error>(self, _number: f64) -> Result<Self::Value, E> {
        Ok(Loose::Wrong)
    }

    fn visit_bool<E: Error>(self, _value: bool) -> Result<Self::Value, E> {
        Ok(Loose::Wrong)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Loose::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Wrong)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::from_object(map).map(or_wrong)
    }
}

fn or_wrong<T>(value: Option<T>) -> Loose<T> {
    value.map_or(Loose::Wrong, Loose::Is)
}
