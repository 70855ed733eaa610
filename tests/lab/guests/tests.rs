//! Three guests from the outside: what a user of the lab relies on.

use std::time::{Duration, Instant};

use super::*;
use crate::command::command;

/// A visible skip where guests cannot run; in CI that is a failure.
fn cannot_run() -> bool {
    match host::why_no_guests() {
        Some(why) if std::env::var_os("CI").is_some() => panic!("{why}"),
        Some(why) => {
            eprintln!("SKIPPED: {why}");
            true
        }
        None => false,
    }
}

fn request(vmid: u32, key: &str) -> BootRequest {
    let last = vmid - 9000;
    BootRequest {
        vmid,
        name: format!("node-{last}"),
        image: "plain".to_owned(),
        user_data: format!(
            "#cloud-config\nhostname: node-{last}\nmanage_etc_hosts: true\nfqdn: node-{last}\nuser: student\n\
             ssh_authorized_keys:\n  - {key}\nchpasswd:\n  expire: False\nusers:\n  - default\n"
        ),
        meta_data: format!("instance-id: test-{vmid}\n"),
        network_config: format!(
            "version: 1\nconfig:\n    - type: physical\n      name: eth0\n      mac_address: 'bc:24:11:00:00:{last:02x}'\n\
             \x20     subnets:\n      - type: static\n        address: '10.40.19.{last}'\n\
             \x20       netmask: '255.255.255.0'\n        gateway: '10.40.19.254'\n"
        ),
    }
}

struct Lab {
    id: &'static str,
    guests: Arc<Guests>,
    dir: tempfile::TempDir,
    key: String,
}

impl Lab {
    async fn new(id: &'static str) -> Self {
        host::prepare().await.unwrap();
        image::ensure("plain", &host::cache_dir()).await.unwrap();
        cleanup::reap(id).await.unwrap();
        network::Network::create(id).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        command::run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file.to_str().unwrap()])
            .await
            .unwrap();
        let key = fs::read_to_string(file.with_extension("pub")).unwrap().trim().to_owned();
        Self { id, guests: Guests::open(dir.path(), id).unwrap(), dir, key }
    }

    async fn leaves_nothing(self) {
        drop(self.guests);
        cleanup::reap(self.id).await.unwrap();
        assert_eq!(cleanup::leftovers(self.id).await, Vec::<String>::new());
    }

    /// Runs a shell line over SSH; one attempt.
    async fn ssh(&self, vmid: u32, line: &str) -> Output {
        let mut ssh = command("nsenter");
        ssh.arg(format!("--net=/run/netns/{}", self.id))
            .args(["ssh", "-i"])
            .arg(self.dir.path().join("key"));
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=5",
            "BatchMode=yes",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("student@10.40.19.{}", vmid - 9000)).arg(line).output().await.unwrap()
    }

    /// The answer to a shell line, tried again until the guest answers.
    async fn ask(&self, vmid: u32, line: &str) -> String {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let output = self.ssh(vmid, line).await;
            if output.status.success() {
                return String::from_utf8(output.stdout).unwrap().trim().to_owned();
            }
            assert!(
                Instant::now() < deadline,
                "guest {vmid} does not answer: {}",
                command::last_words(&output)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_guests_boot_keep_their_disks_and_leave_nothing() {
    if cannot_run() {
        return;
    }
    let lab = Lab::new("lab-test-boot").await;
    let guests = &lab.guests;

    let began = Instant::now();
    let boot = async |vmid: u32| {
        guests.start(request(vmid, &lab.key)).await.unwrap();
        let created = began.elapsed();
        let name = lab.ask(vmid, "hostname").await;
        eprintln!("guest {vmid}: created after {created:.2?}, ssh after {:.2?}", began.elapsed());
        assert_eq!(name, format!("node-{}", vmid - 9000));
    };
    tokio::join!(boot(9201), boot(9202), boot(9203));
    assert_eq!(guests.list(), [9201, 9202, 9203]);

    assert_eq!(lab.ask(9202, "id -un; sudo id -un").await, "student\nroot");
    let addresses = lab.ask(9202, "ip -4 -o address show eth0; ip link show eth0").await;
    assert!(
        addresses.contains("10.40.19.202/24") && addresses.contains("bc:24:11:00:00:ca"),
        "{addresses}"
    );
    lab.ask(9202, "sudo ping -c 1 -W 2 10.40.19.203").await;
    lab.ask(9202, "cloud-init status --wait | grep done").await;
    let version = lab.ask(9203, "sudo ctr version").await;
    assert!(version.contains("Server:"), "{version}");
    eprintln!("containerd answers after {:.2?}", began.elapsed());
    let output = guests.exec(9201, &["systemctl", "is-system-running", "--wait"]).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "running");

    let before = fs::read("/proc/sys/kernel/panic").unwrap();
    lab.ask(9201, "sudo modprobe br_netfilter").await;
    lab.ask(9201, "sudo sysctl -w kernel.panic=77 vm.overcommit_memory=1 net.ipv4.ip_forward=1")
        .await;
    assert_eq!(
        fs::read("/proc/sys/kernel/panic").unwrap(),
        before,
        "a guest changed the host's kernel"
    );

    let host_key =
        lab.ask(9202, "sudo touch /var/kept && cat /etc/ssh/ssh_host_ed25519_key.pub").await;
    guests.shutdown(9202).await.unwrap();
    assert!(!guests.is_running(9202));
    let began = Instant::now();
    guests.start(request(9202, &lab.key)).await.unwrap();
    assert_eq!(
        lab.ask(9202, "ls /var/kept && cat /etc/ssh/ssh_host_ed25519_key.pub").await,
        format!("/var/kept\n{host_key}")
    );
    eprintln!("second boot: ssh after {:.2?}", began.elapsed());

    let booted = "systemctl show --property=UserspaceTimestampMonotonic";
    let first = lab.ask(9203, booted).await;
    guests.exec(9203, &["systemctl", "reboot", "--no-block"]).await.unwrap();
    while lab.ask(9203, booted).await == first {}

    lab.guests.close().await.unwrap();
    lab.leaves_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_fail_on_request_and_a_lab_that_ended_badly_is_cleaned_up() {
    if cannot_run() {
        return;
    }
    let lab = Lab::new("lab-test-faults").await;
    let guests = &lab.guests;

    guests.ssh_refused(9201);
    guests.break_before_boot(9201, "echo broken > /etc/motd").unwrap();
    guests.start(request(9201, &lab.key)).await.unwrap();
    // There may be no bus yet on which it could wait.
    let booted = ["systemctl", "is-system-running", "--wait"];
    while !matches!(
        guests.exec(9201, &booted).await.unwrap().stdout.as_slice(),
        b"running\n" | b"degraded\n"
    ) {}
    let motd = guests.exec(9201, &["cat", "/etc/motd"]).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&motd.stdout), "broken\n");
    let refused = lab.ssh(9201, "true").await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Connection refused"), "{refused:?}");

    guests.stop(9201).await.unwrap();
    guests.clear_faults();
    guests.never_boots(9201);
    guests.start(request(9201, &lab.key)).await.unwrap();
    assert!(guests.is_running(9201));
    while guests.exec(9201, &["cat", "/proc/1/comm"]).await.unwrap().stdout != b"sleep\n" {}
    assert!(!lab.ssh(9201, "true").await.status.success());

    // Nothing is stopped or closed here, as when a lab is killed.
    let left = cleanup::leftovers(lab.id).await.join("\n");
    for kind in ["process", "control group", "network namespace", "folder"] {
        assert!(left.contains(kind), "no {kind} in:\n{left}");
    }
    lab.leaves_nothing().await;
}
