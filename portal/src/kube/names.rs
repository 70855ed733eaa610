//! Names that go to a cluster, each parsed once at the edge. PURE.
//!
//! What reaches `kubectl` is one of these types or a constant, never a string that somebody typed: a name that begins
//! with a hyphen, holds a blank or a quote, or belongs to Kubernetes itself does not exist beyond this file.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::KubeconfigId;

/// A text that is not the name it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// It breaks the rule of DNS labels.
    #[error(
        "{0:?} is not a valid namespace name: use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends"
    )]
    Form(String),
    /// It belongs to Kubernetes or to the portal.
    #[error(
        "the name {0:?} is reserved: choose one that is not `default` and does not begin with `kube-`, `kubernetes` or `kubesmith`"
    )]
    Reserved(String),
}

/// Name of a namespace that people may make, use and delete: a DNS label that is not one of the cluster's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamespaceName(String);

impl NamespaceName {
    /// Checks the text against the rule, and against the names that are taken.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if !is_label(text) {
            // An error is shown and logged: what somebody pasted by mistake need not be there in full.
            return Err(InvalidName::Form(text.chars().take(80).collect()));
        }
        let reserved = text == "default"
            || ["kube-", "kubernetes", "kubesmith"].iter().any(|own| text.starts_with(own));
        if reserved {
            Err(InvalidName::Reserved(text.to_owned()))
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for NamespaceName {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<NamespaceName> for String {
    fn from(name: NamespaceName) -> Self {
        name.0
    }
}

/// A DNS label as RFC 1123 has it: what Kubernetes wants of a namespace and of a service account.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| inner(byte) || byte == b'-')
        && text.bytes().next().is_some_and(inner)
        && text.bytes().next_back().is_some_and(inner)
}

/// The name that an issued kubeconfig has inside the cluster: its service account, its user, its binding.
///
/// Made from the kubeconfig's id alone, so that nothing a person typed stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialName(String);

impl CredentialName {
    /// The name of the credential with this id.
    pub fn of(id: &KubeconfigId) -> Self {
        Self(format!("kubesmith-{}", id.as_str().to_lowercase()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_pass_and_the_clusters_own_do_not() {
        for name in ["a", "7", "team-blue", "web2", "defaults", &"x".repeat(63)] {
            assert_eq!(NamespaceName::parse(name).unwrap().as_str(), name);
        }
        for name in [
            "default",
            "kube-system",
            "kube-public",
            "kube-flannel",
            "kubernetes",
            "kubernetes-dashboard",
            "kubesmith-x",
        ] {
            assert_eq!(
                NamespaceName::parse(name).unwrap_err(),
                InvalidName::Reserved(name.to_owned())
            );
        }
    }

    #[test]
    fn nothing_of_the_injection_corpus_is_a_name() {
        let corpus = [
            "",
            "-f",
            "--all",
            "-",
            "a-",
            "-a",
            "A",
            "Team",
            "a_b",
            "a.b",
            "a b",
            " a",
            "a ",
            "a\n",
            "a\0b",
            "$(id)",
            "`id`",
            "${x}",
            "%{x}",
            "a;id",
            "a|id",
            "a&&id",
            "a>b",
            "'a'",
            "\"a\"",
            "a/b",
            "../a",
            "a\\b",
            "käse",
            "名前",
            "a\u{202e}b",
            "#a",
            "~",
            "*",
            "!a",
        ];
        for text in
            corpus.map(str::to_owned).into_iter().chain(["x".repeat(64), "x".repeat(100_000)])
        {
            let error = NamespaceName::parse(&text).unwrap_err();
            assert!(matches!(error, InvalidName::Form(_)), "{text:?}: {error}");
            assert!(error.to_string().len() < 700, "an error does not repeat all that was pasted");
        }
    }

    proptest! {
        #[test]
        fn whatever_passes_is_safe_as_a_word_and_as_a_label(text in "\\PC{0,70}|[a-z0-9-]{1,64}") {
            if let Ok(name) = NamespaceName::parse(&text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.len() <= 63 && !text.starts_with('-') && !text.ends_with('-'));
                prop_assert!(text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')));
            }
        }
    }

    #[test]
    fn credentials_are_named_after_their_id_and_fit() {
        let name = CredentialName::of(&KubeconfigId::new());
        assert!(is_label(name.as_str()), "{name}");
        assert!(NamespaceName::parse(name.as_str()).is_err(), "people cannot take such a name");
    }
}
