//! Client certificates, as the real server treats them: anybody's is taken in the handshake, and judged afterwards, so
//! that a wrong or an ended one is answered with a Status instead of a broken connection.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::kube::pki;

/// Who the other end of a connection is by its certificate.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// It showed none.
    Nobody,
    /// It showed one of another authority, or one that has ended.
    Unknown,
    /// The user and the groups that the cluster's authority vouches for.
    User(String, Vec<String>),
}

/// Takes every client certificate whose key its owner has; [`Clients::judge`] says what it is worth.
#[derive(Debug)]
pub(super) struct Clients(pub(super) Arc<dyn ClientCertVerifier>);

impl Clients {
    /// Who shows this chain of certificates.
    pub(super) fn judge(&self, chain: Option<&[CertificateDer<'_>]>) -> Peer {
        let Some((first, rest)) = chain.and_then(<[_]>::split_first) else { return Peer::Nobody };
        match self.0.verify_client_cert(first, rest, UnixTime::now()) {
            Ok(_) => pki::certificate_subject(first)
                .map_or(Peer::Unknown, |(name, groups)| Peer::User(name, groups)),
            Err(_) => Peer::Unknown,
        }
    }
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
