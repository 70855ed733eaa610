//! A golden image, baked by `ansible/image.yml` as Packer would have it done, and what nodes made from it need: nothing.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::world::{Machine, Needs, Playbooks, World, root, tasks, world};

/// The lab's template without Kubernetes.
const PLAIN_TEMPLATE: u32 = 9001;
const GATEWAY: &str = "10.40.19.254";

const fn machine(vmid: u32, name: &'static str, address: &'static str) -> Machine {
    Machine { vmid, name, address }
}

const BUILDER: Machine = machine(19240, "image-builder", "10.40.19.240");
const PLAIN: Machine = machine(19241, "plain-cp-1", "10.40.19.241");
const BAKED: Machine = machine(19242, "baked-cp-1", "10.40.19.242");
const WORKER: Machine = machine(19243, "baked-worker-1", "10.40.19.243");

/// How many tasks of the create the test kills a run in. All of them, one after the other, where `KUBESMITH_KILL_EVERY_TASK` is
/// set; which ones otherwise follows from `KUBESMITH_SEED`, a number that the test prints.
const KILLS: usize = 3;

#[test]
fn nodes_of_a_baked_image_fetch_nothing_and_survive_killed_runs() {
    let Some(world) = world(Needs::Guests) else { return };
    let playbooks = world.playbooks();
    boot(&world, &playbooks, PLAIN_TEMPLATE, BUILDER);
    bake(&world, &playbooks);
    world.make_template(BUILDER);

    boot(&world, &playbooks, PLAIN_TEMPLATE, PLAIN);
    for node in [BAKED, WORKER] {
        boot(&world, &playbooks, BUILDER.vmid, node);
        cut_uplink(&world, node);
    }
    clones_differ(&world);
    both_are_made(&world, &playbooks);
    killed_runs_converge(&world, &playbooks);

    drop(playbooks);
    for node in [PLAIN, BAKED, WORKER] {
        world.stop_and_delete("pve1", node.vmid.into());
    }
    world.remove(BUILDER);
    world.assert_empty();
}

fn boot(world: &World, playbooks: &Playbooks<'_>, template: u32, machine: Machine) {
    let access = playbooks.access();
    let access: Vec<_> = access.iter().map(|(key, value)| (*key, value.as_str())).collect();
    world.boot(template, machine, &access);
}

/// Values of the roles' inputs: the lab's mirrors, and the lab's pod network.
fn inputs(control_plane: Machine) -> Value {
    let manifest = root().join("tests/lab/packages/kube-flannel.yml");
    let manifest = std::fs::read(manifest).expect("the lab's pod network");
    json!({
        "cluster_name": "baked", "kubernetes_version": "1.36.4",
        "api_endpoint": format!("{}:6443", control_plane.address),
        "kubernetes_package_mirror": format!("http://{GATEWAY}"),
        "container_registry_mirror": format!("http://{GATEWAY}"),
        "flannel_manifest_sha256": hex::encode(Sha256::digest(manifest)),
        "image_builder_user": "builder",
    })
}

/// Bakes the builder, and looks at what the image says of itself.
fn bake(world: &World, playbooks: &Playbooks<'_>) {
    add_source(world, BUILDER);
    let groups = [("image", &[BUILDER][..])];
    let baked = playbooks.play("image.yml", &groups, &inputs(BUILDER)).must();
    eprintln!("baked in {:.1} s", baked.seconds());

    let (_, text) = world.root(BUILDER, "cat /etc/kubesmith/image.json");
    let image: Value = serde_json::from_str(&text).expect("image.json");
    assert_eq!(image["kubernetes_version"], "1.36.4", "{text}");
    for part in ["containerd", "runc", "crictl", "system", "flannel_manifest"] {
        assert!(image[part].is_string(), "{part}: {text}");
    }
    let images = image["images"].as_array().expect("images");
    for name in [
        "kube-apiserver:v1.36.4",
        "kube-proxy:v1.36.4",
        "/etcd:",
        "/pause:",
        "/coredns:",
        "flannel",
    ] {
        let found =
            images.iter().find(|row| row["name"].as_str().is_some_and(|row| row.contains(name)));
        let found = found.unwrap_or_else(|| panic!("no image {name}: {text}"));
        assert!(
            found["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")),
            "{found}"
        );
    }
}

/// The way out that a machine has at a site without one: the site's mirror of its distribution.
fn add_source(world: &World, machine: Machine) {
    let source = format!("deb [trusted=yes] http://{GATEWAY}/debian ./");
    let file = "/etc/apt/sources.list.d/site.list";
    assert_eq!(world.root(machine, &format!("echo '{source}' > {file}")).0, Some(0));
}

/// From here on the machine reaches its neighbours and nobody else; Ansible, which comes from outside, is answered.
fn cut_uplink(world: &World, machine: Machine) {
    let (reached, said) = reach(world, machine);
    assert_eq!(reached, Some(0), "the uplink was never there: {said}");
    let rules = format!(
        "table inet cut {{\nchain output {{\ntype filter hook output priority 0\nct state established accept\noifname eth0 ip daddr {GATEWAY} drop\n\
         oifname eth0 ip daddr != 10.40.19.0/24 drop\n}}\n}}\n"
    );
    let (status, said) = world.root(machine, &format!("nft -f - << 'NFT'\n{rules}NFT\n"));
    assert_eq!(status, Some(0), "{said}");
    let (reached, said) = reach(world, machine);
    assert_ne!(reached, Some(0), "the uplink is not cut: {said}");
}

fn reach(world: &World, machine: Machine) -> (Option<i64>, String) {
    let url = format!("http://{GATEWAY}/core:/stable:/v1.36/deb/Release");
    world.root(
        machine,
        &format!("curl --silent --show-error --fail --max-time 2 --output /dev/null {url}"),
    )
}

/// Nothing that must be a machine's own is the same on two, and nothing of the builder is left.
fn clones_differ(world: &World) {
    for what in [
        "cat /etc/machine-id",
        "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2",
        "cat /var/lib/cloud/data/instance-id",
        "hostname",
    ] {
        let (one, other) = (world.root(BAKED, what), world.root(WORKER, what));
        assert!(one.0 == Some(0) && !one.1.trim().is_empty(), "{what}: {one:?}");
        assert_ne!(one.1, other.1, "{what}");
    }
    let leftovers = format!("grep -rl {} /etc /var/lib/cloud /var/log 2>/dev/null", BUILDER.name);
    let (_, left) = world.root(BAKED, &leftovers);
    assert_eq!(left, "", "files that name the builder");
}

/// One control plane each by the same roles, from a distribution's own image and from the baked one.
fn both_are_made(world: &World, playbooks: &Playbooks<'_>) {
    // The lab's plain image has a container runtime, so that it boots into a node sooner. A distribution's has none.
    add_source(world, PLAIN);
    let (status, said) = world.root(PLAIN, "apt-get -q -y purge containerd runc 2>&1");
    assert_eq!(status, Some(0), "{said}");
    let make = |node: Machine| {
        playbooks.play("site.yml", &[("control_plane", &[node])], &inputs(node)).must()
    };
    // Before and after the other, so that a machine that is busier by then counts on both sides.
    let baked = make(BAKED);
    let plain = make(PLAIN);
    playbooks.play("reset.yml", &[("control_plane", &[BAKED])], &inputs(BAKED)).must();
    let baked_again = make(BAKED);
    let again = make(BAKED);
    assert_eq!(again.changed(), 0, "the second run changes something:\n{}", again.text);
    for ((task, plain), (_, baked)) in plain.times().into_iter().zip(baked.times()) {
        eprintln!("{plain:6.1} s plain {baked:6.1} s baked  {task}");
    }
    let (plain, baked) = (plain.seconds(), f64::midpoint(baked.seconds(), baked_again.seconds()));
    eprintln!("{plain:6.1} s plain {baked:6.1} s baked and without uplink");
    assert!(baked <= plain / 2.0, "a node of the baked image takes more than half the time");
}

/// Every killed run is finished by the next one, and the one after that changes nothing.
fn killed_runs_converge(world: &World, playbooks: &Playbooks<'_>) {
    let groups = [("control_plane", &[BAKED][..]), ("worker", &[WORKER][..])];
    let undisturbed = playbooks.play("site.yml", &groups, &inputs(BAKED)).must();
    let tasks = tasks(&undisturbed.events);
    for index in sample(tasks.len()) {
        eprintln!("killed in task {index}, {}", tasks[index]);
        playbooks.play("reset.yml", &groups, &inputs(BAKED)).must();
        let running = playbooks.start("site.yml", &groups, &inputs(BAKED));
        assert!(playbooks.kill_in_task(running, index), "no task {index}");
        playbooks.play("site.yml", &groups, &inputs(BAKED)).must();
        let again = playbooks.play("site.yml", &groups, &inputs(BAKED)).must();
        assert_eq!(again.changed(), 0, "after a kill in {}:\n{}", tasks[index], again.text);
        let nodes = "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes --no-headers";
        let (_, nodes) = world.root(BAKED, nodes);
        assert_eq!(nodes.lines().filter(|line| line.contains(" Ready ")).count(), 2, "{nodes}");
    }
}

/// Which of the tasks runs are killed in.
fn sample(count: usize) -> Vec<usize> {
    if std::env::var_os("KUBESMITH_KILL_EVERY_TASK").is_some() {
        return (0..count).collect();
    }
    let seed = match std::env::var("KUBESMITH_SEED") {
        Ok(seed) => seed.parse().expect("KUBESMITH_SEED is a number"),
        Err(_) => u64::from(std::process::id()),
    };
    eprintln!("KUBESMITH_SEED={seed}");
    let mut random = rand::SeedableRng::seed_from_u64(seed);
    let mut chosen =
        rand::seq::index::sample::<rand::rngs::StdRng>(&mut random, count, KILLS.min(count))
            .into_vec();
    chosen.sort_unstable();
    chosen
}
