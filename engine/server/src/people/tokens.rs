//! Join tokens: what turns a request for a leg into the leg itself.
