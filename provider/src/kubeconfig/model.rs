//! The attributes of `kubesmith_kubeconfig`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use kubesmith_spec::SshUser;
use kubesmith_tfplugin::{Model, Secret, Text, Value};
use url::Url;

/// A credential is meant for one run; kubeadm refuses nothing, so we do.
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(24);

/// A short-lived credential for the Kubernetes API of a cluster. It exists while Terraform runs, and is
/// stored neither in the plan nor in the state.
///
/// The control plane signs a new client certificate for it, asked over SSH. Certificates cannot be called
/// back: keep `validity` short, and name only the groups that are needed.
#[derive(Model)]
#[tf(type_name = "kubesmith_kubeconfig", timeouts(open = "2m"))]
pub(crate) struct Credential {
    /// Address of the Kubernetes API, as `kubesmith_cluster` has it in `endpoint`.
    #[tf(required, validate = check_endpoint)]
    pub(super) endpoint: Text<Url>,
    /// Address of a control plane machine to ask, if it is not the one in `endpoint`.
    #[tf(optional)]
    pub(super) control_plane: Option<Ipv4Addr>,
    /// Private key of the account on the machines, as `kubesmith_cluster` has it in `ssh_private_key`.
    #[tf(required)]
    pub(super) ssh_private_key: Secret<String>,
    /// The machines' SSH host keys, as `kubesmith_cluster` has them in `known_hosts`.
    #[tf(required)]
    pub(super) known_hosts: String,
    /// The account on the machines.
    #[tf(default = "kubesmith")]
    pub(super) ssh_user: Text<SshUser>,
    /// The user name that Kubernetes sees.
    #[tf(default = "terraform")]
    pub(super) client_name: Subject,
    /// The groups that Kubernetes sees; bindings of roles to groups say what they may do.
    #[tf(default = vec![Subject("kubeadm:cluster-admins".to_owned())], validate = check_groups)]
    pub(super) groups: Vec<Subject>,
    /// How long the credential is valid: `1m` to `24h`.
    #[tf(default = "1h", validate = check_validity)]
    pub(super) validity: Duration,
    /// The whole kubeconfig.
    #[tf(computed)]
    pub(super) kubeconfig: Value<Secret<String>>,
    /// Certificate of the authority that signed the API's certificate (PEM).
    #[tf(computed)]
    pub(super) cluster_ca_certificate: Value<String>,
    /// The client certificate (PEM).
    #[tf(computed)]
    pub(super) client_certificate: Value<String>,
    /// The client certificate's key (PEM).
    #[tf(computed)]
    pub(super) client_key: Value<Secret<String>>,
}

/// The name of a user or a group. Only characters that no shell and no certificate takes for anything
/// else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject(String);

kubesmith_tfplugin::string_leaf!(Subject);

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let letter = |c: char| c.is_ascii_alphanumeric();
        let fits = text.starts_with(letter)
            && text.len() <= 64
            && text.chars().all(|c| letter(c) || "-_.:@".contains(c));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not possible: 1 to 64 letters, digits and \"-_.:@\", beginning with a letter or \
                 digit."
            ))
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_endpoint(endpoint: &Text<Url>) -> Result<(), String> {
    if endpoint.scheme() == "https" && endpoint.host_str().is_some() {
        Ok(())
    } else {
        Err(format!("{} is not an https:// address.", endpoint.0))
    }
}

#[expect(clippy::ptr_arg, reason = "the derive's validators take references to the field's type")]
fn check_groups(groups: &Vec<Subject>) -> Result<(), &'static str> {
    if groups.is_empty() { Err("Without a group it could do nothing.") } else { Ok(()) }
}

fn check_validity(validity: &Duration) -> Result<(), &'static str> {
    if (SHORTEST..=LONGEST).contains(validity) {
        Ok(())
    } else {
        Err("It must be from 1m to 24h: this is no credential to keep.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_nothing_that_a_shell_could_take_for_a_command() {
        for name in ["terraform", "kubeadm:cluster-admins", "anna@example.org", "a"] {
            assert_eq!(name.parse::<Subject>().unwrap().to_string(), name);
        }
        let long = "a".repeat(65);
        for name in ["", "-x", "a b", "$(reboot)", "a;b", "a,b", "a'b", "a\nb", &long] {
            assert!(name.parse::<Subject>().is_err(), "{name:?}");
        }
    }
}
