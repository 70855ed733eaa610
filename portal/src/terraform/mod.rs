//! The real Terraform: started, watched, stopped, understood.

pub mod command;
pub mod mirror;
pub mod stream;
