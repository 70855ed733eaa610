//! What is complained of, word by word.

use super::*;
use crate::pve::schema::ENDPOINTS;

fn refused(method: &str, path: &str, raw: &[(&str, &str)]) -> String {
    let endpoint = ENDPOINTS.iter().find(|it| it.method == method && it.path == path).unwrap();
    let raw = raw.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    match Params::verify(&raw, endpoint, Version::V9_1) {
        Ok(_) => "accepted".to_owned(),
        Err(refusal) => {
            let lines = refusal.errors.iter().map(|(path, text)| format!("{path} = {text:?}\n"));
            lines.collect()
        }
    }
}

#[test]
fn complaints_read_as_the_servers_own() {
    let create = |more: &[(&str, &str)]| {
        let given = [("node", "pve"), ("vmid", "200")];
        refused("POST", "/nodes/{node}/qemu", &[&given, more].concat())
    };
    let all = [
        create(&[("cores", "0"), ("memory", "8"), ("onboot", "true"), ("sockets", "x")]),
        create(&[("bogus", "1"), ("net32", "virtio"), ("cpuunits", "999999"), ("force", "1")]),
        create(&[
            ("net0", "virtio,bogus=1"),
            ("net1", "virtio,e1000"),
            ("net2", "virtio=01:00:00:00:00:00"),
        ]),
        create(&[("net0", "bridge=vmbr0"), ("net1", "virtio,tag=9999,mtu=0"), ("net2", "=x")]),
        create(&[
            ("scsi0", "nothing"),
            ("ide2", "local:1,media=tape"),
            ("scsi1", "local:1,size=1Q"),
        ]),
        create(&[
            ("ipconfig0", "gw=10.0.0.1"),
            ("ipconfig1", "ip=10.0.0.1"),
            ("ipconfig2", "dhcp"),
        ]),
        create(&[
            ("agent", "maybe"),
            ("cpu", "i8086"),
            ("boot", "order=nic0"),
            ("bios", "coreboot"),
        ]),
        create(&[
            ("name", "under_score"),
            ("tags", "a,b c!"),
            ("sshkeys", "a b"),
            ("nameserver", "1.2.3.4;.."),
        ]),
        create(&[
            ("description", &"x".repeat(8193)),
            ("startup", "first"),
            ("pool", "a//b"),
            ("ostype", "hurd"),
        ]),
    ];
    insta::assert_snapshot!(all.join("--\n"), @r#"
    cores = "value must have a minimum value of 1"
    memory = "invalid format - format error\nmemory.current: value must have a minimum value of 16\n"
    onboot = "type check ('boolean') failed - got 'true'"
    sockets = "type check ('integer') failed - got 'x'"
    --
    archive = "missing property - 'force' requires this property"
    bogus = "property is not defined in schema and the schema does not allow additional properties"
    cpuunits = "value must have a maximum value of 262144"
    net32 = "property is not defined in schema and the schema does not allow additional properties"
    --
    net0 = "invalid format - invalid key in comma-separated list property: bogus\n"
    net1 = "invalid format - duplicate key in comma-separated list property: model\n"
    net2 = "invalid format - format error\nnet2.macaddr: invalid format - value does not look like a valid unicast MAC address\n\n"
    --
    net0 = "invalid format - format error\nnet0.model: property is missing and it is not optional\n"
    net1 = "invalid format - format error\nnet1.mtu: value must have a minimum value of 1\nnet1.tag: value must have a maximum value of 4094\n"
    net2 = "invalid format - missing key in comma-separated list property\n"
    --
    ide2 = "invalid format - format error\nide2.media: value 'tape' does not have a value in the enumeration 'cdrom, disk'\n"
    scsi0 = "invalid format - format error\nscsi0.file: invalid format - unable to parse volume ID 'nothing'\n\n"
    scsi1 = "invalid format - format error\nscsi1.size: invalid format - value does not look like a valid disk size: 1Q\n\n"
    --
    ipconfig0 = "invalid format - format error\nipconfig0.ip: missing property - 'ipconfig0.gw' requires this property\n"
    ipconfig1 = "invalid format - format error\nipconfig1.ip: invalid format - value does not look like a valid ipv4 network configuration\n\n"
    ipconfig2 = "invalid format - value without key, but schema does not define a default key\n"
    --
    agent = "invalid format - format error\nagent.enabled: type check ('boolean') failed - got 'maybe'\n"
    bios = "value 'coreboot' does not have a value in the enumeration 'seabios, ovmf'"
    boot = "invalid format - format error\nboot.order: invalid format - invalid boot device 'nic0'\n\n"
    cpu = "invalid format - Built-in cputype 'i8086' is not defined (missing 'custom-' prefix?)\n"
    --
    name = "invalid format - value does not look like a valid DNS name\n"
    nameserver = "invalid format - value does not look like a valid address: ..\n"
    sshkeys = "invalid format - invalid urlencoded string: a b\n"
    tags = "invalid format - invalid characters in tag\n"
    --
    description = "value may only be 8192 characters long"
    ostype = "value 'hurd' does not have a value in the enumeration 'other, wxp, w2k, w2k3, w2k8, wvista, win7, win8, win10, win11, l24, l26, solaris'"
    pool = "invalid format - pool name 'a//b' contains invalid characters\n"
    startup = "invalid format - unable to parse startup options\n"
    "#);
}
