//! Identifiers: each kind its own type, made by the server, never typed by people.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is no identifier of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an identifier")]
pub struct InvalidId(String);

/// Declares an identifier: a ULID, which sorts by the time it was made.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
        #[serde(try_from = "String", into = "String")]
        #[sqlx(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new one.
            #[expect(clippy::new_without_default, reason = "each call gives another value")]
            pub fn new() -> Self {
                Self(ulid::Ulid::generate().to_string())
            }

            /// As text: 26 characters.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                match ulid::Ulid::from_string(text) {
                    // Only the canonical spelling: one thing, one name.
                    Ok(ulid) if ulid.to_string() == text => Ok(Self(text.to_owned())),
                    _ => Err(InvalidId(text.to_owned())),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

id! {
    /// A person who may sign in.
    PersonId
}
id! {
    /// A session, as it is listed; the cookie holds another, secret value.
    SessionId
}
id! {
    /// A course or a group.
    EnvironmentId
}
id! {
    /// A cluster, and the folder of its workspace.
    ClusterId
}
id! {
    /// A run of Terraform.
    RunId
}
id! {
    /// A kubeconfig that was handed out.
    KubeconfigId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_ulids_are_identifiers() {
        let id = ClusterId::new();
        assert_eq!(id.as_str().parse::<ClusterId>(), Ok(id.clone()));
        for text in [
            "",
            "..",
            "01ARZ3NDEKTSV4RRFFQ69G5FA",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            &id.as_str().to_lowercase(),
        ] {
            assert!(text.parse::<ClusterId>().is_err(), "{text:?}");
        }
    }
}
