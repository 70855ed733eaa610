//! Who may speak with a provider: the owner of the certificate that Terraform announced, and
//! nobody else.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use p521::ecdsa::signature::Signer as _;
use p521::ecdsa::{Signature, SigningKey};
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::sign::{CertifiedKey, Signer};
use rustls::{ClientConfig, Error, RootCertStore, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;

use crate::process::{COOKIE, provider};
use crate::world::Running;

/// The start of a P-521 public key in a certificate, up to the uncompressed point.
const P521_KEY: [u8; 25] = [
    0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
    0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00,
];

/// The first bytes of an HTTP/2 connection: the preface and an empty SETTINGS frame.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

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
struct Shows(Option<Identity>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let (certificate, key) = self.0.clone()?;
        Some(Arc::new(CertifiedKey::new(vec![certificate], key)))
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// A certificate and its key.
type Identity = (CertificateDer<'static>, Arc<dyn rustls::sign::SigningKey>);

/// One on the curve that Terraform uses.
fn on_the_host_s_curve(seed: u8) -> Identity {
    let key = Key::new(seed);
    (key.certificate(), Arc::new(key))
}

/// One on P-256.
fn on_another_curve() -> Identity {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (certificate, ring::sign::any_supported_type(&key).unwrap())
}

/// A provider that waits for the owner of a certificate.
struct Waiting {
    _process: Running,
    socket: String,
    certificate: CertificateDer<'static>,
}

impl Waiting {
    fn of(announced: &CertificateDer<'_>) -> Self {
        let body = STANDARD.encode(announced);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        let mut command = provider();
        command
            .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
            .env("PLUGIN_CLIENT_CERT", pem)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = Running::start(&mut command);
        let mut line = String::new();
        BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
        let fields: Vec<_> = line.trim_end().split('|').collect();
        assert_eq!((fields[..3].join("|"), fields[4]), ("1|6|unix".to_owned(), "grpc"));
        let certificate = STANDARD_NO_PAD.decode(fields[5]).unwrap().into();
        Self { _process: process, socket: fields[3].to_owned(), certificate }
    }

    /// Does it answer whoever shows this?
    async fn serves(&self, shows: Option<Identity>) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Shows(shows)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let Ok(mut stream) = connected else { return false };
        let mut answer = [0; 9];
        let asked = stream.write_all(HELLO).await;
        asked.is_ok() && stream.read_exact(&mut answer).await.is_ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It is killed, so it cannot tidy up itself.
        let _ = std::fs::remove_dir_all(std::path::Path::new(&self.socket).parent().unwrap());
    }
}

#[tokio::test]
async fn only_the_owner_of_the_announced_certificate_is_served() {
    let (host, other) = (on_the_host_s_curve(1), on_the_host_s_curve(2));
    let provider = Waiting::of(&host.0);
    assert!(!provider.serves(None).await, "without a certificate");
    assert!(!provider.serves(Some(other.clone())).await, "with another certificate");
    assert!(!provider.serves(Some(on_another_curve())).await, "with one of another curve");
    // A copy of the certificate without its key is worth nothing.
    let thief = (host.0.clone(), other.1);
    assert!(!provider.serves(Some(thief)).await, "with a stolen certificate");
    let thief = (host.0.clone(), on_another_curve().1);
    assert!(!provider.serves(Some(thief)).await, "with a stolen certificate and another curve");
    // And all of that did it no harm.
    assert!(provider.serves(Some(host)).await, "with the announced certificate");
}

/// Should a later Terraform choose a usual curve, the usual verification takes over.
#[tokio::test]
async fn another_curve_is_authenticated_too() {
    let (host, other) = (on_another_curve(), on_another_curve());
    let provider = Waiting::of(&host.0);
    assert!(!provider.serves(None).await, "without a certificate");
    assert!(!provider.serves(Some(other.clone())).await, "with another certificate");
    assert!(!provider.serves(Some(on_the_host_s_curve(1))).await, "with one of another curve");
    assert!(!provider.serves(Some((host.0.clone(), other.1))).await, "with a stolen certificate");
    assert!(provider.serves(Some(host)).await, "with the announced certificate");
}
