//! Asks a control plane over SSH for a client certificate.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kubesmith_process::{Error, Tool};
use kubesmith_spec::SshUser;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::model::Subject;
use crate::ansible::write_private;
use crate::kube::field;
use crate::secret_file::SecretFile;

/// What is asked for, and of whom.
pub(super) struct Request<'a> {
    /// The control plane machine.
    pub(super) host: Ipv4Addr,
    /// The account on it.
    pub(super) user: &'a SshUser,
    /// The key that opens it.
    pub(super) private_key: &'a str,
    /// Its pinned host key, as a `known_hosts` file.
    pub(super) known_hosts: &'a str,
    /// Who the certificate is for.
    pub(super) client_name: &'a Subject,
    /// In which groups.
    pub(super) groups: &'a [Subject],
    /// How long it is valid.
    pub(super) validity: Duration,
}

/// What was signed, in PEM.
pub(super) struct Issued {
    /// The authority of the API's certificate.
    pub(super) authority: String,
    /// The client certificate.
    pub(super) certificate: String,
    /// Its key.
    pub(super) key: Zeroizing<String>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum IssueError {
    /// The files for ssh could not be written.
    #[error("the files for ssh could not be written: {0}")]
    Folder(#[from] io::Error),
    /// ssh, or kubeadm behind it, failed.
    #[error(transparent)]
    Program(#[from] Error),
    /// kubeadm's answer lacks something.
    #[error("kubeadm's answer has no usable {0}")]
    Answer(&'static str),
}

/// Has kubeadm sign a certificate. The key is made there, too, and kept nowhere.
pub(super) async fn issue(
    request: &Request<'_>,
    limit: Duration,
    cancel: &CancellationToken,
) -> Result<Issued, IssueError> {
    let folder = tempfile::Builder::new().prefix("ks-").tempdir()?;
    let hosts = folder.path().join("known_hosts");
    write_private(&hosts, request.known_hosts.as_bytes())?;
    let key = SecretFile::new(request.private_key.as_bytes())?;

    let tool = Tool::new("ssh")
        .args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
        .args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none"])
        .args(["-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR", "-o"])
        .arg(format!("UserKnownHostsFile={}", hosts.display()))
        .arg("-i")
        .arg(key.path())
        .args([&format!("{}@{}", request.user, request.host), "--"])
        .args(command(request))
        .env_remove("KUBESMITH_API_TOKEN")
        .timeout(limit);
    let answer = Zeroizing::new(tool.output(cancel).await?.stdout);
    Ok(Issued {
        authority: pem(&answer, "certificate-authority-data")?,
        certificate: pem(&answer, "client-certificate-data")?,
        key: Zeroizing::new(pem(&answer, "client-key-data")?),
    })
}

/// What runs there. ssh hands it to a shell, so it has only words that mean nothing to one.
fn command(request: &Request<'_>) -> Vec<String> {
    let groups: Vec<_> = request.groups.iter().map(ToString::to_string).collect();
    let words = ["sudo", "-n", "kubeadm", "kubeconfig", "user", "--client-name"];
    let words = words.into_iter().map(str::to_owned);
    words
        .chain([request.client_name.to_string(), "--org".to_owned(), groups.join(",")])
        .chain(["--validity-period".to_owned(), format!("{}s", request.validity.as_secs())])
        .collect()
}

fn pem(answer: &str, name: &'static str) -> Result<String, IssueError> {
    let text = field(answer, name).and_then(|value| BASE64_STANDARD.decode(value).ok());
    text.and_then(|text| String::from_utf8(text).ok()).ok_or(IssueError::Answer(name))
}

impl Issued {
    /// A kubeconfig with it. JSON is YAML, so every reader takes it.
    pub(super) fn kubeconfig(&self, endpoint: &str, client_name: &Subject) -> Zeroizing<String> {
        let data = |pem: &str| BASE64_STANDARD.encode(pem);
        let user = json!({
            "client-certificate-data": data(&self.certificate),
            "client-key-data": data(&self.key),
        });
        let cluster = json!({
            "server": endpoint,
            "certificate-authority-data": data(&self.authority),
        });
        let name = client_name.to_string();
        let context = json!({ "cluster": "kubernetes", "user": &name });
        Zeroizing::new(format!(
            "{:#}\n",
            json!({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{ "name": "kubernetes", "cluster": cluster }],
                "users": [{ "name": &name, "user": user }],
                "contexts": [{ "name": &name, "context": context }],
                "current-context": &name,
            })
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_none_names_what_it_lacks() {
        let error = pem("kind: Config\n", "client-key-data").unwrap_err();
        assert_eq!(error.to_string(), "kubeadm's answer has no usable client-key-data");
    }

    #[test]
    fn the_words_say_who_for_how_long() {
        let subject = |name: &str| name.parse::<Subject>().unwrap();
        let (user, name) = (SshUser::parse("kubesmith").unwrap(), subject("anna@example.org"));
        let groups = [subject("course:42"), subject("viewers")];
        let request = Request {
            host: Ipv4Addr::LOCALHOST,
            user: &user,
            private_key: "",
            known_hosts: "",
            client_name: &name,
            groups: &groups,
            validity: Duration::from_mins(90),
        };
        assert_eq!(
            command(&request).join(" "),
            "sudo -n kubeadm kubeconfig user --client-name anna@example.org --org course:42,viewers \
             --validity-period 5400s"
        );
    }
}
