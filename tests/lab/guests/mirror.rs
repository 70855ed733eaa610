//! Where the guests' packages come from: the mirror that the host itself uses, and nothing else.
//!
//! A Debian host gets guests of Debian 13 whatever its own release; an Ubuntu host guests of its own
//! release, because its mirror has no other distribution.

use std::fs;

use anyhow::{Context, Result};

use crate::command::run;

/// The release of Debian that guests have.
const DEBIAN: &str = "trixie";

/// What guests are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) suite: String,
    pub(super) components: &'static str,
    /// The host's own release, by which its mirror is recognised.
    host: String,
}

/// Where that comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) uri: String,
    /// A line of apt configuration each: the host's proxies, certificates and checks of dates.
    pub(super) options: Vec<String>,
}

impl Release {
    /// The release for guests of this host.
    pub(super) fn of_host() -> Result<Self> {
        let text =
            fs::read_to_string("/etc/os-release").context("failed to read /etc/os-release")?;
        Self::parse(&text)
            .context("guests are made from packages of Debian or Ubuntu: this host is neither")
    }

    fn parse(os_release: &str) -> Option<Self> {
        let field = |name: &str| {
            let value =
                os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim_matches('"').to_owned())
        };
        let host = field("VERSION_CODENAME")?;
        let (suite, components) = match field("ID")?.as_str() {
            "debian" => (DEBIAN.to_owned(), "main"),
            "ubuntu" => (host.clone(), "main,universe"),
            _ => return None,
        };
        Some(Self { suite, components, host })
    }

    /// Whether the host's mirror is one of Debian.
    pub(super) fn is_debian(&self) -> bool {
        self.suite == DEBIAN
    }

    /// The host's mirror, read from its apt configuration.
    pub(super) async fn mirror(&self) -> Result<Mirror> {
        let mut uri = self.uri(&index_targets().await?);
        if uri.is_none() {
            // apt knows no targets before its first update.
            run("apt-get", ["update", "--quiet"]).await?;
            uri = self.uri(&index_targets().await?);
        }
        let uri = uri.with_context(|| format!("the host's apt has no mirror of {}", self.host))?;
        Ok(Mirror { uri, options: passed_on(&run("apt-config", ["dump", "Acquire"]).await?) })
    }

    /// The mirror as mmdebstrap takes it: an address, or for apt's lists of mirrors a whole line.
    pub(super) fn source(&self, Mirror { uri, .. }: &Mirror) -> String {
        if uri.contains("://") {
            uri.clone()
        } else {
            format!("deb {uri} {} {}", self.suite, self.components.replace(',', " "))
        }
    }

    fn uri(&self, targets: &str) -> Option<String> {
        let names = [self.host.as_str(), "stable", "testing", "sid", "unstable"];
        targets.lines().find_map(|line| {
            let mut words = line.split(' ');
            let (uri, release, component) = (words.next()?, words.next()?, words.next()?);
            (names.contains(&release) && component == "main").then(|| uri.to_owned())
        })
    }
}

async fn index_targets() -> Result<String> {
    run(
        "apt-get",
        ["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages"],
    )
    .await
}

/// The host's settings for reaching a mirror; the others are about its own files.
fn passed_on(dump: &str) -> Vec<String> {
    let wanted =
        ["http", "https", "Check-Valid-Until", "Check-Date", "Retries", "ForceIPv4", "ForceIPv6"];
    let keep = dump.lines().filter(|line| {
        let key = line.strip_prefix("Acquire::").unwrap_or_default();
        wanted
            .iter()
            .any(|wanted| key.strip_prefix(wanted).is_some_and(|rest| rest.starts_with([':', ' '])))
    });
    keep.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "\
https://packages.example.org/tool/ stable tool
http://mirror.example.org/security/ noble-security main
http://mirror.example.org/archive/ noble main
http://mirror.example.org/debian/ bookworm main";

    #[test]
    fn guests_come_from_the_mirror_of_the_hosts_own_release() {
        let debian = Release::parse("ID=debian\nVERSION_CODENAME=bookworm\n").unwrap();
        assert_eq!(debian.suite, "trixie");
        assert_eq!(debian.uri(TARGETS).unwrap(), "http://mirror.example.org/debian/");
        let ubuntu = Release::parse("ID=ubuntu\nVERSION_CODENAME=\"noble\"\n").unwrap();
        assert_eq!(ubuntu.suite, "noble");
        assert_eq!(ubuntu.uri(TARGETS).unwrap(), "http://mirror.example.org/archive/");
        assert_eq!(Release::parse("ID=fedora\nVERSION_CODENAME=x\n"), None);
    }

    #[test]
    fn the_hosts_proxy_is_passed_on() {
        let dump = "Acquire::http::Proxy \"http://proxy.example.org:3142\";\nAcquire::Languages:: \"none\";\nAcquire::Check-Date \"false\";";
        assert_eq!(
            passed_on(dump),
            [
                "Acquire::http::Proxy \"http://proxy.example.org:3142\";",
                "Acquire::Check-Date \"false\";"
            ]
        );
    }
}
