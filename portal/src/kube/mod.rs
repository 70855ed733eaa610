//! kubectl over SSH.
