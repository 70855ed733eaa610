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

/// A reason as a sentence of its own.
pub(crate) fn sentence(reason: &str) -> String {
    let mut letters = reason.trim_end_matches('.').chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
