//! Credentials: given out short-lived and under a name of their own, taken back by that name.
//!
//! Inside a namespace it is a service account's token: it ends with its account. For a whole cluster it is a client
//! certificate, which Kubernetes cannot take back; so it proves nothing but a name, and what that name may do is a binding
//! that can be deleted.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use zeroize::Zeroizing;

use super::kubeconfig::{self, Kubeconfig, Proof};
use super::manifests::{self, EXPIRES, MANAGED, Power};
use super::{CredentialName, Error, Kube, Machine, NamespaceName};
use crate::ids::KubeconfigId;

/// Expired credentials that are removed in one go.
const SWEEP: usize = 50;

/// A kubeconfig that was made. It is shown once and kept nowhere.
pub struct Issued {
    /// The file's text.
    pub text: Zeroizing<String>,
    /// The name of its context, which is also a good name for the file.
    pub context: String,
    /// When the cluster stops to accept it.
    pub expires: Timestamp,
}

impl Kube {
    /// A kubeconfig for one namespace.
    pub async fn issue_for_namespace(
        &self,
        machine: &Machine,
        id: &KubeconfigId,
        namespace: &NamespaceName,
        power: Power,
        lifetime: Duration,
    ) -> Result<Issued, Error> {
        let name = CredentialName::of(id);
        let authority = self.authority(machine, namespace).await?;
        let planned = end_of(lifetime);
        self.send(
            machine,
            "apply",
            &manifests::account(namespace, &name, power, &planned.to_string()),
        )
        .await?;
        let duration = format!("{}s", lifetime.as_secs());
        let words = [
            "create",
            "token",
            "--namespace",
            namespace.as_str(),
            "--duration",
            &duration,
            "-o",
            "json",
            "--",
            name.as_str(),
        ];
        let token = match self.ask(machine, &words).await {
            Ok(token) => token,
            Err(error) => {
                let _ = self.revoke(machine, id, Some(namespace)).await;
                return Err(error);
            }
        };
        let text = token["status"]["token"]
            .as_str()
            .ok_or_else(|| Error::Unreadable("it holds no token".to_owned()))?;
        // The cluster may give less than was asked for.
        let expires = token["status"]["expirationTimestamp"]
            .as_str()
            .and_then(|time| time.parse().ok())
            .unwrap_or(planned);
        let proof = Proof::Token(Zeroizing::new(text.to_owned()));
        Ok(issued(machine, id, Some(namespace), &authority, proof, expires))
    }

    /// A kubeconfig for the whole cluster, with a certificate of its own.
    pub async fn issue_for_cluster(
        &self,
        machine: &Machine,
        id: &KubeconfigId,
        lifetime: Duration,
    ) -> Result<Issued, Error> {
        let name = CredentialName::of(id);
        let expires = end_of(lifetime);
        let settings = self
            .ask(
                machine,
                &[
                    "get",
                    "configmap",
                    "--namespace",
                    "kube-system",
                    "-o",
                    "json",
                    "--",
                    "kubeadm-config",
                ],
            )
            .await?;
        let settings =
            settings["data"]["ClusterConfiguration"].as_str().unwrap_or_default().to_owned();
        let authority = self.authority_in(machine, "kube-system").await?;
        let validity = format!("{}s", lifetime.as_secs());
        let words = [
            "kubeadm",
            "kubeconfig",
            "user",
            "--config",
            "/dev/stdin",
            "--client-name",
            name.as_str(),
            "--org",
            "kubesmith:issued",
            "--validity-period",
            &validity,
        ];
        let text =
            Zeroizing::new(self.connections.run(machine, &words, settings.as_bytes()).await?);
        let proof = kubeconfig::certificate_of(&text)?;
        self.send(machine, "apply", &manifests::administrator(&name, &expires.to_string())).await?;
        Ok(issued(machine, id, None, &authority, proof, expires))
    }

    /// Takes a credential back: from now on the cluster refuses it. It is no error when it is gone already.
    pub async fn revoke(
        &self,
        machine: &Machine,
        id: &KubeconfigId,
        namespace: Option<&NamespaceName>,
    ) -> Result<(), Error> {
        let name = CredentialName::of(id);
        match namespace {
            Some(namespace) => {
                let words = [
                    "delete",
                    "serviceaccount,rolebinding",
                    "--namespace",
                    namespace.as_str(),
                    "--ignore-not-found",
                    "--",
                    name.as_str(),
                ];
                self.kubectl(machine, &words, b"").await.map(drop)
            }
            None => self
                .kubectl(
                    machine,
                    &["delete", "clusterrolebinding", "--ignore-not-found", "--", name.as_str()],
                    b"",
                )
                .await
                .map(drop),
        }
    }

    /// Removes what expired credentials have left in the cluster; answers how many they were.
    pub async fn sweep(&self, machine: &Machine) -> Result<usize, Error> {
        let words = [
            "get",
            "serviceaccounts,clusterrolebindings",
            "--all-namespaces",
            "-l",
            MANAGED,
            "-o",
            "json",
        ];
        let expired = expired(&self.ask(machine, &words).await?, Timestamp::now());
        for (id, namespace) in &expired {
            self.revoke(machine, id, namespace.as_ref()).await?;
        }
        Ok(expired.len())
    }

    async fn authority(
        &self,
        machine: &Machine,
        namespace: &NamespaceName,
    ) -> Result<String, Error> {
        self.authority_in(machine, namespace.as_str()).await
    }

    /// The cluster's certificate authority, which every namespace holds a copy of.
    async fn authority_in(&self, machine: &Machine, namespace: &str) -> Result<String, Error> {
        let words =
            ["get", "configmap", "--namespace", namespace, "-o", "json", "--", "kube-root-ca.crt"];
        let object = self.ask(machine, &words).await?;
        let authority =
            object["data"]["ca.crt"].as_str().filter(|text| text.contains("BEGIN CERTIFICATE"));
        authority
            .map(str::to_owned)
            .ok_or_else(|| Error::Unreadable("kube-root-ca.crt holds no certificate".to_owned()))
    }
}

fn end_of(lifetime: Duration) -> Timestamp {
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    let end = Timestamp::now().as_second().saturating_add(seconds);
    Timestamp::from_second(end).unwrap_or(Timestamp::MAX)
}

fn issued(
    machine: &Machine,
    id: &KubeconfigId,
    namespace: Option<&NamespaceName>,
    authority: &str,
    proof: Proof,
    expires: Timestamp,
) -> Issued {
    // The end of an id is its random part; eight characters of it keep files of one cluster apart.
    let short = |id: &str| id.to_lowercase().split_off(18);
    let scope = namespace.map_or("admin", NamespaceName::as_str);
    let context = format!("{}-{scope}-{}", machine.name, short(id.as_str()));
    let user = CredentialName::of(id);
    let file = Kubeconfig {
        server: &machine.endpoint,
        authority,
        cluster: &format!("{}-{}", machine.name, short(machine.cluster.as_str())),
        user: user.as_str(),
        context: &context,
        namespace: namespace.map(NamespaceName::as_str),
        proof,
    };
    Issued { text: file.render(), context: context.clone(), expires }
}

/// The credentials in this list whose time is over, with their namespaces.
fn expired(list: &Value, now: Timestamp) -> Vec<(KubeconfigId, Option<NamespaceName>)> {
    let of = |object: &Value| {
        let metadata = &object["metadata"];
        let end: Timestamp = metadata["annotations"][EXPIRES].as_str()?.parse().ok()?;
        let id = metadata["name"].as_str()?.strip_prefix("kubesmith-")?;
        let id = id.to_uppercase().parse().ok()?;
        let namespace = match metadata["namespace"].as_str() {
            Some(name) => Some(NamespaceName::parse(name).ok()?),
            None => None,
        };
        (end <= now).then_some((id, namespace))
    };
    list["items"].as_array().into_iter().flatten().filter_map(of).take(SWEEP).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_ours_and_over_is_swept() {
        let (old, new) = (KubeconfigId::new(), KubeconfigId::new());
        let item = |id: &KubeconfigId, namespace: Option<&str>, end: &str| json!({"metadata": {"name": CredentialName::of(id).as_str(), "namespace": namespace, "annotations": {EXPIRES: end}}});
        let list = json!({"items": [
            item(&old, Some("web"), "2026-11-25T10:00:00Z"), item(&new, Some("web"), "2026-11-25T12:00:00Z"),
            item(&old, None, "2026-11-25T10:00:00Z"), item(&old, Some("kube-system"), "2026-11-25T10:00:00Z"),
            {"metadata": {"name": "default", "namespace": "web"}}, {"metadata": {"name": "kubesmith-x", "annotations": {EXPIRES: "2020-01-01T00:00:00Z"}}},
        ]});
        let web = NamespaceName::parse("web").unwrap();
        assert_eq!(
            expired(&list, "2026-11-25T11:00:00Z".parse().unwrap()),
            [(old.clone(), Some(web)), (old, None)]
        );
    }
}
