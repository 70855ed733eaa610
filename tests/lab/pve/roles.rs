//! The privileges of each version, the roles that are built in, and `/access/roles`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Version;
use super::api::{Answer, Call, Refusal, done};

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

/// Whether a role is one of the server's own.
fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

fn missing(name: &str) -> String {
    format!("role '{name}' does not exist")
}

/// The privileges that a request names, which the schema has checked.
fn given(call: &Call) -> impl Iterator<Item = String> {
    call.params.list("privs").into_iter().map(str::to_owned)
}

/// `GET /access/roles`.
pub(crate) fn list(call: &Call) -> Answer {
    let state = call.state();
    let names = BUILT_IN.iter().copied().chain(state.access.roles.keys().map(String::as_str));
    let rows = names.map(|name| {
        let privileges: Vec<_> = state.access.role(name).unwrap_or_default().into_iter().collect();
        json!({"roleid": name, "privs": privileges.join(","), "special": u8::from(is_built_in(name))})
    });
    Ok(rows.collect::<Value>().into())
}

/// `POST /access/roles`.
pub(crate) fn create(call: &Call) -> Answer {
    let name = call.params.text("roleid");
    if name.to_uppercase().starts_with("PVE") {
        let text = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace";
        return Err(Refusal::parameter("roleid", text));
    }
    let access = &mut call.state().access;
    if access.role(name).is_some() {
        return Err(Refusal::failed(format!("create role failed: role '{name}' already exists")));
    }
    access.roles.insert(name.to_owned(), given(call).collect());
    done()
}

/// `GET /access/roles/{roleid}`.
pub(crate) fn read(call: &Call) -> Answer {
    let name = call.params.text("roleid");
    let role = call.state().access.role(name).ok_or_else(|| Refusal::failed(missing(name)))?;
    Ok(Value::from(role.into_iter().map(|privilege| (privilege, 1.into())).collect::<Map<_, _>>())
        .into())
}

/// `PUT /access/roles/{roleid}`.
pub(crate) fn update(call: &Call) -> Answer {
    let name = call.params.text("roleid");
    if is_built_in(name) {
        return Err(Refusal::failed(format!("auto-generated role '{name}' cannot be modified")));
    }
    let failed = || Refusal::failed(format!("update role failed: {}", missing(name)));
    let access = &mut call.state().access;
    let role = access.roles.get_mut(name).ok_or_else(failed)?;
    if !call.params.flag("append") {
        role.clear();
    }
    role.extend(given(call));
    done()
}

/// `DELETE /access/roles/{roleid}`.
pub(crate) fn delete(call: &Call) -> Answer {
    let name = call.params.text("roleid");
    if is_built_in(name) {
        return Err(Refusal::failed(format!("auto-generated role '{name}' cannot be deleted")));
    }
    let failed = || Refusal::failed(format!("delete role failed: {}", missing(name)));
    let access = &mut call.state().access;
    access.roles.remove(name).ok_or_else(failed)?;
    access.grants.retain(|grant, _| grant.role != name);
    done()
}
