//! The table of endpoints: what they take, who may call them, who answers.

use super::api::{Answer, Call, Refusal};
use super::config_keys;
use super::formats;
use super::params::{Kind, Param, Raw, optional, required};
use super::permit::Permit;
use super::{
    agent, clone, cloudinit, config, create, destroy, ipset, nodes, pools, power, resize,
    resources, storage, tasks, users,
};

type Handler = fn(&Call) -> Answer;

/// One endpoint.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pattern: String,
    path_params: Vec<Param>,
    params: Vec<Param>,
    /// Takes every configuration key of a machine besides.
    takes_config: bool,
    pub(crate) permit: Permit,
    pub(crate) allows_tokens: bool,
    /// Waits for the machine's own lock and holds it while the handler runs.
    pub(crate) holds_vm: bool,
    pub(crate) handler: Handler,
}

fn route(
    method: &'static str,
    pattern: impl Into<String>,
    permit: Permit,
    handler: Handler,
) -> Route {
    let pattern = pattern.into();
    let names = pattern.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let path_params = names
        .filter_map(|name| PATH_PARAMS.iter().find(|param| param.matches(name)))
        .copied()
        .collect();
    Route {
        method,
        pattern,
        path_params,
        params: Vec::new(),
        takes_config: false,
        permit,
        allows_tokens: true,
        holds_vm: false,
        handler,
    }
}

/// Parameters that stand in paths.
const PATH_PARAMS: &[Param] = &[
    required("vmid", Kind::Vmid),
    required("node", NODE),
    required("storage", STORAGE),
    required("poolid", POOL),
    required("userid", Kind::Format(formats::user)),
    required("roleid", Kind::Format(formats::role)),
    required("tokenid", Kind::Pattern(formats::is_token_name)),
    required("name", Kind::Pattern(formats::is_ipset_name)),
    required("cidr", Kind::Format(formats::cidr)),
    required("upid", Kind::Text),
];

impl Route {
    fn takes(self, params: &[Param]) -> Self {
        Self { params: params.to_vec(), ..self }
    }

    fn takes_config(self) -> Self {
        Self { takes_config: true, ..self }
    }

    fn no_tokens(self) -> Self {
        Self { allows_tokens: false, ..self }
    }

    fn holds_vm(self) -> Self {
        Self { holds_vm: true, ..self }
    }

    /// Whether the request goes to the node of the URL; firewall files lie in the cluster's file system instead.
    pub(crate) fn is_forwarded(&self) -> bool {
        self.pattern.starts_with("/nodes/{node}") && !self.pattern.contains("/firewall/")
    }

    /// Everything that may be given.
    pub(crate) fn declared(&self) -> Vec<&[Param]> {
        let config: &[Param] = if self.takes_config { &config_keys::PARAMS } else { &[] };
        vec![&self.path_params, &self.params, config]
    }

    /// The parameters in the path, if this is the endpoint for it.
    fn matches(&self, segments: &[String]) -> Option<Raw> {
        let parts: Vec<_> = self.pattern.split('/').skip(1).collect();
        let mut found = Raw::new();
        for (at, part) in parts.iter().enumerate() {
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                // A network has a slash in it, and not everybody encodes it.
                Some("cidr") => {
                    found.insert("cidr".to_owned(), segments.get(at..)?.join("/").into());
                    return (!segments[at..].is_empty()).then_some(found);
                }
                Some(name) => drop(found.insert(name.to_owned(), segments.get(at)?.clone().into())),
                None if segments.get(at).is_some_and(|segment| segment == part) => {}
                None => return None,
            }
        }
        (segments.len() == parts.len()).then_some(found)
    }
}

/// Finds the endpoint for a decoded path.
pub(crate) fn find<'a>(
    table: &'a [Route],
    method: &str,
    path: &str,
) -> Result<(&'a Route, Raw), Refusal> {
    let decode =
        |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    let segments: Vec<_> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let mut matching = table.iter().filter(|route| route.method == method);
    matching
        .find_map(|route| route.matches(&segments).map(|params| (route, params)))
        .ok_or_else(|| Refusal::not_implemented(method, path))
}

const DIGEST: Param = optional("digest", Kind::Text).length(0, 64);
const SKIPLOCK: Param = optional("skiplock", Kind::Boolean);
const NATURAL: Kind = Kind::Integer(0, i64::MAX);
const NODE: Kind = Kind::Format(formats::node);
const STORAGE: Kind = Kind::Format(formats::storage);
const POOL: Kind = Kind::Format(formats::pool);

const ENTRY: &[Param] =
    &[optional("comment", Kind::Text), optional("nomatch", Kind::Boolean), DIGEST];
const NEW_ENTRY: &[Param] = &[
    required("cidr", Kind::Format(formats::cidr)),
    optional("comment", Kind::Text),
    optional("nomatch", Kind::Boolean),
];
const NEW_SET: &[Param] = &[
    required("name", Kind::Pattern(formats::is_ipset_name)).length(2, 64),
    optional("rename", Kind::Pattern(formats::is_ipset_name)).length(2, 64),
    optional("comment", Kind::Text),
    DIGEST,
];
const FORCE: &[Param] = &[optional("force", Kind::Boolean)];
const UPDATE_POOL: &[Param] = &[
    optional("comment", Kind::Text),
    optional("vms", Kind::Format(formats::vmids)),
    optional("storage", Kind::Text),
    optional("delete", Kind::Boolean),
    optional("allow-move", Kind::Boolean),
];
const UPDATE_POOL_BY_PARAMETER: &[Param] = &[
    required("poolid", POOL),
    optional("comment", Kind::Text),
    optional("vms", Kind::Format(formats::vmids)),
    optional("storage", Kind::Text),
    optional("delete", Kind::Boolean),
    optional("allow-move", Kind::Boolean),
];
const CREATE_VM: &[Param] = &[
    required("vmid", Kind::Vmid),
    optional("pool", POOL),
    optional("storage", STORAGE),
    optional("start", Kind::Boolean),
    optional("unique", Kind::Boolean),
    optional("force", Kind::Boolean),
    optional("archive", Kind::Text).length(0, 255),
    optional("bwlimit", NATURAL),
    optional("ha-managed", Kind::Boolean),
    optional("live-restore", Kind::Boolean),
];
const UPDATE_VM: &[Param] = &[
    optional("delete", Kind::Text),
    optional("revert", Kind::Text),
    optional("force", Kind::Boolean),
    optional("digest", Kind::Text).length(0, 40),
    optional("background_delay", Kind::Integer(1, 30)),
    SKIPLOCK,
];
const CLONE: &[Param] = &[
    required("newid", Kind::Vmid),
    optional("name", Kind::Format(formats::dns_name)),
    optional("description", Kind::Text),
    optional("pool", POOL),
    optional("snapname", Kind::Text).length(0, 40),
    optional("storage", STORAGE),
    optional("format", Kind::Enum(&["raw", "qcow2", "vmdk"])),
    optional("full", Kind::Boolean),
    optional("target", NODE),
    optional("bwlimit", NATURAL),
];
const START: &[Param] = &[
    SKIPLOCK,
    optional("timeout", NATURAL),
    optional("machine", Kind::Text),
    optional("force-cpu", Kind::Text),
    optional("stateuri", Kind::Text),
    optional("migratedfrom", NODE),
    optional("migration_type", Kind::Enum(&["secure", "insecure"])),
    optional("migration_network", Kind::Text),
    optional("targetstorage", Kind::Text),
];
const STOP: &[Param] = &[
    SKIPLOCK,
    optional("timeout", NATURAL),
    optional("keepActive", Kind::Boolean),
    optional("overrule-shutdown", Kind::Boolean),
    optional("migratedfrom", NODE),
];
const SHUTDOWN: &[Param] = &[
    SKIPLOCK,
    optional("timeout", NATURAL),
    optional("forceStop", Kind::Boolean),
    optional("keepActive", Kind::Boolean),
];
const TASKS: &[Param] = &[
    optional("errors", Kind::Boolean),
    optional("limit", NATURAL),
    optional("start", NATURAL),
    optional("since", NATURAL),
    optional("until", NATURAL),
    optional("source", Kind::Enum(&["archive", "active", "all"])),
    optional("statusfilter", Kind::Text),
    optional("typefilter", Kind::Text),
    optional("userfilter", Kind::Text),
    optional("vmid", Kind::Vmid),
];

/// The whole table.
pub(crate) fn table() -> Vec<Route> {
    let mut routes = cluster();
    routes.extend(access());
    routes.extend(node());
    routes.extend(machines());
    routes.extend(firewall());
    routes
}

fn cluster() -> Vec<Route> {
    use Permit::{All, User};
    vec![
        route("GET", "/version", User, nodes::version),
        route("GET", "/cluster/nextid", User, resources::next_id)
            .takes(&[optional("vmid", Kind::Vmid)]),
        route("GET", "/cluster/resources", User, resources::list)
            .takes(&[optional("type", Kind::Enum(&["vm", "storage", "node", "sdn", "network"]))]),
        route("GET", "/cluster/status", All("/", "Sys.Audit"), resources::cluster_status),
        route("GET", "/cluster/tasks", User, tasks::cluster_list),
        route("GET", "/cluster/options", User, nodes::options),
        route("GET", "/storage", User, storage::list).takes(&[optional("type", Kind::Text)]),
        route(
            "GET",
            "/storage/{storage}",
            All("/storage/{storage}", "Datastore.Allocate"),
            storage::read,
        ),
        route("GET", "/pools", User, pools::list).takes(&[
            optional("poolid", POOL),
            optional("type", Kind::Enum(&["qemu", "lxc", "storage"])),
        ]),
        route("POST", "/pools", All("/pool/{poolid}", "Pool.Allocate"), pools::create)
            .takes(&[required("poolid", POOL), optional("comment", Kind::Text)]),
        route("PUT", "/pools", All("/pool/{poolid}", "Pool.Allocate"), pools::update)
            .takes(UPDATE_POOL_BY_PARAMETER),
        route("DELETE", "/pools", All("/pool/{poolid}", "Pool.Allocate"), pools::delete)
            .takes(&[required("poolid", POOL)]),
        route("GET", "/pools/{poolid}", All("/pool/{poolid}", "Pool.Audit"), pools::read)
            .takes(&[optional("type", Kind::Enum(&["qemu", "lxc", "storage"]))]),
        route("PUT", "/pools/{poolid}", All("/pool/{poolid}", "Pool.Allocate"), pools::update)
            .takes(UPDATE_POOL),
        route("DELETE", "/pools/{poolid}", All("/pool/{poolid}", "Pool.Allocate"), pools::delete),
    ]
}

fn access() -> Vec<Route> {
    use Permit::{All, Any, Granting, Oneself, User, World};
    const GROUPS: &str = "/access/groups";
    const TOKEN: &[Param] = &[
        optional("comment", Kind::Text),
        optional("expire", NATURAL),
        optional("privsep", Kind::Boolean),
    ];
    const ROLE: &[Param] = &[optional("privs", Kind::Text), optional("append", Kind::Boolean)];
    vec![
        route("POST", "/access/ticket", World, users::ticket).no_tokens().takes(&[
            required("username", Kind::Text).length(0, 64),
            required("password", Kind::Text),
            optional("realm", Kind::Text),
            optional("otp", Kind::Text),
            optional("new-format", Kind::Boolean),
        ]),
        route("GET", "/access/permissions", User, users::permissions)
            .takes(&[optional("path", Kind::Text), optional("userid", Kind::Text)]),
        route("GET", "/access/users", User, users::list)
            .takes(&[optional("enabled", Kind::Boolean), optional("full", Kind::Boolean)]),
        route("POST", "/access/users", All(GROUPS, "User.Modify"), users::create).takes(&[
            required("userid", Kind::Format(formats::user)),
            optional("password", Kind::Text).length(8, 64),
            optional("comment", Kind::Text),
            optional("enable", Kind::Boolean),
            optional("expire", NATURAL),
            optional("email", Kind::Text),
            optional("firstname", Kind::Text),
            optional("lastname", Kind::Text),
            optional("groups", Kind::Text),
            optional("keys", Kind::Text),
        ]),
        route(
            "GET",
            "/access/users/{userid}",
            Any(GROUPS, &["User.Modify", "Sys.Audit"]),
            users::read,
        ),
        route("DELETE", "/access/users/{userid}", All(GROUPS, "User.Modify"), users::delete),
        route("GET", "/access/users/{userid}/token", Oneself, users::tokens),
        route("GET", "/access/users/{userid}/token/{tokenid}", Oneself, users::token),
        route("POST", "/access/users/{userid}/token/{tokenid}", Oneself, users::create_token)
            .takes(TOKEN),
        route("DELETE", "/access/users/{userid}/token/{tokenid}", Oneself, users::delete_token),
        route("GET", "/access/roles", User, users::role_list),
        route("POST", "/access/roles", All("/access", "Sys.Modify"), users::create_role).takes(&[
            required("roleid", Kind::Format(formats::role)),
            optional("privs", Kind::Text),
        ]),
        route("GET", "/access/roles/{roleid}", User, users::role),
        route("PUT", "/access/roles/{roleid}", All("/access", "Sys.Modify"), users::update_role)
            .takes(ROLE),
        route("DELETE", "/access/roles/{roleid}", All("/access", "Sys.Modify"), users::delete_role),
        route("GET", "/access/acl", User, users::grants),
        route("PUT", "/access/acl", Granting, users::update_grants).takes(&[
            required("path", Kind::Text),
            required("roles", Kind::Text),
            optional("users", Kind::Text),
            optional("tokens", Kind::Text),
            optional("groups", Kind::Text),
            optional("propagate", Kind::Boolean),
            optional("delete", Kind::Boolean),
        ]),
    ]
}

fn node() -> Vec<Route> {
    use Permit::{All, Any, User};
    const EITHER: Permit =
        Any("/storage/{storage}", &["Datastore.Audit", "Datastore.AllocateSpace"]);
    const OF_NODE: &[Param] = &[
        optional("content", Kind::Text),
        optional("enabled", Kind::Boolean),
        optional("format", Kind::Boolean),
        optional("storage", STORAGE),
        optional("target", NODE),
    ];
    vec![
        route("GET", "/nodes", User, resources::nodes),
        route("GET", "/nodes/{node}/version", User, nodes::version),
        route("GET", "/nodes/{node}/status", All("/nodes/{node}", "Sys.Audit"), nodes::status),
        route("GET", "/nodes/{node}/time", All("/nodes/{node}", "Sys.Audit"), nodes::time),
        route("GET", "/nodes/{node}/network", User, nodes::network)
            .takes(&[optional("type", Kind::Text)]),
        route("GET", "/nodes/{node}/certificates/info", User, nodes::certificates),
        route("GET", "/nodes/{node}/tasks", User, tasks::list).takes(TASKS),
        route("GET", "/nodes/{node}/tasks/{upid}/status", User, tasks::status),
        route("GET", "/nodes/{node}/tasks/{upid}/log", User, tasks::log).takes(&[
            optional("start", NATURAL),
            optional("limit", NATURAL),
            optional("download", Kind::Boolean),
        ]),
        route("DELETE", "/nodes/{node}/tasks/{upid}", User, tasks::stop),
        route("GET", "/nodes/{node}/storage", User, storage::of_node).takes(OF_NODE),
        route("GET", "/nodes/{node}/storage/{storage}/status", EITHER, storage::status),
        route("GET", "/nodes/{node}/storage/{storage}/content", EITHER, storage::content)
            .takes(&[optional("content", Kind::Text), optional("vmid", Kind::Vmid)]),
        route(
            "POST",
            "/nodes/{node}/storage/{storage}/upload",
            All("/storage/{storage}", "Datastore.AllocateTemplate"),
            storage::no_uploads,
        ),
    ]
}

fn machines() -> Vec<Route> {
    use Permit::{Agent, All, Any, Clone, User};
    const AUDIT: Permit = All("/vms/{vmid}", "VM.Audit");
    const POWER: Permit = All("/vms/{vmid}", "VM.PowerMgmt");
    const ALLOCATE: Permit = All("/vms/{vmid}", "VM.Allocate");
    const CONFIG: Permit = Any(
        "/vms/{vmid}",
        &[
            "VM.Config.Disk",
            "VM.Config.CDROM",
            "VM.Config.CPU",
            "VM.Config.Memory",
            "VM.Config.Network",
            "VM.Config.HWType",
            "VM.Config.Options",
            "VM.Config.Cloudinit",
        ],
    );
    const VM: &str = "/nodes/{node}/qemu/{vmid}";
    let on =
        |method, path: &str, permit, handler| route(method, format!("{VM}{path}"), permit, handler);
    vec![
        route("GET", "/nodes/{node}/qemu", User, resources::node_vms)
            .takes(&[optional("full", Kind::Boolean)]),
        route("POST", "/nodes/{node}/qemu", User, create::create).takes(CREATE_VM).takes_config(),
        on("DELETE", "", ALLOCATE, destroy::destroy).takes(&[
            SKIPLOCK,
            optional("purge", Kind::Boolean),
            optional("destroy-unreferenced-disks", Kind::Boolean),
        ]),
        on("GET", "/config", AUDIT, config::read)
            .takes(&[optional("current", Kind::Boolean), optional("snapshot", Kind::Text)]),
        on("PUT", "/config", CONFIG, config::update).takes(UPDATE_VM).takes_config().holds_vm(),
        on("POST", "/config", CONFIG, config::update_as_task).takes(UPDATE_VM).takes_config(),
        on("GET", "/pending", AUDIT, config::pending),
        on("POST", "/clone", Clone, clone::clone).takes(CLONE),
        on("PUT", "/resize", All("/vms/{vmid}", "VM.Config.Disk"), resize::resize).takes(&[
            required("disk", Kind::Text),
            required("size", Kind::Pattern(formats::is_resize)),
            optional("digest", Kind::Text).length(0, 40),
            SKIPLOCK,
        ]),
        on("POST", "/template", ALLOCATE, resize::template).takes(&[optional("disk", Kind::Text)]),
        on("PUT", "/cloudinit", All("/vms/{vmid}", "VM.Config.Cloudinit"), cloudinit::regenerate),
        on("GET", "/cloudinit/dump", AUDIT, cloudinit::dump)
            .takes(&[required("type", Kind::Enum(&["user", "network", "meta"]))]),
        on("GET", "/status/current", AUDIT, resources::vm_status),
        on("POST", "/status/start", POWER, power::start).takes(START),
        on("POST", "/status/stop", POWER, power::stop).takes(STOP),
        on("POST", "/status/shutdown", POWER, power::shutdown).takes(SHUTDOWN),
        on("POST", "/status/reboot", POWER, power::reboot).takes(&[optional("timeout", NATURAL)]),
        on("POST", "/status/reset", POWER, power::reset).takes(&[SKIPLOCK]),
        on("POST", "/status/suspend", POWER, power::suspend).takes(&[SKIPLOCK]),
        on("POST", "/status/resume", POWER, power::resume).takes(&[SKIPLOCK]),
        on("POST", "/agent/ping", Agent("VM.GuestAgent.Audit"), agent::ping),
        on("GET", "/agent/info", Agent("VM.GuestAgent.Audit"), agent::info),
        on("GET", "/agent/get-host-name", Agent("VM.GuestAgent.Audit"), agent::host_name),
        on("GET", "/agent/get-osinfo", Agent("VM.GuestAgent.Audit"), agent::os_info),
        on("GET", "/agent/network-get-interfaces", Agent("VM.GuestAgent.Audit"), agent::interfaces),
        on("GET", "/agent/file-read", Agent("VM.GuestAgent.FileRead"), agent::refused)
            .takes(&[required("file", Kind::Text)]),
        on("POST", "/agent/file-write", Agent("VM.GuestAgent.FileWrite"), agent::refused).takes(&[
            required("file", Kind::Text),
            required("content", Kind::Text),
            optional("encode", Kind::Boolean),
        ]),
        on("POST", "/agent/exec", Agent(""), agent::refused)
            .takes(&[required("command", Kind::Text), optional("input-data", Kind::Text)]),
    ]
}

fn firewall() -> Vec<Route> {
    let mut routes = Vec::new();
    let places = [
        ("/cluster/firewall/ipset", Permit::All("/", "Sys.Audit"), Permit::All("/", "Sys.Modify")),
        (
            "/nodes/{node}/qemu/{vmid}/firewall/ipset",
            Permit::All("/vms/{vmid}", "VM.Audit"),
            Permit::All("/vms/{vmid}", "VM.Config.Network"),
        ),
    ];
    for (place, look, change) in places {
        let path = |more: &str| format!("{place}{more}");
        routes.extend([
            route("GET", path(""), look, ipset::list),
            route("POST", path(""), change, ipset::create).takes(NEW_SET),
            route("GET", path("/{name}"), look, ipset::entries),
            route("POST", path("/{name}"), change, ipset::create_entry).takes(NEW_ENTRY),
            route("DELETE", path("/{name}"), change, ipset::delete).takes(FORCE),
            route("GET", path("/{name}/{cidr}"), look, ipset::entry),
            route("PUT", path("/{name}/{cidr}"), change, ipset::update_entry).takes(ENTRY),
            route("DELETE", path("/{name}/{cidr}"), change, ipset::delete_entry).takes(&[DIGEST]),
        ]);
    }
    routes
}
