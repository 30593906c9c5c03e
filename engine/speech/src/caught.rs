//! Panics of a worker's code, as errors.

use std::panic::{self, AssertUnwindSafe};

/// Runs `work`; a panic becomes the error that `failed` makes of the panic's message. What `work`
/// touched may be anything but whole: drop it, do not use it again.
///
/// # Errors
///
/// Whatever `work` returns, and `failed` if it panics.
pub fn caught<T, E>(
    work: impl FnOnce() -> Result<T, E>,
    failed: impl FnOnce(String) -> E,
) -> Result<T, E> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .map(|message| (*message).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(failed(message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        let fails = |work: fn() -> Result<u32, String>| {
            caught(work, |message| format!("it panicked: {message}"))
        };
        assert_eq!(fails(|| Ok(1)), Ok(1));
        assert_eq!(fails(|| Err("no".into())), Err("no".into()));
        let told = |what| fails(what).unwrap_err();
        assert_eq!(told(|| panic!("lost")), "it panicked: lost");
        assert_eq!(told(|| panic!("{} lost", 3 + 4)), "it panicked: 7 lost");
        assert_eq!(
            told(|| panic::panic_any(0_u8)),
            "it panicked: ",
            "what is no text is not told"
        );
    }
}
