//! `kubesmith-standin`: kubeadm, kubelet, kubectl or crictl, by the name it is called with.

fn main() -> std::process::ExitCode {
    kubesmith_lab::kube::run(std::env::args())
}
