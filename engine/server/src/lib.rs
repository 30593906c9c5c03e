//! The HTTP server that Twilio connects to.
