//! The datacentres that a simulation can begin with.

use std::collections::BTreeMap;

use super::access::{Token, User};
use super::state::{Bridge, Node, State, Storage, Vm, Volume};
use super::{Seed, Version, random};

/// The privileged token that everything begins with: `root@pam!tf`.
pub(crate) const TOKEN: &str = "tf";

/// Makes the datacentre; the other value is the token's secret.
pub(crate) fn build(seed: Seed, version: Version) -> (State, String) {
    let mut state = State::default();
    state.access.version = version;
    let secret = random::uuid();
    let token = Token { secret: secret.clone(), ..Token::default() };
    let root = User { tokens: BTreeMap::from([(TOKEN.to_owned(), token)]), ..User::default() };
    state.access.users.insert("root@pam".to_owned(), root);
    match seed {
        Seed::Demo => demo(&mut state),
        Seed::Conformance => conformance(&mut state),
    }
    (state, secret)
}

fn add_node(state: &mut State, name: &str, address: &str, memory: u64, bridge: Bridge) {
    let bridges = BTreeMap::from([("vmbr0".to_owned(), bridge)]);
    let node = Node { cores: 8, memory, address: address.to_owned(), bridges, down: false };
    state.nodes.insert(name.to_owned(), node);
}

fn add_storage(state: &mut State, name: &str, kind: &'static str, shared: bool) {
    let content = "images,rootdir,iso,vztmpl,backup,snippets,import";
    let storage = Storage {
        kind,
        shared,
        content,
        total: 500 << 30,
        used: 40 << 30,
        full: false,
        stuck: false,
    };
    state.storages.insert(name.to_owned(), storage);
}

/// What tells templates apart.
struct Template<'a> {
    vmid: u32,
    name: &'a str,
    node: &'a str,
    storage: &'a str,
    size: u64,
    cores: u32,
    memory: u32,
    tags: Option<&'a str>,
    image: Option<&'a str>,
}

fn add_template(state: &mut State, template: &Template<'_>) {
    let Template { vmid, name, node, storage, size, cores, memory, tags, image } = *template;
    let disk = format!("{storage}:{vmid}/base-{vmid}-disk-0.qcow2");
    let seed = format!("{storage}:{vmid}/vm-{vmid}-cloudinit.qcow2");
    for (id, size, image) in [(&disk, size, image), (&seed, super::disks::CLOUDINIT_SIZE, None)] {
        let key = state.volume_id(node, id);
        let image = image.map(str::to_owned);
        state.volumes.insert(
            key,
            Volume { size, format: "qcow2".to_owned(), owner: vmid, base: None, image },
        );
    }
    let mut config: BTreeMap<_, _> = [
        ("agent", "1".to_owned()),
        ("boot", "order=scsi0;ide2;net0".to_owned()),
        ("cores", cores.to_string()),
        ("ide2", format!("{seed},media=cdrom")),
        ("memory", memory.to_string()),
        ("meta", "creation-qemu=10.0.2,ctime=1795349370".to_owned()),
        ("name", name.to_owned()),
        ("net0", format!("virtio={},bridge=vmbr0", random::mac())),
        ("ostype", "l26".to_owned()),
        ("scsi0", format!("{disk},size={}", super::disks::show_size(size))),
        ("scsihw", "virtio-scsi-single".to_owned()),
        ("serial0", "socket".to_owned()),
        ("smbios1", format!("uuid={}", random::uuid())),
        ("template", "1".to_owned()),
        ("vga", "serial0".to_owned()),
        ("vmgenid", random::uuid()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    if let Some(tags) = tags {
        config.insert("tags".to_owned(), tags.to_owned());
    }
    state.vms.insert(vmid, Vm { node: node.to_owned(), config, ..Vm::default() });
}

/// Three nodes with a storage of their own each and one that they share, and two templates on the latter.
fn demo(state: &mut State) {
    let bridge = Bridge { physical_port: true, vlan_aware: true };
    for index in 1..=3 {
        add_node(state, &format!("pve{index}"), &format!("192.0.2.{index}"), 64 << 30, bridge);
    }
    add_storage(state, "local", "dir", false);
    add_storage(state, "shared", "nfs", true);
    let golden = Template {
        vmid: 9000,
        name: "ubuntu-24.04-k8s-1.36",
        node: "pve1",
        storage: "shared",
        size: 4 << 30,
        cores: 2,
        memory: 2048,
        tags: Some("kubesmith-template"),
        image: Some("golden"),
    };
    add_template(state, &golden);
    let plain = Template { vmid: 9001, name: "debian-13-plain", image: Some("plain"), ..golden };
    add_template(state, &plain);
}

/// One more template in the demo's datacentre, whose machines carry Kubernetes' own programs.
pub(crate) fn add_kubernetes(state: &mut State, name: &str) {
    let template = Template {
        vmid: 9002,
        name,
        node: "pve1",
        storage: "shared",
        size: 4 << 30,
        cores: 2,
        memory: 2048,
        tags: Some("kubesmith-template"),
        image: Some("kubernetes"),
    };
    add_template(state, &template);
}

/// One node, as it was when the reference answers were recorded.
fn conformance(state: &mut State) {
    add_node(
        state,
        "pve",
        "192.0.2.1",
        24 << 30,
        Bridge { physical_port: false, vlan_aware: false },
    );
    add_storage(state, "local", "dir", false);
    add_storage(state, "local2", "dir", false);
    let template = Template {
        vmid: 9000,
        name: "tmpl",
        node: "pve",
        storage: "local",
        size: 64 << 20,
        cores: 1,
        memory: 256,
        tags: None,
        image: None,
    };
    add_template(state, &template);
}
