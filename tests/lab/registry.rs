//! A registry of container images for the lab's network: whatever name is asked for, there is an image of it.
//!
//! It speaks as much of the distribution protocol as a container runtime needs to pull. All images have one empty layer, for
//! nothing of them ever runs; each name has a configuration of its own, so that digests tell them apart.

use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// An archive of nothing.
const NOTHING: [u8; 1024] = [0; 1024];

/// Answers a request, if it is one to a registry.
pub(crate) fn respond(method: &Method, path: &str) -> Option<Response<Full<Bytes>>> {
    let rest = path.strip_prefix("/v2/")?;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Some(answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", Vec::new()));
    }
    if rest.is_empty() {
        return Some(answer(StatusCode::OK, "application/json", b"{}".to_vec()));
    }
    let found = if let Some((name, wanted)) = rest.rsplit_once("/manifests/") {
        let manifest = Image::of(name).manifest();
        let is_it = !wanted.contains(':') || wanted == digest(&manifest);
        is_it.then_some((MANIFEST, manifest))
    } else if let Some((name, wanted)) = rest.rsplit_once("/blobs/") {
        let Image { config, layer } = Image::of(name);
        [(CONFIG, config), (LAYER, layer)].into_iter().find(|(_, blob)| digest(blob) == wanted)
    } else {
        None
    };
    Some(match found {
        Some((kind, content)) => answer(StatusCode::OK, kind, content),
        None => answer(StatusCode::NOT_FOUND, "application/json", b"{\"errors\": []}".to_vec()),
    })
}

struct Image {
    config: Vec<u8>,
    layer: Vec<u8>,
}

impl Image {
    fn of(name: &str) -> Self {
        let architecture = match std::env::consts::ARCH {
            "aarch64" => "arm64",
            _ => "amd64",
        };
        let layer = NOTHING.to_vec();
        let config = json!({"architecture": architecture, "os": "linux", "config": {"Labels": {"name": name}},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]}});
        Self { config: config.to_string().into_bytes(), layer }
    }

    fn manifest(&self) -> Vec<u8> {
        let described = |kind: &str, blob: &[u8]| json!({"mediaType": kind, "digest": digest(blob), "size": blob.len()});
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": described(CONFIG, &self.config), "layers": [described(LAYER, &self.layer)]});
        manifest.to_string().into_bytes()
    }
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

fn answer(status: StatusCode, kind: &'static str, content: Vec<u8>) -> Response<Full<Bytes>> {
    let digest = digest(&content);
    let mut response = Response::new(Full::new(Bytes::from(content)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(digest) = HeaderValue::from_str(&digest) {
        headers.insert("docker-content-digest", digest);
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn get(path: &str) -> (StatusCode, Bytes) {
        let answer = respond(&Method::GET, path).unwrap();
        let status = answer.status();
        (status, answer.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn a_manifest_leads_to_blobs_of_the_digests_that_it_names() {
        let (status, by_tag) = get("/v2/coredns/coredns/manifests/v1.13.1").await;
        assert_eq!(status, StatusCode::OK);
        let name = digest(&by_tag);
        assert_eq!(get(&format!("/v2/coredns/coredns/manifests/{name}")).await.1, by_tag);
        assert_eq!(get(&format!("/v2/etcd/manifests/{name}")).await.0, StatusCode::NOT_FOUND);
        let manifest: serde_json::Value = serde_json::from_slice(&by_tag).unwrap();
        for blob in [&manifest["config"], &manifest["layers"][0]] {
            let named = blob["digest"].as_str().unwrap();
            let (_, content) = get(&format!("/v2/coredns/coredns/blobs/{named}")).await;
            assert_eq!(
                (digest(&content).as_str(), content.len() as u64),
                (named, blob["size"].as_u64().unwrap())
            );
        }
        assert!(respond(&Method::GET, "/core:/stable:/v1.36/deb/Packages").is_none());
    }
}
