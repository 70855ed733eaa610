//! A cluster's SSH key pair, and the pinned host keys of its machines.
//!
//! One Ed25519 key pair a cluster. Host keys are pinned at first contact, within the create, and
//! checked strictly ever after.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use kubesmith_process::{Error, Tool};
use kubesmith_spec::Nonce;
use sha2::{Digest, Sha256};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey, PublicKey};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use crate::wait::{Limits, Look, Pacing, WaitError, until};

/// How long a machine of the same network may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// The key pair with which a cluster's machines are entered.
pub(crate) struct KeyPair {
    private: PrivateKey,
}

/// A private key that cannot be used. Never shows the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not an unencrypted Ed25519 private key in OpenSSH format")]
pub(crate) struct BadKey;

impl KeyPair {
    /// A new key pair; the comment is what people see in `authorized_keys`.
    pub(crate) fn generate(comment: &str) -> Self {
        let seed = Zeroizing::new(rand::random::<[u8; 32]>());
        let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
        Self {
            private: PrivateKey::new(pair, comment)
                .expect("an Ed25519 key pair of 32 bytes always encodes"),
        }
    }

    /// Reads a private key in OpenSSH format.
    pub(crate) fn parse(pem: &str) -> Result<Self, BadKey> {
        let private = PrivateKey::from_openssh(pem).map_err(|_| BadKey)?;
        private.key_data().ed25519().ok_or(BadKey)?;
        Ok(Self { private })
    }

    /// The private key in OpenSSH format.
    pub(crate) fn private_text(&self) -> Zeroizing<String> {
        self.private.to_openssh(LineEnding::LF).expect("a key that was made or read can be written")
    }

    /// The line for `authorized_keys`.
    pub(crate) fn public_line(&self) -> String {
        self.private.public_key().to_openssh().expect("a key that was made or read can be written")
    }

    /// A short mark of the key, which stands in the stamp of every machine that was made for it: who
    /// finds another mark knows that this key does not open that machine.
    pub(crate) fn nonce(&self) -> Nonce {
        let bytes = self.private.key_data().ed25519().map(|pair| pair.public.0).unwrap_or_default();
        let digest = Sha256::digest(bytes);
        Nonce::from_bits(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.nonce())
    }
}

/// Pinned host keys, in the format of a `known_hosts` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownHosts(BTreeMap<Ipv4Addr, String>);

impl KnownHosts {
    /// Reads the text; lines that are not of the form *address type key* are left out.
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(host_key).collect())
    }

    /// Whether this machine's key is pinned.
    pub(crate) fn contains(&self, address: Ipv4Addr) -> bool {
        self.0.contains_key(&address)
    }

    /// The pinned key, as `type key`.
    pub(crate) fn get(&self, address: Ipv4Addr) -> Option<&str> {
        self.0.get(&address).map(String::as_str)
    }

    /// Pins the key of a machine.
    pub(crate) fn pin(&mut self, address: Ipv4Addr, key: String) {
        self.0.insert(address, key);
    }

    /// Forgets the key of a machine that is gone.
    pub(crate) fn forget(&mut self, address: Ipv4Addr) {
        self.0.remove(&address);
    }
}

impl fmt::Display for KnownHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(address, key)| writeln!(f, "{address} {key}"))
    }
}

/// `ssh-keyscan` cannot be used, or there was no host key in time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// The program does not run.
    #[error(transparent)]
    Program(Error),
    /// No answer in time.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

/// Waits until the machine answers over SSH and returns its Ed25519 host key. Nothing is known of the
/// machine before, so this is only for its first contact or to compare.
pub(crate) async fn scan(address: Ipv4Addr, limits: &Limits) -> Result<String, ScanError> {
    let tool = Tool::new("ssh-keyscan")
        .args(["-t", "ed25519", "-T", "5", &address.to_string()])
        .env_remove("KUBESMITH_API_TOKEN")
        .timeout(Duration::from_secs(20));
    let look = || async {
        // Asking for a connection first is cheaper than a child, and says more.
        match tokio::time::timeout(CONNECT, TcpStream::connect((address, 22))).await {
            Err(_) => return Look::NotYet(format!("no answer from {address} port 22")),
            Ok(Err(error)) => return Look::NotYet(format!("{address} port 22: {error}")),
            Ok(Ok(_)) => {}
        }
        match tool.output(&limits.cancel).await {
            Ok(output) => match scanned(&output.stdout, address) {
                Some(key) => Look::Ready(Ok(key)),
                None => Look::NotYet(format!(
                    "{address} accepts connections but shows no Ed25519 host key"
                )),
            },
            Err(error @ (Error::NotFound { .. } | Error::Start { .. })) => {
                Look::Ready(Err(ScanError::Program(error)))
            }
            Err(error) => Look::NotYet(format!("{address} accepts connections, but {error}")),
        }
    };
    until(&format!("SSH on {address}"), limits, Pacing::SWIFT, look).await?
}

/// The host key of `address` in the output of `ssh-keyscan`, if there is a valid one.
fn scanned(output: &str, address: Ipv4Addr) -> Option<String> {
    output.lines().filter_map(host_key).find(|(host, _)| *host == address).map(|(_, key)| key)
}

fn host_key(line: &str) -> Option<(Ipv4Addr, String)> {
    let mut words = line.split_whitespace();
    let address = words.next()?.parse().ok()?;
    let key = format!("{} {}", words.next()?, words.next()?);
    PublicKey::from_openssh(&key).ok()?;
    Some((address, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_pair_survives_being_written_and_keeps_its_mark() {
        let pair = KeyPair::generate("kubesmith demo");
        let read = KeyPair::parse(&pair.private_text()).unwrap();
        assert_eq!(read.public_line(), pair.public_line());
        assert_eq!(read.nonce(), pair.nonce());
        assert_ne!(KeyPair::generate("kubesmith demo").nonce(), pair.nonce());
        assert!(
            pair.public_line().starts_with("ssh-ed25519 ")
                && pair.public_line().ends_with(" kubesmith demo")
        );
        assert_eq!(
            KeyPair::parse("not a key").unwrap_err().to_string(),
            "it is not an unencrypted Ed25519 private key in OpenSSH format"
        );
        assert!(!format!("{pair:?}").contains("PRIVATE"));
    }

    #[test]
    fn host_keys_are_pinned_by_address_and_rubbish_is_left_out() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
        let output = format!(
            "# 10.40.19.201:22 SSH-2.0-OpenSSH_10.0\n10.40.19.201 {key}\n10.40.19.202 ssh-ed25519 x\n"
        );
        let address = Ipv4Addr::new(10, 40, 19, 201);
        assert_eq!(scanned(&output, address).as_deref(), Some(key));
        assert_eq!(scanned(&output, Ipv4Addr::new(10, 40, 19, 202)), None);

        let mut hosts = KnownHosts::default();
        hosts.pin(address, key.to_owned());
        assert_eq!(hosts.to_string(), format!("10.40.19.201 {key}\n"));
        assert_eq!(KnownHosts::parse(&hosts.to_string()), hosts);
    }
}
