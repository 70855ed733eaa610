//! Bootstrap tokens: `kubeadm token create`, `list`, `delete`, `generate`.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::config::{array, text};
use crate::kube::{
    api,
    arguments::{self, Arguments},
    client::Client,
    kubeconfig::Kubeconfig,
    paths, pki, random_name, say, yaml,
};

const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";
const GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";
const DEFAULT_TTL: &str = "24h0m0s";

/// Splits `[a-z0-9]{6}.[a-z0-9]{16}`.
pub(super) fn parse(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let valid = |part: &str, length| {
        part.len() == length && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    (valid(id, 6) && valid(secret, 16)).then_some((id, secret))
}

pub(super) fn generate() -> String {
    format!("{}.{}", random_name(6), random_name(16))
}

/// The Secret of a token; a lifetime of 0 is for ever.
pub(super) fn secret(token: &str, ttl: Option<&str>, description: &str) -> anyhow::Result<Value> {
    secret_of(token, ttl, description, GROUP, &["authentication".to_owned(), "signing".to_owned()])
}

fn secret_of(
    token: &str,
    ttl: Option<&str>,
    description: &str,
    groups: &str,
    usages: &[String],
) -> anyhow::Result<Value> {
    let Some((id, secret)) = parse(token) else {
        bail!(
            "the bootstrap token \"{token}\" was not of the form \"\\A([a-z0-9]{{6}})\\.([a-z0-9]{{16}})\\z\""
        );
    };
    let ttl = arguments::duration(ttl.unwrap_or(DEFAULT_TTL))?;
    let until = jiff::Timestamp::now()
        + jiff::SignedDuration::try_from(ttl).context("the token's lifetime is too long")?;
    let expiration = (!ttl.is_zero()).then(|| until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    Ok(api::token_secret(id, secret, expiration.as_deref(), description, groups, usages))
}

pub(super) async fn create(arguments: &Arguments, token: Option<&str>) -> anyhow::Result<()> {
    let token = token.map_or_else(generate, str::to_owned);
    let list = |flag: &str, default: &[&str]| {
        let given = arguments.list(flag);
        if given.is_empty() { default.iter().map(|&part| part.to_owned()).collect() } else { given }
    };
    let (usages, groups) =
        (list("usages", &["signing", "authentication"]), list("groups", &[GROUP]));
    let description = arguments.value("description").unwrap_or_default();
    let secret =
        secret_of(&token, arguments.value("ttl"), description, &groups.join(","), &usages)?;
    let client = super::admin_client(arguments)?;
    match client.post(SECRETS, &secret).await {
        Err(error) if error.is(409) => bail!(
            "a token with id \"{}\" already exists",
            token.split('.').next().unwrap_or_default()
        ),
        other => other?,
    };
    if arguments.is_set("print-join-command") {
        say(join_command(&client, &token).await?);
    } else {
        say(token);
    }
    Ok(())
}

/// The command that joins a worker, from what the cluster says about itself.
async fn join_command(client: &Client, token: &str) -> anyhow::Result<String> {
    let info = client.get("/api/v1/namespaces/kube-public/configmaps/cluster-info").await?;
    let config = Kubeconfig::parse(text(&info["data"]["kubeconfig"]), None)
        .context("the cluster-info ConfigMap is not usable")?;
    let authority = match config.authority {
        Some(authority) => authority,
        None => paths::read(&format!("{}/ca.crt", paths::PKI))?,
    };
    let server = config.server.trim_start_matches("https://").to_owned();
    Ok(format!(
        "kubeadm join {server} --token {token} --discovery-token-ca-cert-hash {} ",
        pki::pin(&authority)?
    ))
}

struct Listed {
    token: String,
    expires: Option<String>,
    usages: String,
    description: String,
    groups: String,
}

async fn tokens(client: &Client) -> anyhow::Result<Vec<Listed>> {
    let secrets = client
        .get(&format!("{SECRETS}?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"))
        .await?;
    let tokens = array(&secrets["items"]).iter().map(|secret| {
        let field = |name: &str| api::secret_field(secret, name).unwrap_or_default();
        let usages = ["authentication", "signing"]
            .into_iter()
            .filter(|usage| field(&format!("usage-bootstrap-{usage}")) == "true");
        Listed {
            token: format!("{}.{}", field("token-id"), field("token-secret")),
            expires: Some(field("expiration")).filter(|expiration| !expiration.is_empty()),
            usages: usages.collect::<Vec<_>>().join(","),
            description: field("description"),
            groups: field("auth-extra-groups"),
        }
    });
    Ok(tokens.collect())
}

pub(super) async fn list(arguments: &Arguments) -> anyhow::Result<()> {
    let tokens = tokens(&super::admin_client(arguments)?).await?;
    if tokens.is_empty() {
        return Ok(());
    }
    if let Some(format @ ("json" | "yaml")) = arguments.value("output") {
        for token in tokens {
            let object = json!({
                "kind": "BootstrapToken", "apiVersion": "output.kubeadm.k8s.io/v1alpha3", "token": token.token,
                "description": token.description, "expires": token.expires, "usages": token.usages.split(',').collect::<Vec<_>>(),
                "groups": token.groups.split(',').collect::<Vec<_>>(),
            });
            say(if format == "json" { format!("{object:#}") } else { yaml::render(&object) });
        }
        return Ok(());
    }
    let mut rows = vec!["TOKEN TTL EXPIRES USAGES DESCRIPTION EXTRA GROUPS".replacen(
        "EXTRA GROUPS",
        "EXTRA\u{a0}GROUPS",
        1,
    )];
    for token in tokens {
        let left =
            token.expires.as_deref().and_then(|expires| expires.parse::<jiff::Timestamp>().ok());
        let left = left.map_or("<forever>".to_owned(), |expires| {
            let minutes = (expires.as_second() - jiff::Timestamp::now().as_second()).max(0) / 60;
            if minutes >= 180 { format!("{}h", minutes / 60) } else { format!("{minutes}m") }
        });
        let or_none = |text: String| {
            if text.is_empty() { "<none>".to_owned() } else { text.replace(' ', "\u{a0}") }
        };
        let expires = token.expires.unwrap_or_else(|| "<never>".to_owned());
        rows.push(
            [
                token.token,
                left,
                expires,
                token.usages,
                or_none(token.description),
                or_none(token.groups),
            ]
            .join(" "),
        );
    }
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.split(' ').collect()).collect();
    say(crate::kube::kubectl::columns(&rows).replace('\u{a0}', " "));
    Ok(())
}

pub(super) async fn delete(arguments: &Arguments, tokens: &[&str]) -> anyhow::Result<()> {
    if tokens.is_empty() {
        bail!(
            "missing argument; 'token delete' is missing token of form \"[a-z0-9]{{6}}\" or \"[a-z0-9]{{6}}.[a-z0-9]{{16}}\""
        );
    }
    let client = super::admin_client(arguments)?;
    for token in tokens {
        let id = token.split('.').next().unwrap_or_default();
        if id.len() != 6 || (token.contains('.') && parse(token).is_none()) {
            bail!(
                "given token didn't match pattern \"[a-z0-9]{{6}}\" or \"[a-z0-9]{{6}}.[a-z0-9]{{16}}\""
            );
        }
        if let Err(error) = client.delete(&format!("{SECRETS}/bootstrap-token-{id}")).await {
            bail!("failed to delete bootstrap token \"{id}\": {}", error.message());
        }
        say(format!("bootstrap token \"{id}\" deleted"));
    }
    Ok(())
}
