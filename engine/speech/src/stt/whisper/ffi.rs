//! The one call into whisper.cpp that `whisper-rs` does not offer soundly: decoding that can be
//! stopped.

#![allow(unsafe_code)]

use std::ffi::c_void;

use whisper_rs::{FullParams, WhisperError, WhisperState};

/// Runs `params` over `samples`; gives up with an error soon after `stop` says so. whisper.cpp
/// asks after each pass of the encoder and each token.
///
/// (`FullParams::set_abort_callback_safe` of whisper-rs 0.16 hands its trampoline a pointer of
/// another type than the trampoline expects.)
pub(super) fn full<F>(
    state: &mut WhisperState,
    mut params: FullParams<'_, '_>,
    samples: &[f32],
    stop: &F,
) -> Result<(), WhisperError>
where
    F: Fn() -> bool + Sync,
{
    unsafe extern "C" fn trampoline<F: Fn() -> bool + Sync>(stop: *mut c_void) -> bool {
        // SAFETY: `full` below is the only one to register this trampoline, and it registers with
        // it a pointer to an `F` that outlives every call. `F: Sync`, so the thread that
        // whisper.cpp calls from does not matter.
        let stop = unsafe { &*stop.cast::<F>() };
        stop()
    }

    // SAFETY: `params` is consumed by `WhisperState::full` in this function, and whisper.cpp calls
    // the callback only while that runs: `stop` is borrowed for longer. The trampoline's `F` is
    // the type of what the pointer points to. A panic in `stop` ends the process at the `extern
    // "C"` boundary instead of unwinding into C++.
    unsafe {
        params.set_abort_callback(Some(trampoline::<F>));
        params.set_abort_callback_user_data(std::ptr::from_ref(stop).cast_mut().cast());
    }
    state.full(params, samples)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sidetone_models::ModelSource;
    use whisper_rs::{WhisperContext, WhisperContextParameters};

    use super::{super::session::params, *};

    #[test]
    fn it_gives_up_the_moment_it_is_told_to_and_can_be_used_again() {
        whisper_rs::install_logging_hooks();
        let Ok(ModelSource::Memory(model)) = sidetone_models::resolve("demo") else {
            panic!("the demo model is in memory")
        };
        let context = WhisperContext::new_from_buffer_with_params(
            &model,
            WhisperContextParameters::default(),
        )
        .unwrap();
        let mut state = context.create_state().unwrap();
        let mut params = params("en");
        params.set_audio_ctx(58);
        let hum: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.1).sin() * 0.3).collect();

        // How often it asks, if it is told to go on until the question of this number.
        let mut asked_until = |limit: usize| {
            let asked = AtomicUsize::new(0);
            let stop = || asked.fetch_add(1, Ordering::Relaxed) + 1 >= limit;
            let result = full(&mut state, params.clone(), &hum, &stop);
            (asked.load(Ordering::Relaxed), result.is_ok())
        };
        let (all, whole) = asked_until(usize::MAX);
        assert!(whole);
        assert!(all >= 2, "after the encoder and after each token");
        for limit in 1..=all {
            assert_eq!(asked_until(limit), (limit, false));
        }
        assert_eq!(asked_until(usize::MAX), (all, true));
    }
}
