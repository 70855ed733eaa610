//! A flat, signed apt repository for each Kubernetes minor, in the layout of the real ones.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::{Programs, build_debs};
use crate::command::run;

/// What was built: the folder to serve, and the packages by version.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Serve this folder with [`super::serve`].
    pub folder: PathBuf,
    /// Each version asked for, with the files of its five packages.
    pub versions: Vec<(String, Vec<PathBuf>)>,
}

/// Builds packages of the `versions` and the repositories of their minors under `folder`, signed with a key made for it.
///
/// The key lives in a keyring of its own that is gone when this returns; `Release.key` in each repository is its public half.
pub async fn build_repository(folder: &Path, versions: &[&str]) -> anyhow::Result<Repository> {
    let keyring = Keyring::make().await?;
    let mut built = Vec::new();
    let mut repositories = std::collections::BTreeSet::new();
    for version in versions {
        let repository = folder.join(format!("core:/stable:/{}/deb", super::minor(version)?));
        let debs =
            build_debs(&repository.join(super::deb::architecture()), version, &Programs::StandIns)
                .await?;
        repositories.insert(repository);
        built.push(((*version).to_owned(), debs));
    }
    for repository in &repositories {
        index(repository).await?;
        keyring.sign(repository).await?;
    }
    Ok(Repository { folder: folder.to_owned(), versions: built })
}

/// Writes `Packages` and `Release` from the packages that lie in the repository.
pub(crate) async fn index(repository: &Path) -> anyhow::Result<()> {
    let pool = repository.join(super::deb::architecture());
    let mut names: Vec<_> = std::fs::read_dir(&pool)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "deb"))
        .collect();
    names.sort();
    let mut packages = String::new();
    for name in names {
        let file = pool.join(&name);
        let control = run("dpkg-deb", &[OsStr::new("--field"), file.as_os_str()]).await?;
        let content = std::fs::read(&file)?;
        packages.push_str(control.trim_end());
        let (folder, hash) = (super::deb::architecture(), hex::encode(Sha256::digest(&content)));
        let _ = write!(
            packages,
            "\nFilename: {folder}/{name}\nSize: {}\nSHA256: {hash}\n\n",
            content.len()
        );
    }
    std::fs::write(repository.join("Packages"), &packages)?;
    let release = format!(
        "Origin: kubesmith-lab\nLabel: kubesmith-lab\nArchitectures: {}\nDate: {}\nSHA256:\n {} {} Packages\n",
        super::deb::architecture(),
        jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S UTC"),
        hex::encode(Sha256::digest(packages.as_bytes())),
        packages.len()
    );
    std::fs::write(repository.join("Release"), release)?;
    Ok(())
}

/// A signing key in a private `GNUPGHOME`.
struct Keyring {
    home: tempfile::TempDir,
}

impl Keyring {
    async fn make() -> anyhow::Result<Self> {
        // A short path: gpg-agent's socket lies in it, and a socket's path is limited to 108 bytes.
        let home = tempfile::Builder::new()
            .prefix("ks-gpg")
            .tempdir_in("/tmp")
            .context("failed to make a keyring folder")?;
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700))?;
        let keyring = Self { home };
        let identity = "Kubesmith lab packages <lab@kubesmith.invalid>";
        keyring
            .gpg(&[
                "--passphrase",
                "",
                "--quick-generate-key",
                identity,
                "rsa2048",
                "sign",
                "never",
            ])
            .await?;
        Ok(keyring)
    }

    async fn sign(&self, repository: &Path) -> anyhow::Result<()> {
        let path = |name: &str| repository.join(name).to_string_lossy().into_owned();
        let (release, in_release, detached) =
            (path("Release"), path("InRelease"), path("Release.gpg"));
        self.gpg(&["--yes", "--armor", "--output", &path("Release.key"), "--export"]).await?;
        self.gpg(&[
            "--yes",
            "--digest-algo",
            "SHA512",
            "--output",
            &in_release,
            "--clearsign",
            &release,
        ])
        .await?;
        self.gpg(&[
            "--yes",
            "--digest-algo",
            "SHA512",
            "--armor",
            "--output",
            &detached,
            "--detach-sign",
            &release,
        ])
        .await?;
        Ok(())
    }

    async fn gpg(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut all = vec![OsStr::new("--homedir"), self.home.path().as_os_str()];
        all.extend(["--batch", "--quiet", "--pinentry-mode", "loopback"].map(OsStr::new));
        all.extend(arguments.iter().map(OsStr::new));
        run("gpg", &all).await?;
        Ok(())
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        // gpg started an agent for this home; without this it would outlive the folder by a few seconds.
        let _ = crate::command::blocking("gpgconf")
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "all"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
    }
}
