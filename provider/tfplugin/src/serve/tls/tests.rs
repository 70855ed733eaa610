use p521::ecdsa::SigningKey;
use p521::ecdsa::signature::Signer as _;
use rustls::client::ResolvesClientCert;
use rustls::sign::{CertifiedKey, Signer};
use rustls::{ClientConfig, RootCertStore, SignatureAlgorithm};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::*;

/// A client key on the host's curve.
#[derive(Debug, Clone)]
struct Key(SigningKey);

impl Key {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[&[0; 2][..], &[seed; 64]].concat()).unwrap())
    }

    /// A self-signed certificate, as short as one can be.
    fn certificate(&self) -> CertificateDer<'static> {
        let algorithm = der(0x30, &[&[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4]]);
        let point = self.0.verifying_key().to_sec1_point(false);
        let name = der(0x30, &[]);
        let validity =
            der(0x30, &[&der(0x17, &[b"200101000000Z"]), &der(0x17, &[b"490101000000Z"])]);
        let version: &[u8] = &[0xa0, 3, 2, 1, 2];
        let serial: &[u8] = &[2, 1, 1];
        let key = [&P521_KEY[..], point.as_bytes()].concat();
        let body = der(0x30, &[version, serial, &algorithm, &name, &validity, &name, &key]);
        let signature: Signature = self.0.sign(&body);
        let signature = der(0x03, &[&[0], signature.to_der().as_bytes()]);
        der(0x30, &[&body, &algorithm, &signature]).into()
    }
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    match content.len() {
        0..128 => [&[tag, length[7]], &content[..]].concat(),
        128..256 => [&[tag, 0x81, length[7]], &content[..]].concat(),
        _ => [&[tag, 0x82, length[6], length[7]], &content[..]].concat(),
    }
}

impl rustls::sign::SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let ours = SignatureScheme::ECDSA_NISTP521_SHA512;
        offered.contains(&ours).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: Signature = self.0.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}

/// What the client shows: a certificate and a key, which need not belong together, or nothing.
#[derive(Debug)]
struct Shows(Option<(CertificateDer<'static>, Arc<dyn rustls::sign::SigningKey>)>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let (certificate, key) = self.0.clone()?;
        Some(Arc::new(CertifiedKey::new(vec![certificate], key)))
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// Connects; what both sides think of it.
async fn connect(expected: &CertificateDer<'static>, shows: Shows) -> (bool, Option<String>) {
    let (acceptor, server_certificate) = acceptor(expected).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(server_certificate.into()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(shows));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let server = tokio::spawn(async move {
        match acceptor.accept(ours).await {
            Ok(mut stream) => {
                stream.write_all(b"welcome").await.unwrap();
                stream.shutdown().await.unwrap();
                None
            }
            Err(fault) => Some(fault.to_string()),
        }
    });
    let name = ServerName::try_from("localhost").unwrap();
    let mut heard = Vec::new();
    if let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, theirs).await {
        let _ = stream.read_to_end(&mut heard).await;
    }
    (heard == b"welcome", server.await.unwrap())
}

#[tokio::test]
async fn only_the_owner_of_the_pinned_certificate_is_served() {
    let (host, other) = (Key::new(1), Key::new(2));
    let pinned = host.certificate();

    let welcome = connect(&pinned, Shows(Some((pinned.clone(), Arc::new(host))))).await;
    assert_eq!(welcome, (true, None));

    let (served, why) = connect(&pinned, Shows(None)).await;
    assert!(!served && why.unwrap().contains("no certificate"));

    let stranger = Shows(Some((other.certificate(), Arc::new(other.clone()))));
    let (served, why) = connect(&pinned, stranger).await;
    assert!(!served && why.unwrap().contains("ApplicationVerificationFailure"));

    // A copy of the certificate without its key is worth nothing.
    let thief = Shows(Some((pinned.clone(), Arc::new(other))));
    let (served, why) = connect(&pinned, thief).await;
    assert!(!served && why.unwrap().contains("BadSignature"));
}

/// Should a later host choose a usual curve, the usual verification takes over.
#[tokio::test]
async fn another_curve_is_authenticated_too() {
    let [host, other] = [(); 2].map(|()| {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate, ring::sign::any_supported_type(&key).unwrap())
    });
    let pinned = host.0.clone();
    let thief = (pinned.clone(), other.1);
    assert_eq!(connect(&pinned, Shows(Some(host))).await, (true, None));
    let (served, why) = connect(&pinned, Shows(Some(thief))).await;
    assert!(!served && why.unwrap().contains("BadSignature"));
}

#[test]
fn a_certificate_that_is_none_is_refused_at_the_start() {
    assert!(acceptor(&CertificateDer::from(vec![1, 2, 3])).is_err());
}
