//! What can be wrong with the REST API.

use std::time::Duration;

/// How a request to the REST API goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Answered with this status and nothing done: 500, 503.
    Refuses {
        /// The HTTP status.
        status: u16,
    },
    /// Answered 429 and nothing done.
    TooManyRequests {
        /// The header `Retry-After`, in seconds.
        retry_after_s: Option<u64>,
    },
    /// Done, and answered only after this time: whoever asked has given up.
    Late(Duration),
    /// Done, and the connection breaks in the middle of the answer.
    Breaks,
    /// Done, and answered with a success whose body is no JSON.
    Malformed,
    /// Done, and answered with a success that is far too long.
    Endless,
}

/// A fault, and for how many more requests.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) fault: Fault,
    /// `None`: until it is mended.
    pub(super) left: Option<u32>,
}
