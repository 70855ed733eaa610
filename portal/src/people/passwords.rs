//! Passwords: Argon2id, a few at a time, away from the threads that serve requests.

use std::sync::{Arc, OnceLock};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The least that is accepted, in characters. No rules of composition: length is what counts.
pub const SHORTEST: usize = 12;
/// The most, so that nobody makes us hash a novel.
pub const LONGEST: usize = 256;

/// Each hash takes 19 MiB and some ten milliseconds of one core: more at once would only be in each other's way.
const AT_ONCE: usize = 2;

/// Hashes and checks passwords.
pub struct Passwords(Arc<Semaphore>);

/// What is wrong with a password that somebody wants to have; `None` if nothing is.
pub fn problem(password: &str, login: &str) -> Option<String> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Some(format!(
            "Use at least {SHORTEST} characters; a few words in a row will do. This has {length}."
        ));
    }
    if length > LONGEST {
        return Some(format!("Use at most {LONGEST} characters."));
    }
    let lower = password.to_lowercase();
    let few = lower.chars().collect::<std::collections::BTreeSet<_>>().len() < 4;
    let guessable = ["password", "kubesmith", "123456789012", "qwertyuiop"].iter().any(|word| {
        lower.trim_matches(|c: char| !c.is_alphabetic()) == *word
            || lower.replace(word, "").chars().count() < 4
    });
    if few || guessable || (login.len() > 3 && lower.replace(login, "").chars().count() < 6) {
        return Some(
            "This is too easy to guess: take a few words that have nothing to do with each other."
                .to_owned(),
        );
    }
    None
}

impl Passwords {
    /// None are hashed yet.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// The hash to store.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String> {
        self.run(move || {
            Argon2::default()
                .hash_password(password.as_bytes())
                .map(|hash: PasswordHash| hash.to_string())
        })
        .await?
        .map_err(Error::internal)
    }

    /// Whether it is the password. Takes as long when there is no hash to compare with: who has an account is nobody's business.
    pub async fn verify(
        &self,
        password: Zeroizing<String>,
        stored: Option<String>,
    ) -> Result<bool> {
        self.run(move || {
            let known = stored.is_some();
            let stored = stored.unwrap_or_else(|| nobodys().to_owned());
            let right = PasswordHash::new(&stored).is_ok_and(|hash| {
                Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
            });
            known && right
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await
        .map_err(Error::internal)
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

/// The hash of a password that nobody knows.
fn nobodys() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let secret = super::secrets::Secret::new();
        Argon2::default()
            .hash_password(secret.reveal().as_bytes())
            .map(|hash: PasswordHash| hash.to_string())
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_guessable_passwords_are_refused() {
        for bad in [
            "",
            "admin",
            "elevenchars",
            "aaaaaaaaaaaaaaaa",
            "password1234",
            "Password!!!!!!",
            "qwertyuiop12",
            "student7student7",
        ] {
            assert!(problem(bad, "student7").is_some(), "{bad:?}");
        }
        for good in ["correct horse battery", "öffnet sich im märz", "4kJ8s;2mQx!p"] {
            assert_eq!(problem(good, "student7"), None, "{good:?}");
        }
    }

    #[tokio::test]
    async fn a_password_is_recognised_and_nobody_has_one_by_default() {
        let passwords = Passwords::new();
        let right = || Zeroizing::new("correct horse battery".to_owned());
        let stored = passwords.hash(right()).await.expect("hashed");
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert!(passwords.verify(right(), Some(stored.clone())).await.expect("checked"));
        assert!(
            !passwords
                .verify(Zeroizing::new("wrong horse battery".to_owned()), Some(stored))
                .await
                .expect("checked")
        );
        assert!(!passwords.verify(right(), None).await.expect("checked"));
        assert!(!passwords.verify(right(), Some(String::new())).await.expect("checked"));
    }
}
