//! The example provider under the real Terraform.

#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod failures;
mod lifecycle;
mod planning;
mod process;
mod world;
