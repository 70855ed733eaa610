//! `/api/v1`: everything the pages do, one file per noun.

pub mod audit;
pub mod clusters;
pub mod environments;
pub mod grants;
pub mod health;
pub mod keys;
pub mod kubeconfigs;
pub mod me;
pub mod namespaces;
pub mod openapi;
pub mod quotas;
pub mod runs;
pub mod state;
pub mod users;
