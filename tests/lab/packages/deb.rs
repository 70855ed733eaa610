//! Makes the five packages of one Kubernetes version with `dpkg-deb`.

use std::{
    ffi::OsStr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::standin_binary;
use crate::command::run;

/// One package: what its control file says and what it holds.
struct Package {
    name: &'static str,
    depends: &'static str,
    description: &'static str,
    /// The stand-in is installed as this program.
    program: Option<&'static str>,
}

const PACKAGES: [Package; 5] = [
    Package {
        name: "kubeadm",
        depends: "cri-tools (>= 1.30.0)",
        description: "Command-line utility for administering a Kubernetes cluster",
        program: Some("kubeadm"),
    },
    Package {
        name: "kubelet",
        depends: "kubernetes-cni (>= 1.2.0)",
        description: "Node agent for Kubernetes clusters",
        program: Some("kubelet"),
    },
    Package {
        name: "kubectl",
        depends: "",
        description: "Command-line utility for interacting with a Kubernetes cluster",
        program: Some("kubectl"),
    },
    Package {
        name: "cri-tools",
        depends: "",
        description: "Command-line utility for interacting with a container runtime",
        program: Some("crictl"),
    },
    Package {
        name: "kubernetes-cni",
        depends: "",
        description: "Binaries required to provision networking",
        program: None,
    },
];

/// cri-tools and kubernetes-cni have versions of their own; these go with every Kubernetes version of the lab.
const CRI_TOOLS_PATCH: &str = "0-1.1";
const CNI_VERSION: &str = "1.8.0-1.1";

const CNI_PLUGINS: [&str; 8] =
    ["bandwidth", "bridge", "flannel", "host-local", "loopback", "portmap", "ptp", "vlan"];

const KUBELET_SERVICE: &str = "\
[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
";

const KUBELET_DROP_IN: &str = "\
[Service]
Environment=\"KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf\"
Environment=\"KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml\"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
";

/// As debhelper's, in short: enabled at first install, started only where systemd runs (not in an image's root).
const KUBELET_POSTINST: &str = "\
#!/bin/sh
set -e
if [ \"$1\" = configure ]; then
    if [ -z \"$2\" ]; then systemctl enable --quiet kubelet.service || true; fi
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload || true
        systemctl restart --no-block kubelet.service || true
    fi
fi
";

/// Builds kubeadm, kubelet, kubectl, cri-tools and kubernetes-cni for `version` (`1.36.4`, or with its revision
/// `1.36.4-1.1`) into `folder`, and returns their files.
pub async fn build_debs(folder: &Path, version: &str) -> anyhow::Result<Vec<PathBuf>> {
    let version = version.trim_start_matches('v');
    let version = if version.contains('-') { version.to_owned() } else { format!("{version}-1.1") };
    let work = tempfile::tempdir().context("failed to make a folder to build packages in")?;
    let program = stripped_program(work.path()).await?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("failed to make {}", folder.display()))?;
    let mut files = Vec::new();
    for package in &PACKAGES {
        let package_version = match package.name {
            "cri-tools" => {
                format!("{}.{CRI_TOOLS_PATCH}", super::minor(&version)?.trim_start_matches('v'))
            }
            "kubernetes-cni" => CNI_VERSION.to_owned(),
            _ => version.clone(),
        };
        let root = work.path().join(package.name);
        fill(&root, package, &package_version, &program)
            .with_context(|| format!("failed to lay out package {}", package.name))?;
        let file =
            folder.join(format!("{}_{package_version}_{}.deb", package.name, architecture()));
        // Level 1: the packages are made on every lab image build and live for one test.
        let arguments = ["--build", "--root-owner-group", "-Zzstd", "-z1"].map(OsStr::new);
        run("dpkg-deb", &[&arguments[..], &[root.as_os_str(), file.as_os_str()]].concat()).await?;
        files.push(file);
    }
    Ok(files)
}

/// Debian's name of this machine's architecture: the packages hold a program built for it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

/// Debug information is most of a development build's size; packages go without where `strip` is installed.
async fn stripped_program(work: &Path) -> anyhow::Result<PathBuf> {
    let built = standin_binary()?;
    let stripped = work.join("standin");
    match run("strip", &[OsStr::new("-o"), stripped.as_os_str(), built.as_os_str()]).await {
        Ok(_) => Ok(stripped),
        Err(error) => {
            tracing::debug!(%error, "packages keep debug information");
            Ok(built)
        }
    }
}

fn fill(root: &Path, package: &Package, version: &str, program: &Path) -> anyhow::Result<()> {
    let depends = if package.depends.is_empty() {
        String::new()
    } else {
        format!("Depends: {}\n", package.depends)
    };
    let control = format!(
        "Package: {}\nVersion: {version}\nArchitecture: {}\nMaintainer: Kubesmith lab <lab@kubesmith.invalid>\n{depends}\
         Section: admin\nPriority: optional\nHomepage: https://kubernetes.io\nDescription: {}\n \
         A stand-in for tests: it keeps the program's contract and runs no containers.\n",
        package.name,
        architecture(),
        package.description
    );
    write(root, "DEBIAN/control", &control, 0o644)?;
    if let Some(name) = package.program {
        let target = root.join("usr/bin").join(name);
        std::fs::create_dir_all(root.join("usr/bin"))?;
        std::fs::copy(program, &target)?;
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o755))?;
        // The program reads its own version here: one binary serves every version of the lab.
        let upstream = version.split('-').next().unwrap_or(version);
        write(
            root,
            &format!("usr/share/kubesmith-standin/{name}.version"),
            &format!("{upstream}\n"),
            0o644,
        )?;
    }
    match package.name {
        "kubelet" => {
            write(root, "usr/lib/systemd/system/kubelet.service", KUBELET_SERVICE, 0o644)?;
            write(
                root,
                "usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf",
                KUBELET_DROP_IN,
                0o644,
            )?;
            write(root, "DEBIAN/postinst", KUBELET_POSTINST, 0o755)?;
            std::fs::create_dir_all(root.join("etc/kubernetes/manifests"))?;
            std::fs::create_dir_all(root.join("var/lib/kubelet"))?;
        }
        "kubernetes-cni" => {
            for plugin in CNI_PLUGINS {
                write(
                    root,
                    &format!("opt/cni/bin/{plugin}"),
                    "#!/bin/sh\n# A placeholder: the lab runs no pods.\nexit 0\n",
                    0o755,
                )?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn write(root: &Path, name: &str, content: &str, mode: u32) -> anyhow::Result<()> {
    let file = root.join(name);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&file, content)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))?;
    Ok(())
}
