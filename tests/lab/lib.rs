//! A datacentre for people without one.
//!
//! A Proxmox VE that keeps state and speaks the real wire, light guests as its virtual machines, and small stand-ins
//! for Kubernetes' programs. It imports none of the products' crates: it is an independent reading of the protocols.

pub mod bench;
mod by_hand;
pub mod command;
pub mod components;
mod containers;
pub mod control;
pub mod demo;
pub mod guests;
pub mod host;
pub mod kube;
pub mod packages;
pub mod portal;
pub mod pve;
pub mod serve;
pub mod session;
