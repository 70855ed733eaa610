//! The configuration keys of a virtual machine: their types, and which privilege each needs.

use super::formats::{self, PropertyString};
use super::params::{Kind, Param, optional};

/// Which privilege a key needs; `config::authorize` makes the checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Needs {
    Cpu,
    Memory,
    Network,
    Cloudinit,
    Options,
    /// Options, and Sys.Modify on `/` besides.
    Startup,
    Disk,
    /// A drive: disk, CD-ROM or cloud-init drive, by its value.
    Drive,
    HardwareType,
    /// Hardware type if the value is `socket`, root alone otherwise.
    Serial,
    RootOnly,
}

/// When a change of a key takes hold on a running machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Takes {
    /// At once.
    AtOnce,
    /// At the next start; until then it is pending.
    AtStart,
}

/// One configuration key.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) param: Param,
    pub(crate) needs: Needs,
    pub(crate) takes: Takes,
}

const POSITIVE: Kind = Kind::Integer(1, i64::MAX);
const NATURAL: Kind = Kind::Integer(0, i64::MAX);

const OS_TYPES: &[&str] = &[
    "other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24",
    "l26", "solaris",
];
const SCSI_CONTROLLERS: &[&str] =
    &["lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"];
const LOCKS: &[&str] = &[
    "backup",
    "clone",
    "create",
    "migrate",
    "rollback",
    "snapshot",
    "snapshot-delete",
    "suspending",
    "suspended",
];

static NET_MODELS: &[&str] = &[
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];

/// `net[n]`.
pub(crate) static NET: PropertyString = PropertyString {
    default_key: Some("model"),
    keys: &[
        ("model", Kind::Enum(NET_MODELS)),
        ("macaddr", Kind::Text),
        ("bridge", Kind::Text),
        ("tag", Kind::Integer(1, 4094)),
        ("trunks", Kind::Text),
        ("firewall", Kind::Boolean),
        ("link_down", Kind::Boolean),
        ("mtu", Kind::Integer(1, 65520)),
        ("queues", Kind::Integer(0, 64)),
        ("rate", Kind::Number),
    ],
    models: NET_MODELS,
    open: false,
};

static MEMORY: PropertyString = PropertyString {
    default_key: Some("current"),
    keys: &[("current", Kind::Integer(16, i64::MAX))],
    models: &[],
    open: false,
};

/// `agent`.
pub(crate) static AGENT: PropertyString = PropertyString {
    default_key: Some("enabled"),
    keys: &[
        ("enabled", Kind::Boolean),
        ("freeze-fs", Kind::Boolean),
        ("freeze-fs-on-backup", Kind::Boolean),
        ("fstrim_cloned_disks", Kind::Boolean),
        ("type", Kind::Enum(&["virtio", "isa"])),
    ],
    models: &[],
    open: false,
};

/// Drives: the lab looks at the file, the size and the medium, and keeps the rest as it is given.
pub(crate) static DRIVE: PropertyString =
    PropertyString { default_key: Some("file"), keys: &[], models: &[], open: true };

const fn key(needs: Needs, takes: Takes, name: &'static str, kind: Kind) -> Key {
    Key { param: optional(name, kind), needs, takes }
}

/// Every key, in no particular order.
pub(crate) static KEYS: &[Key] = {
    use Needs::{
        Cloudinit, Cpu, Disk, Drive, HardwareType, Memory, Network, Options, RootOnly, Serial,
        Startup,
    };
    use Takes::{AtOnce, AtStart};
    &[
        key(Cpu, AtStart, "cores", POSITIVE),
        key(Cpu, AtStart, "sockets", POSITIVE),
        key(Cpu, AtStart, "smp", POSITIVE),
        key(Cpu, AtStart, "vcpus", POSITIVE),
        key(Cpu, AtStart, "cpu", Kind::Text),
        key(Cpu, AtOnce, "cpulimit", Kind::Number),
        key(Cpu, AtOnce, "cpuunits", Kind::Integer(1, 262_144)),
        key(Cpu, AtStart, "numa", Kind::Boolean),
        key(Memory, AtStart, "memory", Kind::Properties(&MEMORY)),
        key(Memory, AtStart, "balloon", NATURAL),
        key(Memory, AtOnce, "shares", Kind::Integer(0, 50_000)),
        key(Network, AtOnce, "net[n]", Kind::Properties(&NET)),
        key(Cloudinit, AtOnce, "ipconfig[n]", Kind::Format(formats::ipconfig)),
        key(Cloudinit, AtOnce, "cicustom", Kind::Text),
        key(Cloudinit, AtOnce, "cipassword", Kind::Text),
        key(Cloudinit, AtOnce, "citype", Kind::Enum(&["configdrive2", "nocloud", "opennebula"])),
        key(Cloudinit, AtOnce, "ciupgrade", Kind::Boolean),
        key(Cloudinit, AtOnce, "ciuser", Kind::Text),
        key(Cloudinit, AtOnce, "nameserver", Kind::Format(formats::addresses)),
        key(Cloudinit, AtOnce, "searchdomain", Kind::Text),
        key(Cloudinit, AtOnce, "sshkeys", Kind::Format(formats::urlencoded)),
        key(Options, AtStart, "agent", Kind::Properties(&AGENT)),
        key(Options, AtOnce, "autostart", Kind::Boolean),
        key(Options, AtStart, "bios", Kind::Enum(&["seabios", "ovmf"])),
        Key {
            param: optional("description", Kind::Text).length(0, 8192),
            needs: Options,
            takes: AtOnce,
        },
        key(Options, AtStart, "keyboard", Kind::Text),
        key(Options, AtStart, "localtime", Kind::Boolean),
        key(Options, AtOnce, "name", Kind::Format(formats::dns_name)),
        key(Options, AtOnce, "onboot", Kind::Boolean),
        key(Options, AtStart, "ostype", Kind::Enum(OS_TYPES)),
        key(Options, AtOnce, "protection", Kind::Boolean),
        key(Options, AtStart, "reboot", Kind::Boolean),
        key(Options, AtStart, "startdate", Kind::Text),
        key(Startup, AtOnce, "startup", Kind::Text),
        key(Options, AtOnce, "tags", Kind::Format(formats::tags)),
        key(Options, AtStart, "tdf", Kind::Boolean),
        key(Options, AtStart, "template", Kind::Boolean),
        key(Disk, AtStart, "boot", Kind::Text),
        key(Disk, AtStart, "bootdisk", Kind::Text),
        key(Disk, AtOnce, "vmstatestorage", Kind::Format(formats::storage)),
        key(Drive, AtOnce, "scsi[n]", Kind::Properties(&DRIVE)),
        key(Drive, AtOnce, "virtio[n]", Kind::Properties(&DRIVE)),
        key(Drive, AtOnce, "sata[n]", Kind::Properties(&DRIVE)),
        key(Drive, AtStart, "ide[n]", Kind::Properties(&DRIVE)),
        key(Drive, AtStart, "efidisk0", Kind::Properties(&DRIVE)),
        key(Drive, AtStart, "tpmstate0", Kind::Properties(&DRIVE)),
        key(Drive, AtOnce, "unused[n]", Kind::Properties(&DRIVE)),
        key(HardwareType, AtStart, "acpi", Kind::Boolean),
        key(HardwareType, AtStart, "audio0", Kind::Text),
        key(HardwareType, AtStart, "hotplug", Kind::Text),
        key(HardwareType, AtStart, "kvm", Kind::Boolean),
        key(HardwareType, AtStart, "machine", Kind::Text),
        key(HardwareType, AtStart, "rng0", Kind::Text),
        key(HardwareType, AtStart, "scsihw", Kind::Enum(SCSI_CONTROLLERS)),
        key(HardwareType, AtStart, "smbios1", Kind::Text),
        key(HardwareType, AtStart, "tablet", Kind::Boolean),
        key(HardwareType, AtStart, "vga", Kind::Text),
        key(HardwareType, AtStart, "vmgenid", Kind::Text),
        key(HardwareType, AtStart, "watchdog", Kind::Text),
        key(Serial, AtStart, "serial[n]", Kind::Text),
        key(RootOnly, AtStart, "affinity", Kind::Text),
        key(RootOnly, AtStart, "amd-sev", Kind::Text),
        key(RootOnly, AtStart, "arch", Kind::Enum(&["x86_64", "aarch64"])),
        key(RootOnly, AtStart, "args", Kind::Text),
        key(RootOnly, AtStart, "freeze", Kind::Boolean),
        key(RootOnly, AtStart, "hookscript", Kind::Text),
        key(RootOnly, AtStart, "hostpci[n]", Kind::Text),
        key(RootOnly, AtStart, "hugepages", Kind::Enum(&["any", "2", "1024"])),
        key(RootOnly, AtStart, "ivshmem", Kind::Text),
        key(RootOnly, AtStart, "keephugepages", Kind::Boolean),
        key(RootOnly, AtOnce, "lock", Kind::Enum(LOCKS)),
        key(RootOnly, AtStart, "migrate_downtime", Kind::Number),
        key(RootOnly, AtStart, "migrate_speed", NATURAL),
        key(RootOnly, AtStart, "numa[n]", Kind::Text),
        key(RootOnly, AtStart, "parallel[n]", Kind::Text),
        key(RootOnly, AtStart, "spice_enhancements", Kind::Text),
        key(RootOnly, AtStart, "usb[n]", Kind::Text),
        key(RootOnly, AtStart, "virtiofs[n]", Kind::Text),
    ]
};

/// The keys as declared parameters.
pub(crate) static PARAMS: std::sync::LazyLock<Vec<Param>> =
    std::sync::LazyLock::new(|| KEYS.iter().map(|key| key.param).collect());

/// Looks a key up by a name such as `net0`.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.param.matches(name))
}

/// Whether `name` is a slot for a drive.
pub(crate) fn is_drive(name: &str) -> bool {
    !name.starts_with("unused") && find(name).is_some_and(|key| key.needs == Needs::Drive)
}

/// A value as `GET config` shows it: numbers where the schema says so, text everywhere else.
pub(crate) fn shown(name: &str, value: &str) -> serde_json::Value {
    if name == "cipassword" {
        return "**********".into();
    }
    match find(name).map(|key| key.param.kind) {
        Some(Kind::Boolean | Kind::Integer(..)) => {
            value.parse::<i64>().map_or_else(|_| value.into(), Into::into)
        }
        _ => value.into(),
    }
}
