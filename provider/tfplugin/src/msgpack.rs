//! Terraform's `MessagePack`: written and read along the type, so that every fault has a path.
//!
//! The bytes come from the host that started us, but a fault in them must be an error like any
//! other: nothing here panics, recurses deeper than the type, or trusts a length.

mod decode;
mod encode;
mod promises;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

/// The extension of an unknown value that says nothing more.
const UNKNOWN: i8 = 0;
/// The extension of an unknown value with promises about it.
const REFINED: i8 = 12;
