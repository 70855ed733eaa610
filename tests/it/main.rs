//! The integration tests: one binary, the real Terraform and the real Ansible against the lab.

#![expect(clippy::print_stderr, reason = "a skip and a failed lab must be seen")]

mod hcl;
mod tidy;
mod world;

mod bad_input;
mod bootstrap;
mod change;
mod components;
mod crash;
mod demo;
mod endpoints;
mod examples;
mod image;
mod leases;
mod ledger;
mod life;
mod lookups;
mod messages;
mod modules;
mod packages;
mod packer;
mod parity;
mod pipelines;
mod portal;
mod release;
mod remote_state;
mod rules;
mod standins;
