//! Clusters, from the list of them to the end of one.

pub mod change;
pub mod list;
pub mod new;
pub mod one;
