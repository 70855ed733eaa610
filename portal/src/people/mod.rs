//! People and how they prove who they are.

pub mod attempts;
pub mod passwords;
pub mod proof;
pub mod secrets;
