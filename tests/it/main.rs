//! The integration tests: one binary, the real Terraform and the real Ansible against the lab.

mod hcl;
mod tidy;
mod world;

mod bad_input;
mod crash;
mod leases;
mod life;
