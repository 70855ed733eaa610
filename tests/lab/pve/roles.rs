//! The privileges of each version and the roles that are built in.

use std::collections::BTreeSet;

use super::Version;

const COMMON: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Group.Allocate",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Permissions.Modify",
    "Pool.Allocate",
    "Pool.Audit",
    "Realm.Allocate",
    "Realm.AllocateUser",
    "SDN.Allocate",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
    "Sys.Syslog",
    "User.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Backup",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.Migrate",
    "VM.PowerMgmt",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
];

const ADDED_IN_9: &[&str] = &[
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.Unrestricted",
    "VM.Replicate",
];

/// The built-in roles.
pub(crate) const BUILT_IN: &[&str] = &[
    "Administrator",
    "NoAccess",
    "PVEAdmin",
    "PVEAuditor",
    "PVEDatastoreAdmin",
    "PVEDatastoreUser",
    "PVEPoolAdmin",
    "PVEPoolUser",
    "PVESDNAdmin",
    "PVESDNUser",
    "PVESysAdmin",
    "PVETemplateUser",
    "PVEUserAdmin",
    "PVEVMAdmin",
    "PVEVMUser",
];

/// Every privilege of a version.
pub(crate) fn privileges(version: Version) -> BTreeSet<&'static str> {
    let changed: &[&str] = match version {
        Version::V8_4 => &["VM.Monitor"],
        Version::V9_1 => ADDED_IN_9,
    };
    COMMON.iter().chain(changed).copied().collect()
}

/// The privileges of a built-in role.
pub(crate) fn built_in(role: &str, version: Version) -> Option<BTreeSet<String>> {
    const ROOT_ONLY: &[&str] = &[
        "Permissions.Modify",
        "Realm.Allocate",
        "Sys.AccessNetwork",
        "Sys.Incoming",
        "Sys.Modify",
        "Sys.PowerMgmt",
    ];
    let holds = |privilege: &str| match role {
        "Administrator" => true,
        "PVEAdmin" => !ROOT_ONLY.contains(&privilege),
        "PVEAuditor" => privilege.ends_with(".Audit"),
        "PVEDatastoreAdmin" => privilege.starts_with("Datastore."),
        "PVEDatastoreUser" => matches!(privilege, "Datastore.AllocateSpace" | "Datastore.Audit"),
        "PVEPoolAdmin" => privilege.starts_with("Pool."),
        "PVEPoolUser" => privilege == "Pool.Audit",
        "PVESDNAdmin" => privilege.starts_with("SDN."),
        "PVESDNUser" => matches!(privilege, "SDN.Audit" | "SDN.Use"),
        "PVESysAdmin" => matches!(privilege, "Sys.Audit" | "Sys.Console" | "Sys.Syslog"),
        "PVETemplateUser" => matches!(privilege, "VM.Audit" | "VM.Clone"),
        "PVEUserAdmin" => {
            matches!(privilege, "Group.Allocate" | "Realm.AllocateUser" | "User.Modify")
        }
        "PVEVMAdmin" => privilege.starts_with("VM."),
        "PVEVMUser" => {
            let more = [
                "VM.Audit",
                "VM.Backup",
                "VM.Config.CDROM",
                "VM.Config.Cloudinit",
                "VM.Console",
                "VM.PowerMgmt",
            ];
            more.contains(&privilege) || privilege.starts_with("VM.GuestAgent.Audit")
        }
        _ => false,
    };
    BUILT_IN.contains(&role).then(|| {
        privileges(version)
            .into_iter()
            .filter(|privilege| holds(privilege))
            .map(str::to_owned)
            .collect()
    })
}
