//! Mutual TLS with the host, each side trusting exactly one certificate.
//!
//! The host's certificate is self-signed, on the curve P-521 and marked as an authority. The
//! usual verifiers refuse it or never ask for it, and the usual way out is to authenticate
//! nobody. We compare it with the one in our environment and check that the peer has its key.

use std::fmt;
use std::sync::Arc;

use p521::ecdsa::signature::Verifier as _;
use p521::ecdsa::{Signature, VerifyingKey};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::TlsAcceptor;

/// Makes our own certificate, and accepts no peer but the owner of `client`.
pub(super) fn acceptor(
    client: &CertificateDer<'static>,
) -> Result<(TlsAcceptor, Vec<u8>), Box<dyn std::error::Error>> {
    let key = rcgen::KeyPair::generate()?;
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = parameters.self_signed(&key)?.der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der())?;

    let provider = Arc::new(ring::default_provider());
    let verifier = OnlyThisClient::new(client.clone(), Arc::clone(&provider))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(vec![certificate.clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), certificate.to_vec()))
}

struct OnlyThisClient {
    certificate: CertificateDer<'static>,
    key: ClientKey,
    provider: Arc<CryptoProvider>,
}

/// The key of the pinned certificate.
enum ClientKey {
    /// What the host has today; ring does not know this curve.
    P521(Box<VerifyingKey>),
    /// Whatever a later host may choose among what ring knows.
    Other,
}

/// The start of a P-521 public key in a certificate, up to the uncompressed point.
const P521_KEY: [u8; 25] = [
    0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
    0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00,
];

impl OnlyThisClient {
    fn new(
        certificate: CertificateDer<'static>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let info = ParsedCertificate::try_from(&certificate)?.subject_public_key_info();
        let key = match info.strip_prefix(&P521_KEY) {
            Some(point) => ClientKey::P521(Box::new(VerifyingKey::from_sec1_bytes(point)?)),
            None => ClientKey::Other,
        };
        Ok(Self { certificate, key, provider })
    }
}

impl fmt::Debug for OnlyThisClient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OnlyThisClient").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for OnlyThisClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if end_entity.as_ref() == self.certificate.as_ref() {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    /// The key is the pinned one's, whatever certificate comes with the message.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.key {
            ClientKey::P521(key) if signed.scheme == SignatureScheme::ECDSA_NISTP521_SHA512 => {
                Signature::from_der(signed.signature())
                    .and_then(|signature| key.verify(message, &signature))
                    .map(|()| HandshakeSignatureValid::assertion())
                    .map_err(|_| CertificateError::BadSignature.into())
            }
            ClientKey::P521(_) => Err(CertificateError::BadSignature.into()),
            ClientKey::Other => rustls::crypto::verify_tls13_signature(
                message,
                &self.certificate,
                signed,
                &self.provider.signature_verification_algorithms,
            ),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self.key {
            ClientKey::P521(_) => vec![SignatureScheme::ECDSA_NISTP521_SHA512],
            ClientKey::Other => self.provider.signature_verification_algorithms.supported_schemes(),
        }
    }
}
