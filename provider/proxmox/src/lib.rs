//! Typed client for the part of the Proxmox VE API that provisioning needs.
//!
//! One request function ([`Client`]), one error ([`Error`], whose [`Class`] says what the caller may do next), tasks that are
//! awaited by their [`Upid`], and below them the calls themselves. It decides nothing: whether a machine is ours, whether to
//! retry an unknown outcome, and in which order things happen is the caller's business.

mod access;
mod client;
mod cluster;
mod endpoints;
mod error;
mod firewall;
#[cfg(any(test, fuzzing))]
pub mod hostile;
mod login;
mod permissions;
mod retry;
mod task;
mod tls;
mod token;
mod version;
mod vm;
mod vm_config;
mod wire;

pub use access::{Acl, AclRow, Role};
pub use client::{Client, Options, Permit};
pub use cluster::{Inventory, Node, Pool, Storage, VmResource};
pub use error::{Class, Error, Refusal};
pub use firewall::{IpSet, IpSetInfo, IpSetRow};
pub use login::{Credentials, Ticket};
pub use permissions::Permissions;
pub use retry::{Deadline, retry};
pub use task::{InvalidUpid, TaskOutcome, Upid};
pub use tls::{Fingerprint, InvalidFingerprint, Trust};
pub use token::{ApiToken, InvalidToken};
pub use version::Version;
pub use vm::{CloneVm, CreateVm, DestroyDisks, VmStatus};
pub use vm_config::{ConfigUpdate, Disk, IpConfig, Net, VmConfig};
