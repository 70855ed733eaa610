//! `/api/v1`: everything the pages do, one file per noun.

pub mod health;
