//! The ports that the real programs of a node listen on: kubeadm's preflight looks whether they are free.

use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use super::LOOK;
use crate::kube::paths;

/// The kubelet's own.
pub(in crate::kube) const KUBELET: u16 = 10250;
/// Those of the control plane's parts, beside the API server's: the static pod and its ports.
pub(in crate::kube) const CONTROL_PLANE: [(&str, &[u16]); 3] =
    [("etcd", &[2379, 2380]), ("kube-controller-manager", &[10257]), ("kube-scheduler", &[10259])];

/// Listens until the future is dropped, and closes what comes: nobody has anything to ask there.
pub(super) async fn hold() {
    // The machines of a test without guests share one network.
    if std::env::var_os("STANDIN_ROOT").is_some() {
        return std::future::pending().await;
    }
    let parts = CONTROL_PLANE.iter().flat_map(|(part, ports)| {
        let manifest = format!("{}/{part}.yaml", paths::MANIFESTS);
        ports.iter().map(move |port| listen(*port, Some(manifest.clone())))
    });
    let kubelet = std::iter::once(listen(KUBELET, None));
    futures_util::future::join_all(kubelet.chain(parts.collect::<Vec<_>>())).await;
}

/// Listens on a port while its manifest is there.
async fn listen(port: u16, manifest: Option<String>) {
    let wanted = || manifest.as_ref().is_none_or(|manifest| paths::exists(manifest));
    loop {
        if wanted()
            && let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        {
            while wanted() {
                let _ = tokio::time::timeout(LOOK, listener.accept()).await;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
