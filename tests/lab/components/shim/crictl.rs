//! `crictl`: what kubeadm asks a container runtime, over the runtime's own interface (CRI v1).

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use tonic::{
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::say;

const SOCKET: &str = "unix:///run/containerd/containerd.sock";
const READY: i32 = 0;

// Of each message only the fields that are used, under the numbers of `k8s.io/cri-api`'s `runtime/v1/api.proto`.

#[derive(Clone, PartialEq, prost::Message)]
struct Empty {}

#[derive(Clone, PartialEq, prost::Message)]
struct PodId {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Pod {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(int32, tag = "3")]
    state: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Pods {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Pod>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ImageRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageSpec>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Image {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, repeated, tag = "2")]
    repo_tags: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ImageStatus {
    #[prost(message, optional, tag = "1")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Images {
    #[prost(message, repeated, tag = "1")]
    images: Vec<Image>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Version {
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    version: String,
    #[prost(string, tag = "4")]
    api: String,
}

pub(super) fn run(arguments: &[String]) -> Result<ExitCode> {
    let (mut socket, mut words) = (SOCKET.to_owned(), Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-r" | "--runtime-endpoint" => {
                rest.next().context("-r takes a socket")?.clone_into(&mut socket)
            }
            "-q" | "--quiet" => {}
            other => words.push(other),
        }
    }
    if !socket.contains("://") {
        socket.insert_str(0, "unix://");
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let runtime = Runtime::connect(&socket).await?;
        match words.as_slice() {
            ["info" | "version"] => {
                let Version { name, version, api } =
                    runtime.ask("RuntimeService/Version", Empty {}).await?;
                say(format!(
                    "RuntimeName:  {name}\nRuntimeVersion:  {version}\nRuntimeApiVersion:  {api}"
                ));
            }
            ["pods"] => {
                let Pods { items } = runtime.ask("RuntimeService/ListPodSandbox", Empty {}).await?;
                // Those that run come first: a reset that is cut short has then ended what mattered.
                let (running, ended): (Vec<_>, Vec<_>) =
                    items.into_iter().partition(|pod| pod.state == READY);
                running.iter().chain(&ended).for_each(|pod| say(&pod.id));
            }
            ["stopp", pods @ ..] => runtime.each_pod("StopPodSandbox", pods).await?,
            ["rmp", pods @ ..] => runtime.each_pod("RemovePodSandbox", pods).await?,
            ["images"] => {
                let Images { images } = runtime.ask("ImageService/ListImages", Empty {}).await?;
                images.iter().flat_map(|image| &image.repo_tags).for_each(say);
            }
            ["inspecti", name] => {
                let request = ImageRequest { image: Some(ImageSpec { image: (*name).to_owned() }) };
                let ImageStatus { image } =
                    runtime.ask("ImageService/ImageStatus", request).await?;
                let image = image.with_context(|| format!("no such image \"{name}\" present"))?;
                say(&image.id);
            }
            ["pull", name] => {
                bail!("{name} is not in this image, and guests of the lab reach no registry")
            }
            other => bail!("the lab's crictl does not know \"{}\"", other.join(" ")),
        }
        Ok(ExitCode::SUCCESS)
    })
}

struct Runtime(Channel);

impl Runtime {
    async fn connect(socket: &str) -> Result<Self> {
        let endpoint = Endpoint::from_shared(socket.to_owned())?;
        let channel = endpoint.connect().await;
        Ok(Self(channel.with_context(|| format!("no container runtime answers at {socket}"))?))
    }

    /// One unary call: `RuntimeService/Version`.
    async fn ask<Q, A>(&self, method: &str, request: Q) -> Result<A>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready().await.context("the container runtime is gone")?;
        let path = PathAndQuery::try_from(format!("/runtime.v1.{method}"))?;
        let answer = grpc.unary(tonic::Request::new(request), path, ProstCodec::default()).await;
        Ok(answer.with_context(|| format!("{method} failed"))?.into_inner())
    }

    async fn each_pod(&self, method: &str, pods: &[&str]) -> Result<()> {
        for pod in pods {
            let request = PodId { pod_sandbox_id: (*pod).to_owned() };
            let Empty {} = self.ask(&format!("RuntimeService/{method}"), request).await?;
            say(format!("{method}: {pod}"));
        }
        Ok(())
    }
}
