//! The example provider under the real Terraform.

mod failures;
mod lifecycle;
mod planning;
mod process;
mod world;
