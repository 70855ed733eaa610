//! The programs that the tests run, and what they print.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

pub(super) const LAB: &str = env!("CARGO_BIN_EXE_kubesmith-lab");

#[expect(clippy::disallowed_methods, reason = "the tests run the programs a user runs")]
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

/// Terraform, or the compatible program that `KUBESMITH_TERRAFORM` names (`tofu`, or a path).
pub(crate) fn terraform() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| std::env::var("KUBESMITH_TERRAFORM").unwrap_or("terraform".to_owned()))
}

/// All that a program printed.
pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Terraform wraps diagnostics at the terminal's width behind a bar: the same text on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(['│', '╷', '╵'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The folder that holds the built provider. `cargo test` does not build other packages' programs, so this does.
pub(crate) fn provider_folder() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = command(env!("CARGO"))
            .args(["build", "--quiet", "-p", "terraform-provider-kubesmith"])
            .current_dir(root())
            .status()
            .expect("cargo");
        assert!(built.success(), "the provider does not build");
        Path::new(LAB).parent().expect("a folder").to_owned()
    })
}

/// The repository's top folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent")
}

pub(super) fn cli_config() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("terraform.rc");
        let folder = provider_folder().display();
        let text = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"kubesmith/kubesmith\" = \"{folder}\"\n  }}\n  direct {{}}\n}}\n"
        );
        fs::write(&path, text).expect("terraform.rc");
        path
    })
}

/// `ansible-playbook`, installed by the lab where the machine has none.
pub(super) fn ansible_playbook() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let output =
            command(LAB).args(["tool", "ansible-playbook"]).output().expect("kubesmith-lab");
        assert!(output.status.success(), "no ansible-playbook: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}

/// A program that the lab provides, and that not every machine can have. `None` is a visible skip.
pub(crate) fn lab_tool(name: &str) -> Option<PathBuf> {
    let output = command(LAB).args(["tool", name]).output().expect("kubesmith-lab");
    if output.status.success() {
        return Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    assert!(std::env::var_os("CI").is_none(), "no {name}: {}", text(&output));
    eprintln!("SKIPPED: no {name} on this machine");
    None
}
