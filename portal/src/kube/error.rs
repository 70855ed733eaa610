//! Why a cluster did not do what was asked, in words for the person who asked. PURE.

/// Characters of a cluster's own words that are repeated.
const WORDS: usize = 400;

/// What went wrong between the portal and a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing answers over SSH.
    #[error("the control plane at {address} cannot be reached over SSH: {reason}")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What ssh said.
        reason: String,
    },
    /// Somebody else answers, or the machine was replaced.
    #[error(
        "the machine at {address} shows another host key than the one that was pinned when the cluster was made, so nothing was sent to it. \
         If the machine was rebuilt, apply the cluster again"
    )]
    HostKey {
        /// Where it was asked.
        address: String,
    },
    /// The machine does not accept the cluster's key.
    #[error(
        "the control plane at {address} does not accept the cluster's SSH key: was its authorized_keys changed?"
    )]
    KeyRefused {
        /// Where it was asked.
        address: String,
    },
    /// It took too long.
    #[error(
        "the cluster did not answer within {0} s: try again, and look at its health if it goes on"
    )]
    TimedOut(u64),
    /// Too many others are asking it.
    #[error("the cluster is busy with other requests: try again in a moment")]
    Busy,
    /// It answered with more than is read.
    #[error("the cluster answered with more than {} KiB, which is not read: use kubectl for lists of this size", .0 / 1024)]
    TooMuch(usize),
    /// There is no such object.
    #[error("the cluster has no such object: {0}")]
    NotFound(String),
    /// There is one already.
    #[error("it exists already: {0}")]
    Exists(String),
    /// kubectl or the API refused.
    #[error("the cluster refused: {0}")]
    Refused(String),
    /// The answer is not what kubectl answers.
    #[error("the cluster's answer is not understood: {0}")]
    Unreadable(String),
    /// This machine could not do its part.
    #[error("this host could not start the connection: {0}")]
    Local(String),
}

impl Error {
    /// Whether the cluster itself does not answer, so that whatever else it is asked now fails as well.
    pub fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::HostKey { .. }
                | Self::KeyRefused { .. }
                | Self::TimedOut(_)
        )
    }

    /// Reads what kubectl or kubeadm wrote to standard error when it failed.
    pub(super) fn of_stderr(stderr: &str) -> Self {
        let said = plain(stderr);
        let words = said.trim_start_matches("Error from server ");
        if let Some(rest) = words.strip_prefix("(NotFound): ") {
            Self::NotFound(rest.to_owned())
        } else if let Some(rest) = words.strip_prefix("(AlreadyExists): ") {
            Self::Exists(rest.to_owned())
        } else if said.is_empty() {
            Self::Refused("it gave no reason".to_owned())
        } else {
            Self::Refused(words.trim_start_matches("error: ").to_owned())
        }
    }

    /// Reads why ssh did not connect.
    pub(super) fn of_ssh(address: &str, said: &str) -> Self {
        let address = address.to_owned();
        let has = |text: &str| said.contains(text);
        if has("Host key verification failed")
            || has("REMOTE HOST IDENTIFICATION HAS CHANGED")
            || has("No ED25519 host key is known")
        {
            Self::HostKey { address }
        } else if has("Permission denied") || has("Too many authentication failures") {
            Self::KeyRefused { address }
        } else {
            Self::Unreachable { address, reason: plain(said) }
        }
    }
}

/// A cluster's output is a stranger's text: one line, no control characters, not too long.
fn plain(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let clean: String = line.chars().filter(|letter| !letter.is_control()).take(WORDS).collect();
    if line.chars().count() > WORDS { format!("{clean}…") } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_says_becomes_a_kind_and_a_sentence() {
        let of = |text: &str| Error::of_stderr(text).to_string();
        assert_eq!(
            of("Error from server (NotFound): namespaces \"x\" not found\n"),
            "the cluster has no such object: namespaces \"x\" not found"
        );
        assert_eq!(
            of("Error from server (AlreadyExists): namespaces \"x\" already exists"),
            "it exists already: namespaces \"x\" already exists"
        );
        assert_eq!(
            of("error: You must be logged in"),
            "the cluster refused: You must be logged in"
        );
        assert_eq!(of("  \n"), "the cluster refused: it gave no reason");
        assert_eq!(of("a\u{1b}[31m red\nb"), "the cluster refused: a[31m red b");
        assert!(of(&"long ".repeat(1000)).len() < 500);
    }

    #[test]
    fn a_changed_host_key_is_never_called_a_network_problem() {
        let of = |text: &str| Error::of_ssh("10.40.19.201", text);
        assert!(matches!(
            of(
                "No ED25519 host key is known for 10.40.19.201 and you have requested strict checking.\r\nHost key verification failed."
            ),
            Error::HostKey { .. }
        ));
        assert!(matches!(
            of("kubesmith@10.40.19.201: Permission denied (publickey)."),
            Error::KeyRefused { .. }
        ));
        assert_eq!(
            of("connect to host 10.40.19.201 port 22: No route to host\r\n").to_string(),
            "the control plane at 10.40.19.201 cannot be reached over SSH: connect to host 10.40.19.201 port 22: No route to host"
        );
    }
}
