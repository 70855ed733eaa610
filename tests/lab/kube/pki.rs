//! Certificates as kubeadm makes them, with ECDSA P-256 keys (its `encryptionAlgorithm` for speed).

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use sha2::{Digest as _, Sha256};

const DAY: Duration = Duration::from_hours(24);

/// Leaf certificates live a year, authorities ten.
pub(super) const LEAF: Duration = Duration::from_hours(24 * 365);
pub(super) const AUTHORITY: Duration = Duration::from_hours(24 * 3650);

/// A certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Who a client certificate says it is: the user is the common name, the groups are the organizations.
pub(super) struct Subject<'a> {
    pub(super) common_name: &'a str,
    pub(super) organizations: &'a [&'a str],
}

/// What a leaf certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Client,
    Server,
    Both,
}

fn valid_for(parameters: &mut CertificateParams, lifetime: Duration) {
    let now = SystemTime::now();
    // A guest's clock may be a moment behind.
    parameters.not_before = (now - Duration::from_mins(5)).into();
    parameters.not_after = (now + lifetime).into();
}

fn name(subject: &Subject<'_>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for organization in subject.organizations {
        name.push(DnType::OrganizationName, *organization);
    }
    name.push(DnType::CommonName, subject.common_name);
    name
}

/// A self-signed authority.
pub(super) fn authority(common_name: &str) -> anyhow::Result<Pair> {
    let key = KeyPair::generate().context("failed to generate a key")?;
    let mut parameters = CertificateParams::default();
    valid_for(&mut parameters, AUTHORITY);
    parameters.distinguished_name = name(&Subject { common_name, organizations: &[] });
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    parameters.subject_alt_names = vec![SanType::DnsName(common_name.try_into()?)];
    let certificate =
        parameters.self_signed(&key).context("failed to sign a certificate authority")?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn issuer(authority: &Pair) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let key = KeyPair::from_pem(&authority.key).context("failed to read the authority's key")?;
    Issuer::from_ca_cert_pem(&authority.certificate, key)
        .context("failed to read the authority's certificate")
}

/// A leaf certificate; `names` may be DNS names and addresses.
pub(super) fn leaf(
    authority: &Pair,
    subject: &Subject<'_>,
    usage: Usage,
    names: &[String],
    lifetime: Duration,
) -> anyhow::Result<Pair> {
    let key = KeyPair::generate().context("failed to generate a key")?;
    let mut parameters = leaf_parameters(name(subject), usage, lifetime);
    for name in names {
        parameters.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(
                name.as_str()
                    .try_into()
                    .with_context(|| format!("\"{name}\" is not a DNS name"))?,
            ),
        });
    }
    let certificate =
        parameters.signed_by(&key, &issuer(authority)?).context("failed to sign a certificate")?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn leaf_parameters(name: DistinguishedName, usage: Usage, lifetime: Duration) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    valid_for(&mut parameters, lifetime);
    parameters.distinguished_name = name;
    parameters.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    parameters.extended_key_usages = match usage {
        Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Usage::Both => {
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
        }
    };
    parameters
}

/// A certificate signing request and the key it is for.
pub(super) fn request(subject: &Subject<'_>) -> anyhow::Result<Pair> {
    let key = KeyPair::generate().context("failed to generate a key")?;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = name(subject);
    let request = parameters
        .serialize_request(&key)
        .context("failed to make a certificate signing request")?;
    Ok(Pair { certificate: request.pem()?, key: key.serialize_pem() })
}

/// Signs a request: its subject and its key, and nothing else that it may ask for.
pub(super) fn sign_request(
    authority: &Pair,
    request: &str,
    usage: Usage,
    lifetime: Duration,
) -> anyhow::Result<String> {
    let request = CertificateSigningRequestParams::from_pem(request)
        .context("failed to read the certificate signing request")?;
    let mut parameters =
        leaf_parameters(request.params.distinguished_name.clone(), usage, lifetime);
    if usage != Usage::Client {
        parameters.subject_alt_names.clone_from(&request.params.subject_alt_names);
    }
    let signed = parameters
        .signed_by(&request.public_key, &issuer(authority)?)
        .context("failed to sign the request")?;
    Ok(signed.pem())
}

/// The user and groups that a request's or a certificate's subject names.
pub(super) fn request_subject(request: &str) -> anyhow::Result<(String, Vec<String>)> {
    let request = CertificateSigningRequestParams::from_pem(request)
        .context("failed to read the certificate signing request")?;
    let (mut user, mut groups) = (String::new(), Vec::new());
    for (kind, value) in request.params.distinguished_name.iter() {
        let text = match value {
            rcgen::DnValue::Utf8String(text) => text.clone(),
            rcgen::DnValue::PrintableString(text) => text.as_str().to_owned(),
            _ => continue,
        };
        match kind {
            DnType::CommonName => user = text,
            DnType::OrganizationName => groups.push(text),
            _ => {}
        }
    }
    Ok((user, groups))
}

/// A key pair without a certificate, for signing service account tokens: (private, public), PEM.
pub(super) fn signing_key() -> anyhow::Result<(String, String)> {
    let key = KeyPair::generate().context("failed to generate a key")?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// The DER of every certificate in a PEM text.
pub(super) fn certificates(
    pem: &str,
) -> anyhow::Result<Vec<rustls_pki_types::CertificateDer<'static>>> {
    use rustls_pki_types::pem::PemObject as _;
    let all: Vec<_> = rustls_pki_types::CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| anyhow::anyhow!("failed to read a certificate: {error}"))?;
    if all.is_empty() {
        bail!("the text holds no certificate");
    }
    Ok(all)
}

/// kubeadm's pin of an authority: `sha256:` and the hash of its public key.
pub(super) fn pin(certificate: &str) -> anyhow::Result<String> {
    let der = certificates(certificate)?.remove(0);
    let (_, parsed) =
        x509_parser::parse_x509_certificate(&der).context("failed to parse a certificate")?;
    Ok(format!("sha256:{}", hex::encode(Sha256::digest(parsed.public_key().raw))))
}

/// When a certificate expires, as seconds since 1970.
pub(super) fn expires(certificate: &str) -> anyhow::Result<i64> {
    let der = certificates(certificate)?.remove(0);
    let (_, parsed) =
        x509_parser::parse_x509_certificate(&der).context("failed to parse a certificate")?;
    Ok(parsed.validity().not_after.timestamp())
}

/// The user and groups of a client's certificate.
pub(super) fn certificate_subject(der: &[u8]) -> Option<(String, Vec<String>)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
    let user = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = parsed
        .subject()
        .iter_organization()
        .filter_map(|group| Some(group.as_str().ok()?.to_owned()))
        .collect();
    Some((user, groups))
}

/// Lifetimes are written in whole days by `kubeadm certs check-expiration`.
pub(super) fn days(seconds: i64) -> i64 {
    seconds.max(0) / i64::try_from(DAY.as_secs()).unwrap_or(86400)
}
