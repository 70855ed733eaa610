//! Container images of the lab: whatever name is asked for, there is an image of it. Nothing of them ever runs; what matters
//! is that a runtime has to fetch, check and unpack them as it does with real ones.

mod import;
pub(crate) mod registry;

use std::{
    collections::HashMap,
    io::Read as _,
    sync::{LazyLock, Mutex, PoisonError},
};

use hyper::body::Bytes;
use ring::digest::SHA256;
use serde_json::{Value, json};

pub(crate) use import::{IMPORT, import, pack};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// About what is fetched of the real images, which are compressed, in MB.
const SIZES: [(&str, usize); 7] = [
    ("kube-apiserver", 30),
    ("kube-controller-manager", 28),
    ("kube-scheduler", 22),
    ("kube-proxy", 32),
    ("coredns", 21),
    ("etcd", 59),
    ("flannel", 31),
];

/// An image with one layer.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) config: Blob,
    pub(crate) layer: Blob,
    pub(crate) manifest: Blob,
}

/// Something that is stored under its hash.
#[derive(Clone)]
pub(crate) struct Blob {
    /// Its media type.
    pub(crate) kind: &'static str,
    /// `sha256:...`
    pub(crate) digest: String,
    pub(crate) content: Bytes,
}

impl Image {
    /// The image of a repository (`coredns/coredns`, without its registry), as large as the real one. The larger ones are
    /// kept, for to make one takes longer than to send it.
    pub(crate) fn of(repository: &str) -> Self {
        static MADE: LazyLock<Mutex<HashMap<String, Image>>> = LazyLock::new(Mutex::default);
        let name = repository.rsplit('/').next().unwrap_or(repository);
        let Some((_, size)) = SIZES.iter().find(|(known, _)| *known == name) else {
            return Self::empty(repository);
        };
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Self::with_layer(repository, archive(size * 1_000_000));
        made.entry(repository.to_owned()).or_insert_with(make).clone()
    }

    /// An image of that name without any content.
    pub(crate) fn empty(repository: &str) -> Self {
        Self::with_layer(repository, archive(0))
    }

    fn with_layer(repository: &str, layer: Vec<u8>) -> Self {
        let architecture = match std::env::consts::ARCH {
            "aarch64" => "arm64",
            _ => "amd64",
        };
        let layer = Blob::of(LAYER, layer);
        // Each name has a configuration of its own, so that digests tell images apart.
        let config = json!({"architecture": architecture, "os": "linux", "config": {"Labels": {"name": repository}},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]}});
        let config = Blob::of(CONFIG, config.to_string().into_bytes());
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": config.descriptor(), "layers": [layer.descriptor()]});
        let manifest = Blob::of(MANIFEST, manifest.to_string().into_bytes());
        Self { config, layer, manifest }
    }
}

impl Blob {
    fn of(kind: &'static str, content: Vec<u8>) -> Self {
        let digest = format!("sha256:{}", hex::encode(ring::digest::digest(&SHA256, &content)));
        Self { kind, digest, content: content.into() }
    }

    /// How others refer to it.
    pub(crate) fn descriptor(&self) -> Value {
        json!({"mediaType": self.kind, "digest": self.digest, "size": self.content.len()})
    }
}

/// A tar archive of one file of that many bytes; of nothing, if there are none.
fn archive(size: usize) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::with_capacity(size + 2048));
    if size > 0 {
        let mut header = tar::Header::new_ustar();
        header.set_size(size as u64);
        header.set_mode(0o755);
        let content = std::io::repeat(b'k').take(size as u64);
        archive.append_data(&mut header, "program", content).expect("written to memory");
    }
    archive.into_inner().expect("written to memory")
}
