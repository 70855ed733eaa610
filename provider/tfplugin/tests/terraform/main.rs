//! The example provider under the real Terraform.

#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod ephemeral;
mod failures;
mod handshake;
mod harness;
mod lifecycle;
mod lookups;
mod planning;
mod process;
mod stored;
mod violations;
mod world;
