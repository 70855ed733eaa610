//! The checks before anything is touched. Those that the roles and the lab can meet are kept, under their real names.

use anyhow::bail;

use super::config::{Settings, text};
use crate::kube::{
    arguments::Arguments,
    cri::{ImageRequest, ImageStatus, Pulled, Runtime},
    kubelet::ports,
    paths, say, say_error,
};

/// How often an image is asked for, at once again, as the real one does.
const PULL_ATTEMPTS: u32 = 5;

/// The problems found so far, each under the name that `--ignore-preflight-errors` knows it by.
#[derive(Default)]
pub(super) struct Checks {
    errors: Vec<(String, String)>,
    warnings: Vec<(String, String)>,
}

impl Checks {
    fn error(&mut self, name: &str, message: impl Into<String>) {
        self.errors.push((name.to_owned(), message.into()));
    }

    fn warning(&mut self, name: &str, message: impl Into<String>) {
        self.warnings.push((name.to_owned(), message.into()));
    }

    /// What init and join check alike.
    pub(super) fn common(&mut self, socket: &str) {
        if !rustix::process::geteuid().is_root() {
            self.error("IsPrivilegedUser", "user is not running as root");
        }
        let socket = socket.trim_start_matches("unix://");
        if !paths::exists(socket) {
            let reason = format!("stat {socket}: no such file or directory");
            self.error("CRI", format!("could not connect to the container runtime: failed to create new CRI runtime service: {reason}"));
        }
        // A test's root has no kernel of its own.
        if std::env::var_os("STANDIN_ROOT").is_none() {
            let forwarding = "/proc/sys/net/ipv4/ip_forward";
            if std::fs::read_to_string(forwarding).is_ok_and(|content| content.trim() != "1") {
                self.error(
                    "FileContent--proc-sys-net-ipv4-ip_forward",
                    format!("{forwarding} contents are not set to 1"),
                );
            }
            if std::fs::read_to_string("/proc/swaps")
                .is_ok_and(|content| content.lines().count() > 1)
            {
                self.warning("Swap", "swap is supported for cgroup v2 only. The kubelet must be properly configured to use swap");
            }
        }
        let hosts = paths::read("/etc/hosts").unwrap_or_default();
        let name = paths::hostname();
        if !hosts.lines().any(|line| {
            line.split_whitespace().skip(1).any(|host| host.eq_ignore_ascii_case(&name))
        }) {
            self.warning("Hostname", format!("hostname \"{name}\" could not be reached"));
        }
    }

    pub(super) fn file_absent(&mut self, path: &str) {
        if paths::exists(path) {
            self.error(
                &format!("FileAvailable-{}", path.replace('/', "-")),
                format!("{path} already exists"),
            );
        }
    }

    fn folder_empty(&mut self, path: &str) {
        if std::fs::read_dir(paths::under_root(path))
            .is_ok_and(|mut entries| entries.next().is_some())
        {
            self.error(
                &format!("DirAvailable-{}", path.replace('/', "-")),
                format!("{path} is not empty"),
            );
        }
    }

    /// Nothing listens yet where this node's programs will.
    fn ports_free(&mut self, control_plane: bool) {
        // The machines of a test without guests share one network.
        if std::env::var_os("STANDIN_ROOT").is_some() {
            return;
        }
        self.port_free(ports::KUBELET.into());
        for port in
            ports::CONTROL_PLANE.iter().flat_map(|(_, ports)| *ports).filter(|_| control_plane)
        {
            self.port_free((*port).into());
        }
    }

    fn port_free(&mut self, port: u64) {
        let address = (std::net::Ipv4Addr::UNSPECIFIED, u16::try_from(port).unwrap_or(6443));
        if std::net::TcpListener::bind(address).is_err() {
            self.error(&format!("Port-{port}"), format!("Port {port} is in use"));
        }
    }

    /// The control plane may be one minor older than kubeadm, and no kubelet may be newer than the control plane.
    fn versions(&mut self, wanted: &str) {
        let minor = |version: &str| {
            version.split('.').nth(1).and_then(|minor| minor.parse::<u16>().ok()).unwrap_or(0)
        };
        let (kubeadm, kubelet) = (paths::version_of("kubeadm"), paths::version_of("kubelet"));
        let oldest = minor(&kubeadm).saturating_sub(1);
        if minor(wanted) < oldest {
            let message = format!(
                "this version of kubeadm only supports deploying clusters with the control plane version >= 1.{oldest}.0. Current version: v{wanted}"
            );
            self.error("KubernetesVersion", message);
        } else if minor(wanted) > minor(&kubeadm) {
            let message = format!(
                "Kubernetes version is greater than kubeadm version. Please consider to upgrade kubeadm. Kubernetes version: {wanted}. Kubeadm version: {kubeadm}"
            );
            self.error("KubernetesVersion", message);
        }
        if minor(&kubelet) > minor(wanted) {
            let message = format!(
                "the kubelet version is higher than the control plane version. This is not a supported version skew and may lead to a malfunctional cluster. Kubelet version: \"{kubelet}\" Control plane version: \"{wanted}\""
            );
            self.error("KubeletVersion", message);
        }
    }

    pub(super) fn init(settings: &Settings) -> Self {
        let mut checks = Self::default();
        checks.common(text(&settings.init["nodeRegistration"]["criSocket"]));
        checks.versions(settings.version());
        checks.port_free(settings.init["localAPIEndpoint"]["bindPort"].as_u64().unwrap_or(6443));
        checks.ports_free(true);
        for component in super::manifests::COMPONENTS {
            checks.file_absent(&format!("{}/{component}.yaml", paths::MANIFESTS));
        }
        checks.folder_empty(paths::ETCD);
        checks
    }

    /// Fetches the images of the control plane, all at once, unless the runtime has them.
    pub(super) async fn images(settings: &Settings) -> Self {
        let mut checks = Self::default();
        // A test's root has no container runtime.
        if std::env::var_os("STANDIN_ROOT").is_some() {
            return checks;
        }
        let socket = text(&settings.init["nodeRegistration"]["criSocket"]);
        let images = super::manifests::images(settings);
        let pulled =
            futures_util::future::join_all(images.iter().map(|image| pull(socket, image))).await;
        for (image, result) in images.iter().zip(pulled) {
            if let Err(error) = result {
                checks.error("ImagePull", format!("failed to pull image {image}: {error:#}"));
            }
        }
        checks
    }

    pub(super) fn join(settings: &Settings) -> Self {
        let mut checks = Self::default();
        checks.common(text(&settings.join["nodeRegistration"]["criSocket"]));
        checks.ports_free(false);
        checks.folder_empty(paths::MANIFESTS);
        checks.file_absent(paths::KUBELET_CONF);
        checks.file_absent(paths::BOOTSTRAP_CONF);
        checks.file_absent(&format!("{}/ca.crt", paths::PKI));
        checks
    }

    /// Prints the warnings and fails with the errors that are not to be ignored.
    pub(super) fn finish(
        mut self,
        arguments: &Arguments,
        document: &serde_json::Value,
    ) -> anyhow::Result<()> {
        let mut ignored = arguments.list("ignore-preflight-errors");
        let configured =
            super::config::array(&document["nodeRegistration"]["ignorePreflightErrors"]);
        ignored.extend(configured.iter().map(|name| text(name).to_owned()));
        let is_ignored = |name: &str| {
            ignored.iter().any(|ignored| {
                ignored.eq_ignore_ascii_case("all") || ignored.eq_ignore_ascii_case(name)
            })
        };
        let (warnings, errors): (Vec<_>, Vec<_>) =
            self.errors.drain(..).partition(|(name, _)| is_ignored(name));
        for (name, message) in self.warnings.iter().chain(&warnings) {
            say_error(format!("\t[WARNING {name}]: {message}"));
        }
        if errors.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> =
            errors.iter().map(|(name, message)| format!("\t[ERROR {name}]: {message}\n")).collect();
        bail!(
            "error execution phase preflight: [preflight] Some fatal errors occurred:\n{}[preflight] If you know what you are doing, you \
             can make a check non-fatal with `--ignore-preflight-errors=...`",
            lines.concat()
        );
    }
}

/// Fetches an image, unless the runtime has it.
pub(super) async fn pull(socket: &str, image: &str) -> anyhow::Result<()> {
    let runtime = Runtime::connect(socket).await?;
    let ImageStatus { image: found } =
        runtime.ask("ImageService/ImageStatus", ImageRequest::of(image)).await?;
    let mut attempts = if found.is_some() { 0 } else { PULL_ATTEMPTS };
    while attempts > 0 {
        attempts -= 1;
        match runtime.ask("ImageService/PullImage", ImageRequest::of(image)).await {
            Ok(Pulled { .. }) => break,
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}

pub(super) fn announce() {
    say("[preflight] Running pre-flight checks");
}
