//! People on their way onto a call.

mod join;
