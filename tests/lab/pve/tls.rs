//! The cluster's certificate authority and the certificate that the API shows.

use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};

/// Who the server is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) ca_pem: String,
    pub(crate) leaf_pem: String,
    /// SHA-256 of the leaf, as Proxmox shows it.
    pub(crate) fingerprint: String,
}

/// Makes an authority and a certificate for this machine and the nodes' names.
pub(crate) fn identity(nodes: &[String]) -> Result<(Identity, Arc<ServerConfig>)> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "Proxmox Virtual Environment");
    let authority_key = KeyPair::generate()?;
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let mut names = vec!["127.0.0.1".to_owned(), "::1".to_owned(), "localhost".to_owned()];
    names.extend(nodes.iter().cloned());
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, nodes.first().cloned().unwrap_or_default());
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &issuer)?;
    let hex: Vec<_> = Sha256::digest(leaf.der()).iter().map(|byte| format!("{byte:02X}")).collect();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(leaf_key.serialize_der()).map_err(anyhow::Error::msg)?;
    // No ALPN is offered, as on the real thing: HTTP/1.1 is all there is.
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .context("cannot use the certificate that was just made")?;
    let identity = Identity { ca_pem, leaf_pem: leaf.pem(), fingerprint: hex.join(":") };
    Ok((identity, Arc::new(config)))
}
