//! A client of the container runtime's own interface, CRI v1, and the messages that are used of it.
//!
//! Of each message there are only the fields that are used, under the numbers of `k8s.io/cri-api`'s `runtime/v1/api.proto`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tonic::{
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

/// The state of a pod that runs.
const READY: i32 = 0;

/// A connection to a container runtime.
pub(super) struct Runtime(Channel);

impl Runtime {
    /// `socket` with or without `unix://` before it.
    pub(super) async fn connect(socket: &str) -> Result<Self> {
        let address =
            if socket.contains("://") { socket.to_owned() } else { format!("unix://{socket}") };
        let channel = Endpoint::from_shared(address)?.connect().await;
        Ok(Self(channel.with_context(|| format!("no container runtime answers at {socket}"))?))
    }

    /// One unary call: `RuntimeService/Version`.
    pub(super) async fn ask<Q, A>(&self, method: &str, request: Q) -> Result<A>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready().await.context("the container runtime is gone")?;
        let path = PathAndQuery::try_from(format!("/runtime.v1.{method}"))?;
        let answer = grpc.unary(tonic::Request::new(request), path, ProstCodec::default()).await;
        Ok(answer.map_err(|status| anyhow::anyhow!("{method}: {}", status.message()))?.into_inner())
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Empty {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Version {
    #[prost(string, tag = "2")]
    pub(super) runtime: String,
    #[prost(string, tag = "3")]
    pub(super) release: String,
    #[prost(string, tag = "4")]
    pub(super) api: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Conditions>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Conditions {
    #[prost(message, repeated, tag = "1")]
    pub(super) conditions: Vec<Condition>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Condition {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    #[prost(bool, tag = "2")]
    pub(super) holds: bool,
    #[prost(string, tag = "3")]
    pub(super) reason: String,
    #[prost(string, tag = "4")]
    pub(super) message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodId {
    #[prost(string, tag = "1")]
    pub(super) pod_sandbox_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodsRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) filter: Option<PodFilter>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodFilter {
    #[prost(btree_map = "string, string", tag = "3")]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Pods {
    #[prost(message, repeated, tag = "1")]
    pub(super) items: Vec<Pod>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Pod {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(int32, tag = "3")]
    state: i32,
}

impl Pod {
    pub(super) fn is_running(&self) -> bool {
        self.state == READY
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ImageRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageSpec>,
}

impl ImageRequest {
    pub(super) fn of(name: &str) -> Self {
        Self { image: Some(ImageSpec { image: name.to_owned() }) }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ImageStatus {
    #[prost(message, optional, tag = "1")]
    pub(super) image: Option<Image>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Images {
    #[prost(message, repeated, tag = "1")]
    pub(super) images: Vec<Image>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Image {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) repo_tags: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    repo_digests: Vec<String>,
    #[prost(uint64, tag = "4")]
    size: u64,
    #[prost(bool, tag = "8")]
    pinned: bool,
}

impl Image {
    pub(super) fn to_json(&self) -> Value {
        json!({"id": self.id, "repoTags": self.repo_tags, "repoDigests": self.repo_digests,
            "size": self.size.to_string(), "pinned": self.pinned})
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Pulled {
    #[prost(string, tag = "1")]
    pub(super) reference: String,
}
