//! The lab's package repository, as apt and dpkg see it.

use kubesmith_lab::packages;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::command;

#[tokio::test]
async fn the_repository_is_signed_complete_and_served_under_the_real_one_s_names() {
    if ["dpkg-deb", "gpg"].iter().any(|tool| command(tool).arg("--version").output().is_err()) {
        assert!(std::env::var_os("CI").is_none(), "dpkg-deb and gpg are not on PATH");
        eprintln!("SKIPPED: dpkg-deb and gpg are not on PATH");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let built = packages::build_repository(folder.path(), &["1.36.4", "1.36.3"])
        .await
        .expect("a repository");
    assert_eq!(built.versions.len(), 2);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(packages::serve(folder.path().to_owned(), listener));
    let get = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: packages.example.org\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    };
    // apt escapes the colons.
    let base = "/core%3a/stable%3a/v1.36/deb";
    let index = get(&format!("{base}/Packages")).await;
    let versions = index.lines().filter(|line| line.starts_with("Version: 1.36.4-1.1")).count();
    assert_eq!(versions, 3, "kubeadm, kubelet and kubectl of the version: {index}");
    for name in ["kubeadm", "kubelet", "kubectl", "kubernetes-cni", "cri-tools"] {
        assert!(index.contains(&format!("Package: {name}\n")), "{name}");
    }
    let file = index.lines().find_map(|line| line.strip_prefix("Filename: ")).expect("a file");
    assert!(get(&format!("{base}/{file}")).await.starts_with("HTTP/1.1 200"));
    let outside = get("/core:/stable:/v1.36/deb/../../../../../../../etc/passwd").await;
    assert!(outside.starts_with("HTTP/1.1 404"), "{outside}");
    served.abort();

    let home = tempfile::Builder::new().prefix("ks-gpg").tempdir_in("/tmp").expect("a keyring");
    let repository = folder.path().join("core:/stable:/v1.36/deb");
    let gpg = |arguments: &[&str]| {
        let output = command("gpg")
            .arg("--homedir")
            .arg(home.path())
            .arg("--batch")
            .args(arguments)
            .current_dir(&repository)
            .output();
        let output = output.expect("gpg runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    gpg(&["--import", "Release.key"]);
    gpg(&["--verify", "InRelease"]);
    gpg(&["--verify", "Release.gpg", "Release"]);

    let kubelet = built.versions[0]
        .1
        .iter()
        .find(|deb| deb.to_string_lossy().contains("kubelet_1.36.4-1.1"))
        .expect("a package");
    let listed =
        command("dpkg-deb").arg("--contents").arg(kubelet).output().expect("dpkg-deb runs");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for file in [
        "./usr/bin/kubelet",
        "./usr/lib/systemd/system/kubelet.service",
        "kubelet.service.d/10-kubeadm.conf",
    ] {
        assert!(listed.contains(file), "{file}: {listed}");
    }
}
