//! What Proxmox said, as something a person can act on: the reason and the next step.
//!
//! The summary comes from whoever tried something ("Unable to create lease lab/demo"); the detail is
//! written here, by the class of the error and never by its text.

use std::io::Write as _;
use std::process::ExitCode;

use kubesmith_proxmox::{Class, Error, Refusal};
use kubesmith_tfplugin::{Diag, Diags};

use crate::machine::RemoveError;

/// An error of the Proxmox client under this summary.
pub(crate) fn proxmox(summary: impl Into<String>, error: &Error) -> Diag {
    let said = sentence(&error.to_string());
    Diag::error(summary).detail(match next_step(error.class()) {
        Some(step) => format!("{said}\n\n{step}"),
        None => said,
    })
}

/// Says on standard error what went wrong, for the tasks of administrators.
pub(crate) fn complain(diags: &Diags) -> ExitCode {
    for diag in diags {
        let gap = if diag.summary.is_empty() || diag.detail.is_empty() { "" } else { "\n\n" };
        let _ = writeln!(std::io::stderr(), "Error: {}{gap}{}\n", diag.summary, diag.detail);
    }
    ExitCode::FAILURE
}

/// An error of a removal under this summary.
pub(crate) fn removal(summary: impl Into<String>, error: &RemoveError) -> Diag {
    match error {
        RemoveError::Proxmox(error) => proxmox(summary, error),
        RemoveError::Hidden(vmid) => Diag::error(summary).detail(format!(
            "{}\n\nGrant the token's user VM.Audit on /vms/{vmid}, or on the Proxmox pool of that machine.",
            sentence(&error.to_string())
        )),
    }
}

/// What the error itself, which already says much, leaves to the provider to say.
fn next_step(class: &Class) -> Option<&'static str> {
    Some(match class {
        Class::Tls { seen_fingerprint: Some(_) } => {
            "The server's certificate is not trusted. Proxmox shows its fingerprint under Node > System > \
             Certificates: only if it is the same, set \"fingerprint\" (KUBESMITH_FINGERPRINT); or name the \
             authority that signed it by \"ca_file\" (KUBESMITH_CA_FILE)."
        }
        Class::Tls { seen_fingerprint: None } | Class::Malformed => {
            "Check that \"endpoint\" (KUBESMITH_ENDPOINT) is the address of a Proxmox VE API, for instance \
             https://pve.example.org:8006."
        }
        Class::NotDelivered => {
            "Nothing was changed by this request. Check that Proxmox VE is up and that \"endpoint\" \
             (KUBESMITH_ENDPOINT) can be reached from here, then apply again."
        }
        Class::NoQuorum => {
            "Without a quorum the cluster accepts no changes. Bring its nodes back, then apply again."
        }
        Class::Busy => "Proxmox was busy the whole time. Apply again when it is calmer.",
        Class::UnknownOutcome => "Apply again: Kubesmith looks before it acts.",
        Class::TimedOut => "Apply again to go on, or allow more time by \"timeouts\".",
        Class::Cancelled => "It was interrupted. Apply again to go on.",
        Class::Refused(Refusal::Unauthorized) => {
            "Proxmox VE does not accept the API token: it must exist, not have expired, and be written \
             user@realm!name=secret (\"api_token\" or KUBESMITH_API_TOKEN)."
        }
        Class::Refused(Refusal::BaseInUse) => {
            "Linked clones still use this disk: destroy them first."
        }
        Class::Refused(Refusal::NotImplemented) => {
            "This Proxmox VE is too old for that call, or is no Proxmox VE."
        }
        Class::Refused(_) => return None,
    })
}

/// A reason as a sentence of its own. It begins with a capital letter if it begins with a word, and not with a name.
pub(crate) fn sentence(reason: &str) -> String {
    let reason = reason.trim_end_matches('.');
    let word = reason.split([' ', ',', ';']).next().unwrap_or_default();
    if !word.chars().all(char::is_alphabetic) {
        return format!("{reason}.");
    }
    let mut letters = reason.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_begins_with_a_capital_letter_but_a_name_stays_as_it_is() {
        for (reason, said) in [
            ("the answer was cut off", "The answer was cut off."),
            ("it is empty.", "It is empty."),
            ("no, not now", "No, not now."),
            ("demo-cp-1 is attached to no bridge", "demo-cp-1 is attached to no bridge."),
            ("http://pve/ is not an https:// address", "http://pve/ is not an https:// address."),
            ("`ssh` was cancelled", "`ssh` was cancelled."),
        ] {
            assert_eq!(sentence(reason), said);
        }
    }

    #[test]
    fn what_may_not_be_seen_is_said_with_the_privilege_that_is_missing() {
        let diag = removal("Unable to release lease lab/demo", &RemoveError::Hidden(19201));
        assert_eq!(
            diag.detail,
            "VMID 19201 is in use, but the API token may not see by what.\n\nGrant the token's user VM.Audit on \
             /vms/19201, or on the Proxmox pool of that machine."
        );
    }
}
