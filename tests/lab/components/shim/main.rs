//! `kubesmith-shim`: kubeadm or crictl in guests that carry Kubernetes' own programs, by the name it is called with.

fn main() -> std::process::ExitCode {
    kubesmith_lab::components::shim::run(std::env::args())
}
