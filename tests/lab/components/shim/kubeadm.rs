//! `kubeadm`: the real one, with its configuration and the few flags translated that its version does not know.

use std::{
    io::Write as _,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result};

use super::{super::image::KUBEADM, say_error, translate};
use crate::kube::yaml;

/// Becomes the real kubeadm, so that its exit code and the signals to it are its own.
pub(super) fn run(arguments: Vec<String>) -> Result<ExitCode> {
    let (arguments, config) = translate::take_config(arguments);
    let mut arguments = translate::arguments(arguments);
    // Held open until the real program has it: the translation lies in memory and nowhere else, for it may hold a token.
    let mut held = None;
    if let Some(path) = config {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("unable to read config from \"{path}\""))?;
        let translated = translate::configuration(yaml::documents(&text)?)?;
        for note in &translated.notes {
            say_error(format!("[kubesmith-lab] {note}"));
        }
        arguments.extend(translated.flags);
        let file = rustix::fs::memfd_create("kubeadm.yaml", rustix::fs::MemfdFlags::empty())
            .context("failed to keep the translated configuration")?;
        let mut file = std::fs::File::from(file);
        for document in &translated.documents {
            write!(file, "---\n{}\n", yaml::render(document).trim_end())?;
        }
        arguments.push(format!("--config=/proc/self/fd/{}", file.as_raw_fd()));
        held = Some(file);
    }
    // Only returns if it fails.
    let error = crate::command::blocking(KUBEADM).args(&arguments).exec();
    drop(held);
    Err(error).with_context(|| format!("failed to start {KUBEADM}"))
}
