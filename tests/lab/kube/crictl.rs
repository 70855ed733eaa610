//! crictl: what installers and kubeadm ask a container runtime, over the runtime's own interface.

use std::{
    collections::BTreeMap,
    process::{ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::{
    arguments::{Arguments, Known},
    cri::{
        Empty, Image, ImageRequest, ImageStatus, Images, Pod, PodFilter, PodId, Pods, PodsRequest,
        Pulled, Runtime, Status, Version,
    },
    paths, say,
};

const KNOWN: Known = Known {
    valued: &[
        "output",
        "runtime-endpoint",
        "image-endpoint",
        "cri-socket",
        "timeout",
        "config",
        "namespace",
        "label",
        "state",
    ],
    switches: &["quiet", "version", "no-trunc", "all"],
};

pub(crate) async fn run(arguments: Vec<String>, version: &str) -> Result<ExitCode> {
    let arguments = Arguments::parse(&long(arguments), &KNOWN)?;
    let words: Vec<&str> = arguments.positional.iter().map(String::as_str).collect();
    if arguments.is_set("version") {
        say(format!("crictl version v{version}"));
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.is_set("help") || words.is_empty() {
        say(
            "crictl - client for CRI\n\nUSAGE:\n   crictl [global options] command [command options]\n\nCOMMANDS:\n   images, info, inspecti, pods, pull, rmp, stopp, version",
        );
        return Ok(ExitCode::SUCCESS);
    }
    let json = arguments.value("output") == Some("json");
    let endpoint = arguments.value("runtime-endpoint");
    let runtime = Runtime::connect(endpoint.unwrap_or(paths::CONTAINERD_SOCKET)).await?;
    match words.as_slice() {
        ["version"] => {
            let Version { runtime: name, release, api } =
                runtime.ask("RuntimeService/Version", Empty {}).await?;
            say(format!(
                "Version:  0.1.0\nRuntimeName:  {name}\nRuntimeVersion:  {release}\nRuntimeApiVersion:  {api}"
            ));
        }
        ["info"] => {
            let Status { status } = runtime.ask("RuntimeService/Status", Empty {}).await?;
            let conditions: Vec<_> = status
                .unwrap_or_default()
                .conditions
                .into_iter()
                .map(|one| json!({"type": one.kind, "status": one.holds, "reason": one.reason, "message": one.message}))
                .collect();
            say(format!("{:#}", json!({"status": {"conditions": conditions}})));
        }
        ["pods"] => {
            let request = PodsRequest { filter: Some(PodFilter { labels: labels(&arguments) }) };
            let Pods { items } = runtime.ask("RuntimeService/ListPodSandbox", request).await?;
            // Those that run come first: a reset that is cut short has then ended what mattered.
            let (running, ended): (Vec<_>, Vec<_>) = items.into_iter().partition(Pod::is_running);
            let ended = if arguments.value("state") == Some("ready") { Vec::new() } else { ended };
            running.iter().chain(&ended).for_each(|pod| say(&pod.id));
        }
        ["ps"] if json => say("{\"containers\": []}"),
        ["stopp", pods @ ..] => each_pod(&runtime, "StopPodSandbox", pods).await?,
        ["rmp", pods @ ..] => each_pod(&runtime, "RemovePodSandbox", pods).await?,
        ["images" | "image" | "img"] => {
            let Images { images } = runtime.ask("ImageService/ListImages", Empty {}).await?;
            if json {
                let images: Vec<_> = images.iter().map(Image::to_json).collect();
                say(format!("{:#}", json!({"images": images})));
            } else {
                images.iter().flat_map(|image| &image.repo_tags).for_each(say);
            }
        }
        ["inspecti", name] => {
            let ImageStatus { image } =
                runtime.ask("ImageService/ImageStatus", ImageRequest::of(name)).await?;
            let image = image.with_context(|| format!("no such image \"{name}\" present"))?;
            say(if arguments.is_set("quiet") {
                image.id
            } else {
                format!("{:#}", image.to_json())
            });
        }
        ["pull", name] => {
            let Pulled { reference } =
                runtime.ask("ImageService/PullImage", ImageRequest::of(name)).await?;
            say(format!("Image is up to date for {reference}"));
        }
        other => bail!("no help topic for '{}' (the stand-in does not know it)", other.join(" ")),
    }
    Ok(ExitCode::SUCCESS)
}

/// What pods must be labelled with to be meant.
fn labels(arguments: &Arguments) -> BTreeMap<String, String> {
    let namespace = arguments.value("namespace");
    let namespace = namespace.map(|name| ("io.kubernetes.pod.namespace", name));
    let label = arguments.value("label").and_then(|label| label.split_once('='));
    let pairs = namespace.into_iter().chain(label);
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// With the long names of the flags that kubeadm and the roles give by their first letter.
fn long(arguments: Vec<String>) -> Vec<String> {
    let names = [("-r", "--runtime-endpoint"), ("-o", "--output"), ("-q", "--quiet")];
    let long = |argument: String| {
        let known = names.iter().find(|(short, _)| *short == argument);
        known.map_or(argument, |(_, long)| (*long).to_owned())
    };
    arguments.into_iter().map(long).collect()
}

async fn each_pod(runtime: &Runtime, method: &str, pods: &[&str]) -> Result<()> {
    for pod in pods {
        let request = PodId { pod_sandbox_id: (*pod).to_owned() };
        let Empty {} = runtime.ask(&format!("RuntimeService/{method}"), request).await?;
        say(format!("{method}: {pod}"));
    }
    Ok(())
}

/// What `containerd --version` says, or `0.0.0` where there is none.
pub(super) async fn containerd_version() -> String {
    let output = crate::command::asynchronous("containerd")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await;
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.split_whitespace()
        .nth(2)
        .map_or_else(|| "0.0.0".to_owned(), |version| version.trim_start_matches('v').to_owned())
}
