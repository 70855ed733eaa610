//! The portal as it is used: the real program, in a lab, with the real Terraform and provider behind it.

mod api;
mod browser;
mod clusters;
mod description;
mod inside;
mod journey;
mod kills;
mod moments;
mod runs;
mod site;
mod walk;

pub(crate) use site::portal_program;
