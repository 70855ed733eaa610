//! How the host and we find each other: environment, socket, one line on stdout.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tempfile::TempDir;

/// What every Terraform sets to tell its plugins from programs that a person starts.
const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// A Unix socket's path has room for 108 bytes, with the final zero.
const MAX_SOCKET_PATH: usize = 100;

/// Who started us, and how we talk.
#[derive(Debug)]
pub(super) enum Mode {
    /// Terraform, with the certificate that its connections must have (none: it wants no TLS).
    Plugin(Option<CertificateDer<'static>>),
    /// A person, who will run Terraform in another terminal or debugger.
    Debug,
}

impl Mode {
    pub(super) fn from_environment(debug: bool) -> Result<Self, String> {
        if debug {
            return Ok(Self::Debug);
        }
        if std::env::var("TF_PLUGIN_MAGIC_COOKIE").is_ok_and(|cookie| cookie == COOKIE) {
            let pem = std::env::var("PLUGIN_CLIENT_CERT").unwrap_or_default();
            return Self::plugin(&pem);
        }
        Err("This is a Terraform provider: Terraform starts it when it needs it. \
             See https://developer.hashicorp.com/terraform/language/providers for how to use one."
            .to_owned())
    }

    fn plugin(pem: &str) -> Result<Self, String> {
        if pem.is_empty() {
            return Ok(Self::Plugin(None));
        }
        // Never fall back to plain text: whoever sets a certificate wants it checked.
        CertificateDer::from_pem_slice(pem.as_bytes())
            .map(|certificate| Self::Plugin(Some(certificate)))
            .map_err(|fault| format!("PLUGIN_CLIENT_CERT holds no certificate: {fault}"))
    }

    pub(super) fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Self::Plugin(certificate) => certificate.as_ref(),
            Self::Debug => None,
        }
    }
}

/// A socket in a directory that only this user can enter; both go with this value.
pub(super) struct Socket {
    directory: TempDir,
}

impl Socket {
    pub(super) fn bind() -> std::io::Result<Self> {
        let wanted = std::env::var_os("PLUGIN_UNIX_SOCKET_DIR").map(PathBuf::from);
        let parent = wanted.unwrap_or_else(std::env::temp_dir);
        let parent =
            if parent.as_os_str().len() + 20 > MAX_SOCKET_PATH { "/tmp".into() } else { parent };
        let directory = tempfile::Builder::new()
            .prefix("tf")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        Ok(Self { directory })
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    pub(super) fn listener(&self) -> std::io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::bind(self.path())
    }
}

/// Tells the host where we listen. Nothing else may ever be written to stdout.
pub(super) fn announce(
    mode: &Mode,
    address: &str,
    socket: &Path,
    certificate: Option<&[u8]>,
) -> std::io::Result<()> {
    let line = match mode {
        Mode::Plugin(_) => handshake_line(socket, certificate),
        Mode::Debug => reattach_line(socket, address),
    };
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

fn handshake_line(socket: &Path, certificate: Option<&[u8]>) -> String {
    let certificate = certificate.map(|der| STANDARD_NO_PAD.encode(der)).unwrap_or_default();
    format!("1|6|unix|{}|grpc|{certificate}", socket.display())
}

fn reattach_line(socket: &Path, address: &str) -> String {
    let provider = serde_json::json!({
        address: {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": std::process::id(),
            "Test": true,
            "Addr": { "Network": "unix", "String": socket },
        }
    });
    format!("Run Terraform with\n\n  TF_REATTACH_PROVIDERS='{provider}'\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_six_fields_with_and_without_a_certificate() {
        let path = Path::new("/tmp/tf1/s");
        assert_eq!(handshake_line(path, None), "1|6|unix|/tmp/tf1/s|grpc|");
        assert_eq!(handshake_line(path, Some(&[255, 254])), "1|6|unix|/tmp/tf1/s|grpc|//4");
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_not_taken_for_none() {
        assert!(matches!(Mode::plugin(""), Ok(Mode::Plugin(None))));
        assert!(Mode::plugin("rubbish").unwrap_err().contains("PLUGIN_CLIENT_CERT"));
    }

    #[test]
    fn nobody_else_can_enter_the_socket_directory() {
        let socket = Socket::bind().unwrap();
        let mode = std::fs::metadata(socket.directory.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
