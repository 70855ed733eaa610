//! Secrets are taken out of everything that a run tells. PURE.
//!
//! Terraform and the provider show none; a program behind them that prints its environment or its input might.

use std::sync::LazyLock;

use regex::Regex;
use zeroize::Zeroizing;

/// What stands where one stood.
const TAKEN_OUT: &str = "[secret]";
/// Shorter words may stand in any text by chance.
const SHORTEST: usize = 16;

/// What must not be read: the secrets of this run, and whatever has the shape of one.
#[derive(Default)]
pub struct Redaction(Vec<Zeroizing<String>>);

/// Private keys, keys of this portal and of Proxmox, bootstrap tokens, a kubeconfig's credentials, JSON web tokens.
static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    let shapes = [
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        r"\bks_[a-z0-9]{12}_[A-Za-z0-9_-]{43}",
        r"PVEAPIToken[= ]\S+",
        r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b",
        r"(?:client-key-data|token): *[A-Za-z0-9+/=._-]{24,}",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    ];
    Regex::new(&shapes.join("|")).expect("a test compiles it")
});

impl Redaction {
    /// Hides every long word of this text from now on: a token as it is, a key line by line.
    pub fn hide(&mut self, text: &str) {
        let words = text.split_whitespace().filter(|word| word.len() >= SHORTEST);
        self.0.extend(words.map(|word| Zeroizing::new(word.to_owned())));
    }

    /// The text without them.
    pub fn apply(&self, text: &str) -> String {
        let mut clean = SHAPES.replace_all(text, TAKEN_OUT).into_owned();
        for secret in &self.0 {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), TAKEN_OUT);
            }
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_shape_of_a_secret_is_taken_out() {
        let key = format!("ks_{}_{}", "a".repeat(12), "B".repeat(43));
        for (text, clean) in [
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\nok",
                "[secret]\nok",
            ),
            ("cut off: -----BEGIN RSA PRIVATE KEY-----\nabc", "cut off: [secret]"),
            (&format!("curl -u key:{key} x"), "curl -u key:[secret] x"),
            ("Authorization: PVEAPIToken=u@pve!t=0a1b2c3d", "Authorization: [secret]"),
            ("kubeadm join --token abcdef.0123456789abcdef x", "kubeadm join --token [secret] x"),
            ("    client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURQ==", "    [secret]"),
            ("Bearer eyJhbGciOiJSUzI1NiIs.eyJpc3MiOiJrdWJlcm5l.c2ln", "Bearer [secret]"),
            (
                "module.cluster.kubesmith_cluster.this: Creating...",
                "module.cluster.kubesmith_cluster.this: Creating...",
            ),
            (
                "demo-worker-1 at 10.40.19.202 has the token of nobody",
                "demo-worker-1 at 10.40.19.202 has the token of nobody",
            ),
        ] {
            assert_eq!(Redaction::default().apply(text), clean);
        }
    }

    #[test]
    fn the_secrets_of_a_run_are_taken_out_wherever_they_stand() {
        let mut redaction = Redaction::default();
        redaction.hide("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
        redaction.hide("-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0B\nshort\n");
        let text = "x0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0y MIIEvQIBADANBgkqhkiG9w0B short";
        assert_eq!(redaction.apply(text), "x[secret]y [secret] short");
    }
}
