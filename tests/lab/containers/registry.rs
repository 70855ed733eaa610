//! A registry of container images for the lab's network. It speaks as much of the distribution protocol as a container
//! runtime needs to pull.

use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;

use super::Image;

/// Answers a request, if it is one to a registry.
pub(crate) fn respond(method: &Method, path: &str) -> Option<Response<Full<Bytes>>> {
    let rest = path.strip_prefix("/v2/")?;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Some(answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", Bytes::new()));
    }
    if rest.is_empty() {
        return Some(answer(StatusCode::OK, "application/json", Bytes::from_static(b"{}")));
    }
    let found = if let Some((name, wanted)) = rest.rsplit_once("/manifests/") {
        let Image { manifest, .. } = Image::of(name);
        (!wanted.contains(':') || wanted == manifest.digest).then_some(manifest)
    } else if let Some((name, wanted)) = rest.rsplit_once("/blobs/") {
        let Image { config, layer, .. } = Image::of(name);
        [config, layer].into_iter().find(|blob| blob.digest == wanted)
    } else {
        None
    };
    let Some(blob) = found else {
        let nothing = Bytes::from_static(b"{\"errors\": []}");
        return Some(answer(StatusCode::NOT_FOUND, "application/json", nothing));
    };
    let mut response = answer(StatusCode::OK, blob.kind, blob.content);
    if let Ok(digest) = HeaderValue::from_str(&blob.digest) {
        response.headers_mut().insert("docker-content-digest", digest);
    }
    Some(response)
}

fn answer(status: StatusCode, kind: &'static str, content: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn digest(content: &[u8]) -> String {
        format!("sha256:{}", hex::encode(Sha256::digest(content)))
    }

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
