//! Inputs of a call, as a driver makes them.

use std::collections::BTreeMap;

use sidetone_codecs::SampleRate;
use sidetone_core::{
    dialect::{Inbound, LegFormat, LegMessage, Media, Start, Track},
    io::Input,
    person::{Join, Mode, PersonId, PersonInput},
};

/// What the caller's leg sends.
pub(crate) fn leg(body: Inbound<'static>) -> Input<'static> {
    Input::Leg(LegMessage {
        stream_id: None,
        sequence: None,
        body,
    })
}

/// The stream starts.
pub(crate) fn start() -> Input<'static> {
    leg(Inbound::Start(Start {
        stream_id: "MZ1".into(),
        call_id: None,
        account_id: None,
        parameters: BTreeMap::new(),
        format: LegFormat::MULAW_8000,
    }))
}

/// The caller's next audio, as μ-law.
pub(crate) fn media(payload: Vec<u8>) -> Input<'static> {
    leg(Inbound::Media(Media {
        track: Track::Inbound,
        chunk: None,
        timestamp_ms: None,
        payload: payload.into(),
    }))
}

/// Anna comes on the call, at 8 kHz.
pub(crate) fn anna_joins(id: PersonId, mode: Mode) -> Input<'static> {
    let join = Join {
        name: "Anna".into(),
        mode,
        rank: 1,
        rate: SampleRate::HZ_8000,
    };
    let input = PersonInput::Join(join);
    Input::Person { id, input }
}
