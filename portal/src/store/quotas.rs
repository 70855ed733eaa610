//! Limits and what is reserved of them.
