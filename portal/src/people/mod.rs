//! People and how they prove who they are.

pub mod accounts;
pub mod attempts;
pub mod keys;
pub mod passwords;
pub mod proof;
pub mod secrets;
pub mod sessions;
