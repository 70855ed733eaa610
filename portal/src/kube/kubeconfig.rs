//! The file that a person takes away. PURE.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlEmitter, YamlLoader};
use zeroize::Zeroizing;

use super::Error;

/// How the holder says who they are.
pub(super) enum Proof {
    /// A bearer token.
    Token(Zeroizing<String>),
    /// A client certificate and its key, each PEM in Base64.
    Certificate { certificate: String, key: Zeroizing<String> },
}

/// All that stands in a kubeconfig.
pub(super) struct Kubeconfig<'a> {
    /// URL of the API.
    pub(super) server: &'a str,
    /// The cluster's authority, PEM.
    pub(super) authority: &'a str,
    /// The name of the entry for the cluster: two clusters of one name must not overwrite each other in a merged file.
    pub(super) cluster: &'a str,
    /// The name of the entry for the user.
    pub(super) user: &'a str,
    /// The name of the context.
    pub(super) context: &'a str,
    /// Where commands go that name no namespace.
    pub(super) namespace: Option<&'a str>,
    /// The credential.
    pub(super) proof: Proof,
}

impl Kubeconfig<'_> {
    /// The file's text, YAML.
    pub(super) fn render(&self) -> Zeroizing<String> {
        let Self { server, authority, cluster, user, context, namespace, proof } = self;
        let mut inside = json!({"cluster": cluster, "user": user});
        if let Some(namespace) = namespace {
            inside["namespace"] = (*namespace).into();
        }
        let credential = match proof {
            Proof::Token(token) => json!({"token": token.as_str()}),
            Proof::Certificate { certificate, key } => {
                json!({"client-certificate-data": certificate, "client-key-data": key.as_str()})
            }
        };
        let document = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": context,
            "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": BASE64_STANDARD.encode(authority)}}],
            "contexts": [{"name": context, "context": inside}],
            "users": [{"name": user, "user": credential}],
        });
        let mut text = String::new();
        // The emitter fails only when its target does, and a String does not.
        let _ = YamlEmitter::new(&mut text).dump(&yaml(&document));
        Zeroizing::new(format!("{}\n", text.trim_start_matches("---\n")))
    }
}

/// Takes certificate and key out of a kubeconfig that kubeadm wrote; nothing else of it is used.
pub(super) fn certificate_of(text: &str) -> Result<Proof, Error> {
    let unreadable = |why: &str| Error::Unreadable(format!("kubeadm's kubeconfig {why}"));
    let documents = YamlLoader::load_from_str(text).map_err(|_| unreadable("is not YAML"))?;
    let user = documents
        .first()
        .map(|document| &document["users"][0]["user"])
        .ok_or_else(|| unreadable("is empty"))?;
    let field = |name: &str| {
        user[name].as_str().map(str::to_owned).ok_or_else(|| unreadable("has no certificate"))
    };
    Ok(Proof::Certificate {
        certificate: field("client-certificate-data")?,
        key: Zeroizing::new(field("client-key-data")?),
    })
}

fn yaml(value: &Value) -> Yaml {
    match value {
        Value::Null => Yaml::Null,
        Value::Bool(flag) => Yaml::Boolean(*flag),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Yaml::Real(number.to_string()), Yaml::Integer)
        }
        Value::String(text) => Yaml::String(text.clone()),
        Value::Array(items) => Yaml::Array(items.iter().map(yaml).collect()),
        Value::Object(fields) => Yaml::Hash(
            fields
                .iter()
                .map(|(key, value)| (Yaml::String(key.clone()), yaml(value)))
                .collect::<Hash>(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_reads_as_written_and_begins_in_its_namespace() {
        let file = Kubeconfig {
            server: "https://10.40.19.201:6443",
            authority: "-----BEGIN CERTIFICATE-----\n",
            cluster: "demo-01jd",
            user: "kubesmith-01jd",
            context: "demo-web-01jd",
            namespace: Some("web"),
            proof: Proof::Token(Zeroizing::new("abc.def".to_owned())),
        };
        insta::assert_snapshot!(file.render().as_str());
    }

    #[test]
    fn what_kubeadm_writes_is_taken_apart_and_rubbish_is_refused() {
        let text = "apiVersion: v1\nusers:\n- name: x\n  user:\n    client-certificate-data: Yw==\n    client-key-data: aw==\n";
        let Ok(Proof::Certificate { certificate, key }) = certificate_of(text) else {
            panic!("no certificate")
        };
        assert_eq!((certificate.as_str(), key.as_str()), ("Yw==", "aw=="));
        for rubbish in ["", "users: []", "a: [", "users:\n- user: {token: x}\n"] {
            assert!(matches!(certificate_of(rubbish), Err(Error::Unreadable(_))), "{rubbish:?}");
        }
    }
}
