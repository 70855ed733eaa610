//! Random secrets, and the hashes under which they are kept.
//!
//! One round of SHA-256 is right here: the secrets have 256 random bits, so that there is nothing to guess. Passwords, which
//! people choose, are another matter: see [`super::passwords`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A secret of 256 random bits, as text without special characters.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A new one.
    pub fn new() -> Self {
        let bits: [u8; 32] = rand::random();
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bits)))
    }

    /// For the one moment in which it is shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What may be stored.
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::new()
    }
}

/// What is stored of a secret that was presented.
pub fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// Whether a presented secret is the one whose hash was stored; takes as long for any two of the same length.
pub fn matches(secret: &str, stored: &str) -> bool {
    hash(secret).as_bytes().ct_eq(stored.as_bytes()).into()
}

/// A key as its owner holds it: `ks_` + 12 characters to look it up by + `_` + the secret.
pub struct ApiKey {
    /// Public: it may stand in lists and logs.
    pub id: String,
    /// The secret part.
    pub secret: Secret,
}

/// Letters and digits that are not mistaken for each other.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

impl ApiKey {
    /// A new one.
    pub fn new() -> Self {
        let bits: [u8; 12] = rand::random();
        let id = bits.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
        Self { id, secret: Secret::new() }
    }

    /// The whole key, shown once.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("ks_{}_{}", self.id, self.secret.reveal()))
    }

    /// The public and the secret part of a key that was presented.
    pub fn split(text: &str) -> Option<(&str, &str)> {
        let (id, secret) = text.strip_prefix("ks_")?.split_once('_')?;
        (id.len() == 12 && secret.len() == 43).then_some((id, secret))
    }
}

impl Default for ApiKey {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_apart_and_its_secret_recognised() {
        let key = ApiKey::new();
        let shown = key.reveal();
        let (id, secret) = ApiKey::split(&shown).expect("our own");
        assert_eq!(id, key.id);
        assert!(matches(secret, &key.secret.hash()));
        assert!(!matches(Secret::new().reveal(), &key.secret.hash()));
        for other in ["", "ks_", "ks_short_x", &shown[1..], &shown[..shown.len() - 1]] {
            assert!(ApiKey::split(other).is_none(), "{other}");
        }
    }
}
