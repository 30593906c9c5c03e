//! Audio in written-down inputs and outputs: base64 text.

/// Bytes.
pub(crate) mod bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(
        bytes: impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: From<Vec<u8>>,
    {
        let text = String::deserialize(deserializer)?;
        Ok(STANDARD.decode(text).map_err(D::Error::custom)?.into())
    }
}

/// 16-bit PCM, little-endian.
pub(crate) mod pcm {
    use serde::{Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(
        samples: impl AsRef<[i16]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = samples
            .as_ref()
            .iter()
            .flat_map(|s| s.to_le_bytes())
            .collect();
        super::bytes::serialize(bytes, serializer)
    }

    pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: From<Vec<i16>>,
    {
        let bytes: Vec<u8> = super::bytes::deserialize(deserializer)?;
        if !bytes.len().is_multiple_of(2) {
            return Err(D::Error::custom("16-bit PCM has an even number of bytes"));
        }
        let pairs = bytes.chunks_exact(2);
        let samples: Vec<i16> = pairs
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        Ok(samples.into())
    }
}

/// 16-bit PCM, little-endian, borrowed where it comes from a leg.
pub(crate) mod cow_pcm {
    use std::borrow::Cow;

    use serde::Deserializer;

    pub(crate) use super::pcm::serialize;

    pub(crate) fn deserialize<'de, 'a, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Cow<'a, [i16]>, D::Error> {
        super::pcm::deserialize::<D, Vec<i16>>(deserializer).map(Cow::Owned)
    }
}
