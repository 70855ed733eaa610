//! The portal: pages and an API over Terraform, for people who never saw HCL.
//!
//! A request passes [`gate`]: who asks, about what, may they, and one row in the audit log if it changes something. Which
//! action each route needs stands in [`routes`], and what each action needs stands in [`rights`]: nothing else decides.
//! What people ask for becomes a workspace ([`cluster`]) and a run of Terraform ([`runs`], [`terraform`]), whose state the
//! portal keeps ([`state`]); what happens inside a cluster goes through kubectl over SSH ([`kube`]).

pub mod answer;
pub mod api;
pub mod app;
pub mod audit;
pub mod cluster;
pub mod config;
pub mod environments;
pub mod error;
pub mod extract;
pub mod gate;
pub mod ids;
pub mod kube;
pub mod metrics;
pub mod pages;
pub mod people;
pub mod places;
pub mod quota;
pub mod rights;
pub mod routes;
pub mod runs;
pub mod serve;
pub mod state;
pub mod store;
pub mod terraform;
pub mod text;
pub mod time;
pub mod ui;
pub mod upkeep;

pub use app::App;
pub use error::{Error, Result};
