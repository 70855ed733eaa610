use proptest::prelude::*;

use super::*;

fn config(json: &str) -> VmConfig {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_real_configuration_is_read() {
    let vm = config(
        r#"{"boot":"order=scsi0;ide2;net0","cores":2,"memory":"4096","tags":"KS-1;kubesmith","agent":"1","digest":"d1","name":"demo-cp-1",
            "description":"kubesmith:v1 cluster=demo\nmore","ide2":"shared:19201/vm-19201-cloudinit.qcow2,media=cdrom",
            "scsi0":"shared:9000/base-9000-disk-0.qcow2/19201/vm-19201-disk-0.qcow2,format=qcow2,size=3584M","scsihw":"virtio-scsi-single",
            "net0":"virtio=BC:24:11:FA:99:1C,bridge=vmbr0,tag=119","ipconfig0":"ip=10.40.19.201/24,gw=10.40.19.254","ciuser":"kubesmith",
            "sshkeys":"ssh-ed25519%20AA%2BB%20me%0A","nameserver":"1.1.1.1 9.9.9.9","lock":"clone","protection":1,"onboot":0}"#,
    );
    assert_eq!(
        (vm.cores, vm.memory_mib, vm.agent, vm.protection, vm.template),
        (2, 4096, true, true, false)
    );
    assert_eq!(vm.first_line(), "kubesmith:v1 cluster=demo");
    assert_eq!(vm.tags, BTreeSet::from(["ks-1".to_owned(), "kubesmith".to_owned()]));
    assert_eq!(vm.cloud_init_drive(), Some("ide2"));
    assert_eq!(vm.disks.keys().collect::<Vec<_>>(), ["ide2", "scsi0"]);
    let disk = vm.disk("scsi0").unwrap();
    assert_eq!(
        (disk.storage.as_str(), disk.size_bytes, disk.cdrom),
        ("shared", Some(3584 << 20), false)
    );
    let net = vm.net0.unwrap();
    assert_eq!(
        (net.model.as_str(), net.bridge.as_deref(), net.vlan),
        ("virtio", Some("vmbr0"), Some(119))
    );
    let ip = vm.ip_config0.unwrap();
    assert_eq!(
        (ip.address.as_str(), ip.gateway.as_deref()),
        ("10.40.19.201/24", Some("10.40.19.254"))
    );
    assert_eq!((vm.ssh_keys, vm.nameservers.len()), (vec!["ssh-ed25519 AA+B me".to_owned()], 2));
    assert_eq!((vm.lock.as_deref(), vm.raw["onboot"].as_str()), (Some("clone"), "0"));
}

#[test]
fn the_first_instants_of_a_clone_are_readable() {
    let vm = config(r#"{"lock":"clone","description":" qmclone temporary file","digest":"x"}"#);
    assert_eq!((vm.name, vm.disks.len(), vm.memory_mib), (None, 0, 512));
}

#[test]
fn an_agent_that_is_switched_off_and_a_mac_less_card_are_understood() {
    assert!(!config(r#"{"agent":"0"}"#).agent);
    assert!(!config(r#"{"agent":"enabled=0,type=virtio"}"#).agent);
    assert!(config(r#"{"agent":"1,fstrim_cloned_disks=1"}"#).agent);
    assert_eq!(config(r#"{"net0":"virtio,bridge=vmbr1"}"#).net0.unwrap().model, "virtio");
    assert_eq!(config(r#"{"ide2":"none,media=cdrom"}"#).cloud_init_drive(), None);
}

#[test]
fn an_update_speaks_proxmox() {
    let update = ConfigUpdate::new()
        .cores(2)
        .ssh_keys(["ssh-ed25519 AA+B me"])
        .nameservers(["1.1.1.1", "9.9.9.9"])
        .tags(["kubesmith", "ks-1"])
        .ip_config0("10.40.19.201/24", "10.40.19.254")
        .delete("ide3")
        .digest("d1");
    let text: Vec<String> =
        update.parameters().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        text,
        [
            "cores=2",
            "ipconfig0=ip=10.40.19.201/24,gw=10.40.19.254",
            "nameserver=1.1.1.1 9.9.9.9",
            "sshkeys=ssh-ed25519%20AA%2BB%20me",
            "tags=kubesmith;ks-1",
            "delete=ide3",
            "digest=d1"
        ]
    );
    assert!(ConfigUpdate::new().digest("d1").is_empty());
}

proptest! {
    #[test]
    fn any_configuration_is_read_without_a_panic(values in proptest::collection::btree_map("(net0|scsi[0-9]|ide2|memory|agent|ipconfig0|sshkeys|tags|cores)", "\\PC{0,40}", 0..8)) {
        let json = serde_json::to_string(&values).unwrap();
        prop_assert_eq!(config(&json).raw, values);
    }

    #[test]
    fn ssh_keys_come_back_as_they_were_sent(keys in proptest::collection::vec("[!-~][ -~]{0,30}[!-~]", 0..4)) {
        let sent = ConfigUpdate::new().ssh_keys(keys.clone());
        let json = serde_json::to_string(&BTreeMap::from_iter(sent.parameters())).unwrap();
        prop_assert_eq!(config(&json).ssh_keys, keys);
    }
}
