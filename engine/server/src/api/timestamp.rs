//! Times as the API writes and reads them: RFC 3339, UTC, to the millisecond.

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

use crate::store::UnixMs;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp(pub(crate) UnixMs);

impl Timestamp {
    /// As RFC 3339 has it; none where it is something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let ms = time.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(ms).ok().map(|ms| Self(UnixMs(ms)))
    }
}

impl From<UnixMs> for Timestamp {
    fn from(time: UnixMs) -> Self {
        Self(time)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ns = i128::from(self.0.0) * 1_000_000;
        // A clock that is some ten thousand years off is as good as one that never was set.
        let time =
            OffsetDateTime::from_unix_timestamp_nanos(ns).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let form = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let text = time.format(form).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2026-11-21T14:30:00.000Z"])
            .into()
    }
}

impl ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        let time = Timestamp::parse("2026-11-21T15:30:00.5+01:00").unwrap();
        assert_eq!(
            serde_json::to_value(time).unwrap(),
            "2026-11-21T14:30:00.500Z"
        );
        assert_eq!(
            serde_json::to_value(Timestamp(UnixMs(0))).unwrap(),
            "1970-01-01T00:00:00.000Z"
        );
        for wrong in ["", "2026-11-21", "yesterday", "2026-13-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
    }
}
