//! Credentials that were handed out.
