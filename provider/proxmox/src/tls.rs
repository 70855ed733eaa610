//! Whom we believe to be the Proxmox server.
//!
//! Every refusal carries the fingerprint that was seen, because the cure is to compare it with the server's own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::error::{Class, Error};

/// How the server proves itself.
#[derive(Debug, Clone)]
pub enum Trust {
    /// By a certificate that the machine's own list of authorities leads to.
    SystemRoots,
    /// By a certificate of this authority (PEM); usually the cluster's own, `/etc/pve/pve-root-ca.pem`.
    Ca(Vec<u8>),
    /// By being one of exactly these certificates. Names and dates are not looked at.
    Fingerprints(Vec<Fingerprint>),
}

/// SHA-256 of a certificate, as Proxmox shows it: 32 bytes in hex, colons between them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// The text is no SHA-256 fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no SHA-256 fingerprint (64 hex digits, colons allowed)")]
pub struct InvalidFingerprint(String);

/// Inside rustls' error: what was wrong, and with which certificate.
#[derive(Debug)]
struct NotTrusted {
    seen: Fingerprint,
    reason: String,
}

pub(crate) fn config(trust: &Trust) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = match trust {
        Trust::SystemRoots => system_roots()?,
        Trust::Ca(pem) => ca_roots(pem)?,
        Trust::Fingerprints(allowed) if allowed.is_empty() => {
            return Err(invalid("no fingerprint is given"));
        }
        Trust::Fingerprints(_) => RootCertStore::empty(),
    };
    let verifier = match trust {
        Trust::Fingerprints(allowed) => {
            Verifier { provider: Arc::clone(&provider), rule: Rule::OneOf(allowed.clone()) }
        }
        Trust::SystemRoots | Trust::Ca(_) => {
            let inner =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .expect("there are roots, and there is no revocation list to be wrong");
            Verifier { provider: Arc::clone(&provider), rule: Rule::WebPki(inner) }
        }
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// What a failed handshake says about the certificate, if that is why it failed.
pub(crate) fn refusal(error: &rustls::Error) -> Option<(Class, String)> {
    let rustls::Error::InvalidCertificate(certificate) = error else { return None };
    if let CertificateError::Other(OtherError(other)) = certificate
        && let Some(NotTrusted { seen, reason }) = other.downcast_ref()
    {
        let message =
            format!("the server's certificate is not trusted: {reason}; its fingerprint is {seen}");
        return Some((Class::Tls { seen_fingerprint: Some(seen.to_string()) }, message));
    }
    Some((
        Class::Tls { seen_fingerprint: None },
        format!("the server's certificate is not trusted: {error}"),
    ))
}

fn system_roots() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(invalid(
            "this machine has no certificate authorities; set ca_file or fingerprint",
        ));
    }
    Ok(roots)
}

fn ca_roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| invalid(format!("the CA is not valid PEM: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| invalid(format!("the CA certificate is not valid: {error}")))?;
    }
    if roots.is_empty() { Err(invalid("the CA file holds no certificate")) } else { Ok(roots) }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::local(Class::Tls { seen_fingerprint: None }, message)
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    WebPki(Arc<WebPkiServerVerifier>),
    OneOf(Vec<Fingerprint>),
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen = Fingerprint::of(end_entity);
        let reason = match &self.rule {
            Rule::OneOf(allowed) if allowed.contains(&seen) => {
                return Ok(ServerCertVerified::assertion());
            }
            Rule::OneOf(_) => "it has another fingerprint than the configured one".to_owned(),
            Rule::WebPki(inner) => {
                match inner.verify_server_cert(
                    end_entity,
                    intermediates,
                    server_name,
                    ocsp_response,
                    now,
                ) {
                    Ok(verified) => return Ok(verified),
                    Err(rustls::Error::InvalidCertificate(error)) => explain(&error),
                    Err(error) => error.to_string(),
                }
            }
        };
        let other = OtherError(Arc::new(NotTrusted { seen, reason }));
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn explain(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "its issuer is not known here".to_owned(),
        // Authorities of two clusters may well have the same name.
        CertificateError::BadSignature => {
            "its issuer only has the name of one that is known here".to_owned()
        }
        other => other.to_string(),
    }
}

impl Fingerprint {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let invalid = || InvalidFingerprint(text.chars().take(120).collect());
        let digits: Vec<u8> =
            text.bytes().filter(|b| *b != b':' && !b.is_ascii_whitespace()).collect();
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(invalid());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.write_str(&text.join(":"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NotTrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for NotTrusted {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let plain = "ab".repeat(32);
        let shown = vec!["AB"; 32].join(":");
        let parsed: Fingerprint = plain.parse().unwrap();
        assert_eq!(parsed.to_string(), shown);
        assert_eq!(shown.parse::<Fingerprint>().unwrap(), parsed);
        for wrong in ["", "ab", &"ab".repeat(31), &"zz".repeat(32)] {
            let error = wrong.parse::<Fingerprint>().unwrap_err().to_string();
            assert!(error.ends_with(" is no SHA-256 fingerprint (64 hex digits, colons allowed)"));
        }
    }

    #[test]
    fn a_ca_that_is_none_is_refused_at_once() {
        let error = config(&Trust::Ca(b"hello".to_vec())).unwrap_err();
        assert_eq!(error.to_string(), "the CA file holds no certificate");
        let error = config(&Trust::Fingerprints(Vec::new())).unwrap_err();
        assert_eq!(error.to_string(), "no fingerprint is given");
    }
}
