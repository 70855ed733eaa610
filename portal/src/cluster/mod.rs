//! A cluster as the portal knows it: from what a person chose to the folder that Terraform runs in.
//!
//! What exists is never kept here: it is read from Terraform's state ([`exists`]).

use serde::{Deserialize, Serialize};

pub mod catalogue;
pub mod exists;
pub mod folder;
pub mod form;
pub mod hcl;
pub mod plan;
pub mod standing;
pub mod workspace;

#[cfg(test)]
pub(crate) mod samples;

/// Everything that a cluster's files are rendered from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// What a person chose.
    pub wanted: form::Wanted,
    /// What the site decided when it was made.
    pub site: catalogue::Site,
}

impl Spec {
    /// As it stands in the database.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and numbers can always be written")
    }
}

impl TryFrom<String> for Spec {
    type Error = serde_json::Error;

    fn try_from(text: String) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&text)
    }
}
