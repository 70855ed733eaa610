//! The portal as a Debian package: program, unit, account, configuration, and the provider in a mirror of its own.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use kubesmith_process::Tool;

use crate::mirror;
use crate::package::{Package, VERSION};

const UNIT: &str = include_str!("../../../portal/dist/kubesmith-portal.service");
const CONFIG: &str = include_str!("../../../portal/kubesmith-portal.toml");
const LICENCE: &str = include_str!("../../../LICENSE");
const CHANGELOG: &str = include_str!("../../../CHANGELOG.md");
const CONTROL: &str = include_str!("../debian/control");

/// The account owns the portal's data, and nobody else reads them.
const ACCOUNT: &str = "u kubesmith-portal - \"Kubesmith portal\" /var/lib/kubesmith-portal\n";

/// Makes the account and tells systemd of the unit. A new installation is not started: its configuration comes first.
const AFTER_INSTALL: &str = "#!/bin/sh
set -e
systemd-sysusers /usr/lib/sysusers.d/kubesmith-portal.conf
chgrp kubesmith-portal /etc/kubesmith-portal
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart kubesmith-portal.service
fi
";

/// The data stay, even when everything else is purged: they hold the states of clusters that exist.
const BEFORE_REMOVE: &str = "#!/bin/sh
set -e
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
    systemctl stop kubesmith-portal.service
fi
";

/// Packs `portal` and the provider into `folder`.
pub(crate) async fn write(portal: &Path, provider: &Package, folder: &Path) -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    let put = |path: &str, bytes: &[u8], mode: u32| {
        let file = root.path().join(path);
        crate::write(&file, bytes)?;
        anyhow::Ok(set_permissions(file, Permissions::from_mode(mode))?)
    };
    let program =
        std::fs::read(portal).with_context(|| format!("failed to read {}", portal.display()))?;
    let architecture = provider.platform.trim_start_matches("linux_");
    put("usr/bin/kubesmith-portal", &program, 0o755)?;
    put("usr/lib/systemd/system/kubesmith-portal.service", UNIT.as_bytes(), 0o644)?;
    put("usr/lib/sysusers.d/kubesmith-portal.conf", ACCOUNT.as_bytes(), 0o644)?;
    put("etc/kubesmith-portal/kubesmith-portal.toml", CONFIG.as_bytes(), 0o644)?;
    put("usr/share/doc/kubesmith-portal/copyright", LICENCE.as_bytes(), 0o644)?;
    put("usr/share/doc/kubesmith-portal/CHANGELOG.md", CHANGELOG.as_bytes(), 0o644)?;
    mirror::write_filesystem(provider, &root.path().join("usr/share/kubesmith/providers"))?;
    let control = CONTROL.replace("@VERSION@", VERSION).replace("@ARCHITECTURE@", architecture);
    put("DEBIAN/control", control.as_bytes(), 0o644)?;
    put("DEBIAN/conffiles", b"/etc/kubesmith-portal/kubesmith-portal.toml\n", 0o644)?;
    put("DEBIAN/postinst", AFTER_INSTALL.as_bytes(), 0o755)?;
    put("DEBIAN/prerm", BEFORE_REMOVE.as_bytes(), 0o755)?;
    // The Proxmox token lies here one day: its group is the portal's, nobody else looks in.
    set_permissions(root.path().join("etc/kubesmith-portal"), Permissions::from_mode(0o750))?;
    let file = folder.join(format!("kubesmith-portal_{VERSION}_{architecture}.deb"));
    let pack = Tool::new("dpkg-deb")
        .args(["--build", "--root-owner-group"])
        .arg(root.path())
        .arg(file)
        // All times are this one, so that the same programs are the same package.
        .env("SOURCE_DATE_EPOCH", "315532800");
    crate::tool(pack).await.context("failed to make the Debian package (package dpkg)").map(drop)
}
