//! What is published: Terraform installs the provider from it without a registry, and dpkg the portal.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use serde_json::Value;

use crate::world::{Needs, able, command, provider_folder, root, terraform, text};

const PACKAGES: &str = "registry.terraform.io/kubesmith/kubesmith";

/// One release of debug programs for all tests here.
fn release() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        // Not a temporary folder: nothing drops what is static.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let must = |mut program: std::process::Command| {
            let output = program.current_dir(root()).output().expect("it starts");
            assert!(output.status.success(), "{program:?}: {}", text(&output));
        };
        let mut build = command(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "kubesmith-release"]);
        must(build);
        crate::portal::portal_program();
        let built = provider_folder();
        // Without their symbols, because debug programs are large.
        for program in ["terraform-provider-kubesmith", "kubesmith-portal"] {
            let mut strip = command("strip");
            strip.arg("-o").arg(folder.join(program)).arg(built.join(program));
            must(strip);
        }
        let mut release = command(built.join("kubesmith-release"));
        release.arg("--out").arg(folder.join("dist"));
        for (flag, program) in
            [("--provider", "terraform-provider-kubesmith"), ("--portal", "kubesmith-portal")]
        {
            release.arg(flag).arg(folder.join(program));
        }
        must(release);
        folder
    })
}

fn json(file: &Path) -> Value {
    let text = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&text).expect("JSON")
}

/// `terraform init` in a folder of its own, with an empty HOME and an empty network: the lock file it wrote.
fn init_from(installation: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("home")).expect("a home");
    fs::write(at("terraform.rc"), format!("provider_installation {{\n  {installation}\n}}\n"))
        .expect("terraform.rc");
    fs::copy(root().join("examples/minimal/main.tf"), at("main.tf")).expect("main.tf");
    let terraform = |arguments: &[&str]| {
        let output = command("unshare")
            .args(["--map-root-user", "--net", terraform()])
            .args(arguments)
            .current_dir(folder.path())
            .env("HOME", at("home"))
            .env("TF_CLI_CONFIG_FILE", at("terraform.rc"))
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_PLUGIN_CACHE_DIR")
            .output()
            .expect("terraform");
        assert!(output.status.success(), "terraform {arguments:?}: {}", text(&output));
    };
    terraform(&["init", "-no-color"]);
    // It is not only unpacked: it answers with its schema.
    terraform(&["validate", "-no-color"]);
    fs::read_to_string(at(".terraform.lock.hcl")).expect("a lock file")
}

#[test]
fn terraform_installs_from_the_mirror_without_a_network_and_the_hashes_agree() {
    if !able(Needs::Terraform) {
        return;
    }
    let dist = release().join("dist");
    let mirror = dist.join("mirror/filesystem");
    let lock = init_from(&format!("filesystem_mirror {{ path = \"{}\" }}", mirror.display()));
    let network = dist.join("mirror/network").join(PACKAGES);
    let versions = json(&network.join("index.json"));
    let (version, _) =
        versions["versions"].as_object().and_then(|map| map.iter().next()).expect("one");
    let archives = json(&network.join(format!("{version}.json")));
    let (_, archive) =
        archives["archives"].as_object().and_then(|map| map.iter().next()).expect("one");
    let hash = archive["hashes"][0].as_str().expect("a hash");
    assert!(lock.contains(&format!("\"{hash}\"")), "{hash} is not in\n{lock}");

    // The zip of the network mirror is a package as well, and has the same hash.
    let packed = release().join("packed").join(PACKAGES);
    fs::create_dir_all(&packed).expect("a folder");
    let zip = archive["url"].as_str().expect("a name");
    fs::copy(network.join(zip), packed.join(zip)).expect("a copy");
    let packed = release().join("packed");
    let again = init_from(&format!("filesystem_mirror {{ path = \"{}\" }}", packed.display()));
    assert_eq!(lock, again);
}

#[test]
fn a_registry_s_checksums_are_those_of_its_files() {
    let registry = release().join("dist/registry");
    let sums = fs::read_dir(&registry).expect("a folder").flatten();
    let sums: Vec<_> = sums
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with("_SHA256SUMS"))
        .collect();
    let output = command("sha256sum")
        .args(["--check", "--strict"])
        .arg(&sums[0])
        .current_dir(&registry)
        .output()
        .expect("sha256sum");
    assert!(output.status.success(), "{}", text(&output));
    let checked = text(&output);
    assert!(checked.contains(".zip: OK") && checked.contains("_manifest.json: OK"), "{checked}");
    let files = fs::read_dir(&registry).expect("a folder").count();
    assert_eq!(files, checked.lines().count() + 1, "a file without a checksum");
}

#[test]
fn the_portal_s_package_holds_its_unit_its_configuration_and_its_provider() {
    if command("dpkg-deb").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "dpkg-deb is not on PATH");
        return eprintln!("SKIPPED: dpkg-deb is not on PATH");
    }
    let package = fs::read_dir(release().join("dist")).expect("a folder").flatten();
    let package = package
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .expect("a package");
    let folder = tempfile::tempdir().expect("a folder");
    let unpacked = command("dpkg-deb").arg("-R").arg(&package).arg(folder.path()).output();
    assert!(unpacked.expect("dpkg-deb").status.success());
    let at = |path: &str| folder.path().join(path);

    let portal = command(at("usr/bin/kubesmith-portal")).arg("--version").output().expect("portal");
    assert!(portal.status.success(), "{}", text(&portal));
    // The configuration that comes with it is one that the portal reads, up to what only the site knows.
    let config =
        fs::read_to_string(at("etc/kubesmith-portal/kubesmith-portal.toml")).expect("TOML");
    let mirror = "usr/share/kubesmith/providers";
    assert!(config.contains(&format!("provider_mirror = \"/{mirror}\"")), "{config}");
    let provider = at(mirror).join(PACKAGES);
    assert!(provider.is_dir(), "{} is missing", provider.display());
    let unit =
        fs::read_to_string(at("usr/lib/systemd/system/kubesmith-portal.service")).expect("a unit");
    let starts = "ExecStart=/usr/bin/kubesmith-portal serve --config /etc/kubesmith-portal/kubesmith-portal.toml";
    assert!(unit.contains(starts), "{unit}");
    let conffiles = fs::read_to_string(at("DEBIAN/conffiles")).expect("conffiles");
    assert_eq!(conffiles.trim(), "/etc/kubesmith-portal/kubesmith-portal.toml");
}
