//! G.711 against tables made by SoX: every code and every sample of both laws.

use sidetone_codecs::g711::{alaw, mulaw};

const MULAW_ENCODED: &[u8; 65_536] = include_bytes!("data/mulaw_encode.bin");
const MULAW_DECODED: &[u8; 512] = include_bytes!("data/mulaw_decode.bin");
const ALAW_ENCODED: &[u8; 65_536] = include_bytes!("data/alaw_encode.bin");
const ALAW_DECODED: &[u8; 512] = include_bytes!("data/alaw_decode.bin");

fn all_samples() -> Vec<i16> {
    (i16::MIN..=i16::MAX).collect()
}

fn all_codes() -> Vec<u8> {
    (0..=255).collect()
}

fn little_endian(bytes: &[u8]) -> Vec<i16> {
    bytes
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

#[test]
fn every_sample_encodes_as_in_the_reference() {
    for (i, sample) in all_samples().into_iter().enumerate() {
        assert_eq!(mulaw::encode(sample), MULAW_ENCODED[i], "μ-law of {sample}");
        assert_eq!(alaw::encode(sample), ALAW_ENCODED[i], "A-law of {sample}");
    }
}

#[test]
fn every_code_decodes_as_in_the_reference() {
    let (mulaw_reference, alaw_reference) =
        (little_endian(MULAW_DECODED), little_endian(ALAW_DECODED));
    for (i, code) in all_codes().into_iter().enumerate() {
        assert_eq!(mulaw::decode(code), mulaw_reference[i], "μ-law {code:#04x}");
        assert_eq!(alaw::decode(code), alaw_reference[i], "A-law {code:#04x}");
    }
}

#[test]
fn slices_and_appends_do_what_single_samples_do() {
    let (samples, codes) = (all_samples(), all_codes());
    let mut encoded = vec![0; samples.len()];
    let mut decoded = vec![0; codes.len()];

    mulaw::encode_into(&samples, &mut encoded);
    mulaw::decode_into(&codes, &mut decoded);
    assert_eq!(encoded, MULAW_ENCODED);
    assert_eq!(decoded, little_endian(MULAW_DECODED));

    alaw::encode_into(&samples, &mut encoded);
    alaw::decode_into(&codes, &mut decoded);
    assert_eq!(encoded, ALAW_ENCODED);
    assert_eq!(decoded, little_endian(ALAW_DECODED));

    let mut encoded = vec![7];
    let mut decoded = vec![-7];
    mulaw::encode_append(&samples, &mut encoded);
    mulaw::decode_append(&codes, &mut decoded);
    assert_eq!(
        (encoded[0], &encoded[1..]),
        (7, &MULAW_ENCODED[..]),
        "appended, not replaced"
    );
    assert_eq!(
        (decoded[0], &decoded[1..]),
        (-7, &little_endian(MULAW_DECODED)[..])
    );

    let mut encoded = vec![7];
    let mut decoded = vec![-7];
    alaw::encode_append(&samples, &mut encoded);
    alaw::decode_append(&codes, &mut decoded);
    assert_eq!(
        (encoded[0], &encoded[1..]),
        (7, &ALAW_ENCODED[..]),
        "appended, not replaced"
    );
    assert_eq!(
        (decoded[0], &decoded[1..]),
        (-7, &little_endian(ALAW_DECODED)[..])
    );
}

#[test]
fn a_decoded_code_encodes_to_itself() {
    for code in all_codes() {
        let again = mulaw::encode(mulaw::decode(code));
        let expected = if code == 0x7F { mulaw::SILENCE } else { code };
        assert_eq!(again, expected, "μ-law {code:#04x}");
        assert_eq!(alaw::encode(alaw::decode(code)), code, "A-law {code:#04x}");
    }
}

#[test]
fn silence_is_the_code_of_zero() {
    assert_eq!(
        (mulaw::encode(0), mulaw::decode(mulaw::SILENCE)),
        (mulaw::SILENCE, 0)
    );
    assert_eq!(
        (alaw::encode(0), alaw::decode(alaw::SILENCE)),
        (alaw::SILENCE, 8)
    );
}

#[test]
fn no_allocation_where_there_is_room() {
    let (samples, codes) = ([1234_i16; 160], [0x55_u8; 160]);
    let (mut encoded, mut decoded) = (Vec::with_capacity(320), Vec::with_capacity(320));
    let allocations = allocation_counter::measure(|| {
        mulaw::encode_append(&samples, &mut encoded);
        mulaw::decode_append(&codes, &mut decoded);
        alaw::encode_append(&samples, &mut encoded);
        alaw::decode_append(&codes, &mut decoded);
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
#[should_panic(expected = "one code per sample")]
fn slices_of_different_lengths_are_a_caller_bug() {
    mulaw::encode_into(&[0; 160], &mut [0; 159]);
}
