//! The lines on which callers call.

use sidetone_bench::scenario::{Echo, Line, Noise, NoiseKind};

/// A quiet line, and lines with noise of three kinds at 20, 10 and 5 dB below the caller.
pub(crate) fn noisy() -> Vec<(String, Line)> {
    let mut lines = vec![("quiet".to_owned(), Line::default())];
    for (name, kind) in [
        ("babble", NoiseKind::Babble),
        ("street", NoiseKind::Street),
        ("white", NoiseKind::White),
    ] {
        for snr_db in [20.0, 10.0, 5.0] {
            let line = Line {
                noise: Some(Noise { kind, snr_db }),
                ..Line::default()
            };
            lines.push((format!("{name}, {snr_db} dB"), line));
        }
    }
    lines
}

/// Loudspeakers from which the agent's voice comes back.
pub(crate) fn echoing() -> Vec<(f32, u64, Line)> {
    let mut lines = Vec::new();
    for loss_db in [15.0, 20.0, 25.0, 30.0, 35.0, 40.0] {
        for delay_ms in [40, 100, 200, 300] {
            let line = Line {
                echo: Some(Echo { loss_db, delay_ms }),
                ..Line::default()
            };
            lines.push((loss_db, delay_ms, line));
        }
    }
    lines
}
