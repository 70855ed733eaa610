//! The root folders that guests boot from, built once and kept in the lab's cache.
//!
//! `plain` is Debian 13 with what a node needs from the distribution; `golden` is a layer above it
//! with Kubernetes' packages, as a real golden image has, made from stand-ins; `kubernetes` is two
//! such layers with Kubernetes' own programs, where there are any. A folder's name carries a hash of all
//! that went into it, so that a changed recipe makes a new image and never a stale one.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};
use ring::digest::{SHA256, digest};

use super::{debian, mirror::Release};
use crate::{
    command,
    components::{self, Components},
    containers, host,
    packages::{self, Programs},
};

/// The Kubernetes version in the golden image.
pub const GOLDEN_VERSION: &str = "1.36.4";

const CUSTOMIZE: &str = include_str!("customize.sh");
const PACKAGES: &str = "systemd,systemd-sysv,dbus,udev,openssh-server,cloud-init,netcat-openbsd,python3,python3-apt,\
    sudo,iproute2,iputils-ping,ca-certificates,curl,kmod,procps,iptables,nftables,conntrack,socat,ethtool,ebtables,\
    gpg,gpgv,jq,less,containerd,runc";
/// After how long an image goes, when a newer one of its name is built.
const UNUSED: Duration = Duration::from_hours(7 * 24);
/// Manuals and translations are a third of a small root.
const LEFT_OUT: [&str; 3] = ["/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*"];
/// What the lab itself puts into images, besides the stand-ins.
const OWN_RECIPE: [&str; 3] = [
    include_str!("../packages/deb.rs"),
    include_str!("../packages/golden.rs"),
    include_str!("../packages/kube-flannel.yml"),
];

/// A root made of layers, the topmost first, as overlayfs wants its lower folders.
#[derive(Debug, Clone)]
pub struct Image {
    /// Read-only folders, the topmost first.
    pub layers: Vec<PathBuf>,
}

/// All images, for a lab that is about to enter its network.
pub async fn ensure_all() -> Result<()> {
    let cache = host::cache_dir();
    ensure("golden", &cache).await?;
    ensure_debian(&cache).await?;
    if Components::of_environment()?.is_some() {
        ensure("kubernetes", &cache).await?;
    }
    Ok(())
}

/// The image `plain`, `golden` or `kubernetes`, from the cache or else built now (about a minute; needs the
/// way to the package mirror, so call it before entering the lab's network).
pub async fn ensure(name: &str, cache: &Path) -> Result<Image> {
    let release = Release::of_host()?;
    let (plain, plain_key) = plain(cache, &release).await?;
    match name {
        "plain" => Ok(Image { layers: vec![plain] }),
        "golden" => {
            let standin = tokio::fs::read(packages::standin_binary()?).await?;
            let recipe = [GOLDEN_VERSION, containers::IMPORT].concat();
            let key = key(&[plain_key.as_bytes(), recipe.as_bytes(), &standin]);
            let golden =
                once(cache, "golden", &key, async |folder| build_golden(folder, &plain).await)
                    .await?;
            Ok(Image { layers: vec![golden, plain] })
        }
        "kubernetes" => {
            let components = Components::of_environment()?
                .with_context(|| format!("{} is not set", components::FOLDER))?;
            let archive = tokio::fs::read(&components.archive).await?;
            let recipe = components::RECIPE.concat();
            let own_key = key(&[plain_key.as_bytes(), recipe.as_bytes(), &archive]);
            let own = once(cache, "components", &own_key, async |folder| {
                build_components(folder, &plain, &release, &components).await
            })
            .await?;
            let shim = tokio::fs::read(packages::lab_binary("kubesmith-shim")?).await?;
            let key = key(&[own_key.as_bytes(), &shim]);
            let kubernetes = once(cache, "kubernetes", &key, async |folder| {
                above(folder, &[&own, &plain], async |root| {
                    components::add_shims(&components, root, &folder.join("debs")).await
                })
                .await
            })
            .await?;
            Ok(Image { layers: vec![kubernetes, own, plain] })
        }
        _ => bail!(
            "there is no guest image \"{name}\": there are `plain`, `golden` and `kubernetes`"
        ),
    }
}

/// The lowest layer of all images, and its key.
async fn plain(cache: &Path, release: &Release) -> Result<(PathBuf, String)> {
    let recipe = format!(
        "{CUSTOMIZE}\n{PACKAGES}\n{LEFT_OUT:?}\n{}\n{}\n{}",
        OWN_RECIPE.concat(),
        release.suite,
        std::env::consts::ARCH
    );
    let key = key(&[recipe.as_bytes()]);
    let plain =
        once(cache, "plain", &key, async |folder| build_plain(folder, release).await).await?;
    Ok((plain, key))
}

/// A folder with the packages of the distribution that guests can install, see `debian.rs`.
pub(crate) async fn ensure_debian(cache: &Path) -> Result<PathBuf> {
    let release = Release::of_host()?;
    let (plain, plain_key) = plain(cache, &release).await?;
    let key = key(&[plain_key.as_bytes(), debian::PACKAGES.concat().as_bytes()]);
    once(cache, "debian", &key, async |folder| {
        debian::download(&folder.join("root"), folder, &plain, &release).await
    })
    .await
}

fn key(parts: &[&[u8]]) -> String {
    let hashes: Vec<u8> =
        parts.iter().flat_map(|part| digest(&SHA256, part).as_ref().to_vec()).collect();
    hex::encode(&digest(&SHA256, &hashes).as_ref()[..8])
}

/// The folder `<name>-<key>`, built in a folder beside it and renamed, so that it is complete whenever
/// it exists; a lock keeps two processes from building the same.
async fn once(
    cache: &Path,
    name: &str,
    key: &str,
    build: impl AsyncFnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let images = cache.join("images");
    ensure!(
        !images.to_string_lossy().contains([':', ',', '\\']),
        "the cache {} cannot hold guest images: overlayfs takes no colon, comma or backslash",
        images.display()
    );
    let done = images.join(format!("{name}-{key}"));
    if done.exists() {
        mark_used(&done);
        return Ok(done);
    }
    fs::create_dir_all(&images).with_context(|| format!("failed to make {}", images.display()))?;
    let lock = File::create(images.join(format!("{name}.lock")))?;
    let _lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    if done.exists() {
        return Ok(done);
    }
    let unfinished = images.join(format!("{name}.unfinished"));
    discard(&unfinished).await?;
    fs::create_dir(&unfinished)?;
    let began = std::time::Instant::now();
    tracing::info!("building the guest image {name}, which is kept in {}", images.display());
    build(&unfinished).await.with_context(|| format!("failed to build the guest image {name}"))?;
    fs::rename(unfinished.join("root"), &done)?;
    discard(&unfinished).await?;
    remove_unused(&images, name).await?;
    tracing::info!("built the guest image {name} in {} s", began.elapsed().as_secs());
    Ok(done)
}

fn mark_used(image: &Path) {
    let _ = File::open(image).and_then(|folder| folder.set_modified(SystemTime::now()));
}

/// Removes images of this name that no lab has asked for in a long time.
async fn remove_unused(images: &Path, name: &str) -> Result<()> {
    for entry in fs::read_dir(images)?.flatten() {
        let own = entry
            .file_name()
            .to_string_lossy()
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('-'));
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|used| used.elapsed().ok());
        if own && age.is_some_and(|age| age > UNUSED) {
            super::remove_folder(entry.path()).await?;
        }
    }
    Ok(())
}

/// Removes what an unfinished build left, its mounts first.
async fn discard(folder: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    for point in points
        .filter(|point| Path::new(point).starts_with(folder))
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        command::run("umount", ["--lazy", point]).await?;
    }
    super::remove_folder(folder.to_owned()).await
}

async fn build_plain(folder: &Path, release: &Release) -> Result<()> {
    let customize = folder.join("customize.sh");
    fs::write(&customize, CUSTOMIZE)?;
    let root = folder.join("root");
    let hook = format!("--customize-hook=sh {} \"$1\"", customize.display());
    bootstrap(release, "minbase", PACKAGES, &root, &["--skip=output/dev", &hook]).await?;
    packages::write_marker(&root, None, packages::FLANNEL)
}

/// Packages of the guests' release and what they depend on, installed or only unpacked, in a new folder.
async fn bootstrap(
    release: &Release,
    variant: &str,
    packages: &str,
    root: &Path,
    more: &[&str],
) -> Result<()> {
    let mirror = release.mirror().await?;
    let mut mmdebstrap = command::command("mmdebstrap");
    mmdebstrap.args(["--mode=root", "--format=directory"]).args(more);
    mmdebstrap
        .arg(format!("--variant={variant}"))
        .arg(format!("--components={}", release.components))
        .arg(format!("--include={packages}"));
    mmdebstrap.args([
        "--aptopt=Acquire::Languages \"none\";",
        "--aptopt=APT::Install-Recommends \"false\";",
    ]);
    mmdebstrap.args(mirror.options.iter().map(|option| format!("--aptopt={option}")));
    mmdebstrap.args(LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
    mmdebstrap.arg(&release.suite).arg(root).arg(release.source(&mirror));
    let built = command::output(&mut mmdebstrap).await;
    built.context(
        "if its signature is unknown, update the package of archive keys (debian-archive-keyring)",
    )?;
    Ok(())
}

async fn build_golden(folder: &Path, plain: &Path) -> Result<()> {
    let debs =
        packages::build_debs(&folder.join("debs"), GOLDEN_VERSION, &Programs::StandIns).await?;
    let (state, archives) = (folder.join("containerd"), folder.join("archives"));
    fs::create_dir(&state)?;
    fs::create_dir(&archives)?;
    let kubeadm = packages::standin_binary()?;
    let mut wanted = command::command(&kubeadm);
    wanted.args(["kubeadm", "config", "images", "list", "--kubernetes-version", GOLDEN_VERSION]);
    let images = command::output(&mut wanted).await?.stdout;
    let images = String::from_utf8(images)?;
    containers::pack(&images.lines().collect::<Vec<_>>(), &archives.join("kubernetes.tar"))?;
    above(folder, &[plain], async |root| {
        packages::install(root, &debs).await?;
        packages::write_marker(root, Some(GOLDEN_VERSION), packages::FLANNEL)?;
        containers::import(root, &state, &archives).await
    })
    .await?;
    place_containerd(folder, state).await
}

async fn build_components(
    folder: &Path,
    plain: &Path,
    release: &Release,
    components: &Components,
) -> Result<()> {
    let debian = folder.join("debian");
    bootstrap(release, "extract", components::DEBIAN, &debian, &[]).await?;
    let work = folder.join("components");
    fs::create_dir(&work)?;
    let mut state = None;
    above(folder, &[plain], async |root| {
        state = Some(components::build(components, root, &debian, &work).await?);
        Ok(())
    })
    .await?;
    place_containerd(folder, state.context("it was just built")?).await
}

/// Moves what a containerd keeps into the layer, behind the overlay's back, so only once that is gone.
async fn place_containerd(folder: &Path, state: PathBuf) -> Result<()> {
    let containerd = folder.join("root/var/lib/containerd");
    super::remove_folder(containerd.clone()).await?;
    fs::create_dir_all(folder.join("root/var/lib"))?;
    Ok(fs::rename(state, containerd)?)
}

/// Fills the layer `root` of the folder, seen as the topmost above others.
async fn above(
    folder: &Path,
    lower: &[&Path],
    fill: impl AsyncFnOnce(&Path) -> Result<()>,
) -> Result<()> {
    for name in ["root", "work", "merged"] {
        fs::create_dir(folder.join(name))?;
    }
    let lower: Vec<String> = lower.iter().map(|layer| layer.display().to_string()).collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        folder.join("root").display(),
        folder.join("work").display()
    );
    let merged = folder.join("merged");
    let mut mount = command::command("mount");
    mount.args(["-t", "overlay", "overlay", "-o", &options]).arg(&merged);
    command::output(&mut mount).await?;
    let filled = fill(&merged).await;
    let mut umount = command::command("umount");
    command::output(umount.arg(&merged)).await?;
    filled
}

/// The address of the host's mirror of Debian, for those who want more of it than guests.
pub(crate) async fn debian_mirror() -> Result<String> {
    let release = Release::of_host()?;
    ensure!(release.is_debian(), "only a Debian host has a mirror with sources of Debian 12");
    let mirror = release.mirror().await?.uri;
    ensure!(mirror.contains("://"), "the host's mirror is a list, not an address: {mirror}");
    Ok(mirror)
}
