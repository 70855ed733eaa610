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

/// Which packages are made, and what they hold.
#[derive(Debug, Clone, Copy)]
pub enum Programs<'a> {
    /// All of them, with the stand-in under each program's name.
    StandIns,
    /// Those of Kubernetes' own programs that guests call directly.
    Own {
        /// A folder with kubelet and kubectl.
        folder: &'a Path,
        /// A folder with the plugins of CNI.
        plugins: &'a Path,
    },
    /// Those that the lab's shim stands in front of, or in place of.
    Shims {
        /// The shim.
        shim: &'a Path,
    },
}

impl Programs<'_> {
    /// The files of a package that are copied into it: where to, and from where. Nothing if it is not to be made.
    fn files(self, package: &str) -> anyhow::Result<Option<Vec<(String, PathBuf)>>> {
        let program = |name: &str, file: PathBuf| Some(vec![(format!("usr/bin/{name}"), file)]);
        Ok(match (self, package) {
            (Self::StandIns, _) => Some(Vec::new()),
            (Self::Own { folder, .. }, "kubelet" | "kubectl") => {
                program(package, folder.join(package))
            }
            (Self::Own { plugins, .. }, "kubernetes-cni") => {
                let all = std::fs::read_dir(plugins)
                    .with_context(|| format!("failed to read {}", plugins.display()))?;
                let target = |name: &OsStr| format!("opt/cni/bin/{}", name.display());
                Some(all.flatten().map(|file| (target(&file.file_name()), file.path())).collect())
            }
            (Self::Shims { shim }, "kubeadm") => program("kubeadm", shim.to_owned()),
            (Self::Shims { shim }, "cri-tools") => program("crictl", shim.to_owned()),
            _ => None,
        })
    }
}

/// Builds packages of `version` (`1.36.4`, or with its revision `1.36.4-1.1`) into `folder`, and returns their files:
/// kubeadm, kubelet, kubectl, cri-tools and kubernetes-cni, or those of them that `programs` has.
pub async fn build_debs(
    folder: &Path,
    version: &str,
    programs: &Programs<'_>,
) -> anyhow::Result<Vec<PathBuf>> {
    let version = version.trim_start_matches('v');
    let version = if version.contains('-') { version.to_owned() } else { format!("{version}-1.1") };
    let work = tempfile::tempdir().context("failed to make a folder to build packages in")?;
    let stand_in = match programs {
        Programs::StandIns => Some(stripped(&standin_binary()?, work.path()).await),
        _ => None,
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("failed to make {}", folder.display()))?;
    let mut files = Vec::new();
    for package in &PACKAGES {
        let Some(copied) = programs.files(package.name)? else { continue };
        let package_version = match package.name {
            "cri-tools" if stand_in.is_some() => {
                format!("{}.{CRI_TOOLS_PATCH}", super::minor(&version)?.trim_start_matches('v'))
            }
            // What a shim can do has nothing to do with Kubernetes' version.
            "cri-tools" => format!("1.36.{CRI_TOOLS_PATCH}"),
            "kubernetes-cni" => CNI_VERSION.to_owned(),
            _ => version.clone(),
        };
        let root = work.path().join(package.name);
        fill(&root, package, &package_version, stand_in.as_deref(), &copied)
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
pub(crate) async fn stripped(built: &Path, work: &Path) -> PathBuf {
    let stripped = work.join("stripped");
    let made = std::fs::create_dir_all(work).is_ok();
    match run("strip", &[OsStr::new("-o"), stripped.as_os_str(), built.as_os_str()]).await {
        Ok(_) if made => stripped,
        _ => {
            tracing::debug!("packages keep debug information");
            built.to_owned()
        }
    }
}

fn fill(
    root: &Path,
    package: &Package,
    version: &str,
    stand_in: Option<&Path>,
    copied: &[(String, PathBuf)],
) -> anyhow::Result<()> {
    let nature = match stand_in {
        Some(_) => "A stand-in for tests: it keeps the program's contract and runs no containers.",
        None => "For guests of the lab only.",
    };
    let depends = if package.depends.is_empty() {
        String::new()
    } else {
        format!("Depends: {}\n", package.depends)
    };
    let control = format!(
        "Package: {}\nVersion: {version}\nArchitecture: {}\nMaintainer: Kubesmith lab <lab@kubesmith.invalid>\n{depends}\
         Section: admin\nPriority: optional\nHomepage: https://kubernetes.io\nDescription: {}\n \
         {nature}\n",
        package.name,
        architecture(),
        package.description
    );
    write(root, "DEBIAN/control", &control, 0o644)?;
    for (target, file) in copied {
        copy(file, &root.join(target))?;
    }
    if let (Some(stand_in), Some(name)) = (stand_in, package.program) {
        copy(stand_in, &root.join("usr/bin").join(name))?;
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
        "kubernetes-cni" if stand_in.is_some() => {
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

/// Copies a program.
fn copy(file: &Path, target: &Path) -> anyhow::Result<()> {
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::copy(file, target).with_context(|| format!("failed to copy {}", file.display()))?;
    std::fs::set_permissions(target, std::fs::Permissions::from_mode(0o755))?;
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
