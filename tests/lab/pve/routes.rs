//! The table of endpoints: who answers. What each takes and who may call it says the schema.

use super::api::{Answer, Call, Refusal};
use super::params::Raw;
use super::schema::{ENDPOINTS, Endpoint};
use super::{
    Version, agent, clone, cloudinit, config, create, destroy, firewall, grants, groups, ha, ipset,
    login, migrate, nodes, pools, power, resize, resources, roles, snapshots, storage, tasks,
    users,
};

type Handler = fn(&Call) -> Answer;

/// One endpoint and who answers.
pub(crate) struct Route {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) handler: Handler,
}

impl Route {
    /// Whether the machine's own lock is waited for, and held while the handler runs.
    pub(crate) fn holds_vm(&self) -> bool {
        let path = self.endpoint.path.as_str();
        self.endpoint.method == "PUT" && path.starts_with(VM) && HELD.contains(&&path[VM.len()..])
    }

    /// The parameters in the path, if this is the endpoint for it.
    fn matches(&self, segments: &[String]) -> Option<Raw> {
        let parts: Vec<_> = self.endpoint.path.split('/').skip(1).collect();
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
    let mut matching = table.iter().filter(|route| route.endpoint.method == method);
    matching
        .find_map(|route| route.matches(&segments).map(|params| (route, params)))
        .ok_or_else(|| Refusal::not_implemented(method, path))
}

/// The endpoints that a version has.
pub(crate) fn table(version: Version) -> Vec<Route> {
    let there = ENDPOINTS.iter().filter(|endpoint| endpoint.is_on(version));
    there.filter_map(|endpoint| Some(Route { endpoint, handler: handler(endpoint)? })).collect()
}

const VM: &str = "/nodes/{node}/qemu/{vmid}";

/// Changes of a machine that are made while the client waits.
const HELD: &[&str] = &["/config", "/unlink", "/cloudinit", "/snapshot/{snapname}/config"];

fn handler(endpoint: &Endpoint) -> Option<Handler> {
    let (method, path) = (endpoint.method.as_str(), endpoint.path.as_str());
    let ipset = |more: &str| {
        ["/cluster/firewall/ipset", "/nodes/{node}/qemu/{vmid}/firewall/ipset"]
            .iter()
            .any(|place| path.strip_prefix(place) == Some(more))
    };
    match path.strip_prefix(VM) {
        _ if ipset("") => of_method(method, [Some(ipset::list), Some(ipset::create), None, None]),
        _ if ipset("/{name}") => of_method(
            method,
            [Some(ipset::entries), Some(ipset::create_entry), None, Some(ipset::delete)],
        ),
        _ if ipset("/{name}/{cidr}") => of_method(
            method,
            [Some(ipset::entry), None, Some(ipset::update_entry), Some(ipset::delete_entry)],
        ),
        Some(below) => of_machine(method, below),
        None if path.starts_with("/access") => of_access(method, path),
        None if path.starts_with("/nodes") => of_node(method, path),
        None => of_cluster(method, path),
    }
}

/// Handlers in the order GET, POST, PUT, DELETE.
fn of_method(method: &str, handlers: [Option<Handler>; 4]) -> Option<Handler> {
    let at = ["GET", "POST", "PUT", "DELETE"].iter().position(|known| *known == method)?;
    handlers[at]
}

fn of_cluster(method: &str, path: &str) -> Option<Handler> {
    Some(match (method, path) {
        ("GET", "/version") => nodes::version,
        ("GET", "/cluster/nextid") => resources::next_id,
        ("GET", "/cluster/resources") => resources::list,
        ("GET", "/cluster/status") => resources::cluster_status,
        ("GET", "/cluster/tasks") => tasks::cluster_list,
        ("GET", "/cluster/log") => tasks::cluster_log,
        ("GET", "/cluster/options") => nodes::options,
        ("GET", "/cluster/sdn/zones" | "/cluster/sdn/vnets") => nodes::nothing,
        ("GET", "/cluster/ha/resources") => ha::list,
        ("POST", "/cluster/ha/resources") => ha::create,
        ("GET", "/cluster/ha/resources/{sid}") => ha::read,
        ("PUT", "/cluster/ha/resources/{sid}") => ha::update,
        ("DELETE", "/cluster/ha/resources/{sid}") => ha::delete,
        ("GET", "/cluster/ha/groups") => ha::groups,
        ("GET", "/storage") => storage::list,
        ("GET", "/storage/{storage}") => storage::read,
        ("GET", "/pools") => pools::list,
        ("POST", "/pools") => pools::create,
        ("PUT", "/pools" | "/pools/{poolid}") => pools::update,
        ("DELETE", "/pools" | "/pools/{poolid}") => pools::delete,
        ("GET", "/pools/{poolid}") => pools::read,
        _ => return None,
    })
}

fn of_access(method: &str, path: &str) -> Option<Handler> {
    Some(match (method, path) {
        ("GET", "/access/domains") => login::domains,
        ("POST", "/access/ticket") => login::ticket,
        ("GET", "/access/permissions") => grants::permissions,
        ("GET", "/access/acl") => grants::list,
        ("PUT", "/access/acl") => grants::update,
        ("GET", "/access/users") => users::list,
        ("POST", "/access/users") => users::create,
        ("GET", "/access/users/{userid}") => users::read,
        ("PUT", "/access/users/{userid}") => users::update,
        ("DELETE", "/access/users/{userid}") => users::delete,
        ("GET", "/access/users/{userid}/token") => users::tokens,
        ("GET", "/access/users/{userid}/token/{tokenid}") => users::token,
        ("POST", "/access/users/{userid}/token/{tokenid}") => users::create_token,
        ("PUT", "/access/users/{userid}/token/{tokenid}") => users::update_token,
        ("DELETE", "/access/users/{userid}/token/{tokenid}") => users::delete_token,
        ("GET", "/access/groups") => groups::list,
        ("POST", "/access/groups") => groups::create,
        ("GET", "/access/groups/{groupid}") => groups::read,
        ("PUT", "/access/groups/{groupid}") => groups::update,
        ("DELETE", "/access/groups/{groupid}") => groups::delete,
        ("GET", "/access/roles") => roles::list,
        ("POST", "/access/roles") => roles::create,
        ("GET", "/access/roles/{roleid}") => roles::read,
        ("PUT", "/access/roles/{roleid}") => roles::update,
        ("DELETE", "/access/roles/{roleid}") => roles::delete,
        _ => return None,
    })
}

fn of_node(method: &str, path: &str) -> Option<Handler> {
    Some(match (method, path) {
        ("GET", "/nodes") => resources::nodes,
        ("GET", "/nodes/{node}/version") => nodes::version,
        ("GET", "/nodes/{node}/status") => nodes::status,
        ("GET", "/nodes/{node}/time") => nodes::time,
        ("GET", "/nodes/{node}/network") => nodes::network,
        ("GET", "/nodes/{node}/certificates/info") => nodes::certificates,
        ("GET", "/nodes/{node}/tasks") => tasks::list,
        ("GET", "/nodes/{node}/tasks/{upid}/status") => tasks::status,
        ("GET", "/nodes/{node}/tasks/{upid}/log") => tasks::log,
        ("DELETE", "/nodes/{node}/tasks/{upid}") => tasks::stop,
        ("GET", "/nodes/{node}/storage") => storage::of_node,
        ("GET", "/nodes/{node}/storage/{storage}/status") => storage::status,
        ("GET", "/nodes/{node}/storage/{storage}/content") => storage::content,
        ("POST", "/nodes/{node}/storage/{storage}/upload") => storage::no_uploads,
        ("GET", "/nodes/{node}/qemu") => resources::node_vms,
        ("POST", "/nodes/{node}/qemu") => create::create,
        _ => return None,
    })
}

fn of_machine(method: &str, below: &str) -> Option<Handler> {
    Some(match (method, below) {
        ("DELETE", "") => destroy::destroy,
        ("GET", "/config") => config::read,
        ("PUT", "/config") => config::update,
        ("POST", "/config") => config::update_as_task,
        ("PUT", "/unlink") => config::unlink,
        ("GET", "/pending") => config::pending,
        ("POST", "/clone") => clone::clone,
        ("GET", "/feature") => clone::feature,
        ("PUT", "/resize") => resize::resize,
        ("POST", "/move_disk") => resize::move_disk,
        ("POST", "/template") => resize::template,
        ("GET", "/cloudinit") => cloudinit::pending,
        ("PUT", "/cloudinit") => cloudinit::regenerate,
        ("GET", "/cloudinit/dump") => cloudinit::dump,
        ("GET", "/status/current") => resources::vm_status,
        ("POST", "/status/start") => power::start,
        ("POST", "/status/stop") => power::stop,
        ("POST", "/status/shutdown") => power::shutdown,
        ("POST", "/status/reboot") => power::reboot,
        ("POST", "/status/reset") => power::reset,
        ("POST", "/status/suspend") => power::suspend,
        ("POST", "/status/resume") => power::resume,
        ("GET", "/snapshot") => snapshots::list,
        ("POST", "/snapshot") => snapshots::create,
        ("DELETE", "/snapshot/{snapname}") => snapshots::delete,
        ("POST", "/snapshot/{snapname}/rollback") => snapshots::rollback,
        ("GET", "/snapshot/{snapname}/config") => snapshots::read,
        ("PUT", "/snapshot/{snapname}/config") => snapshots::update,
        ("GET", "/migrate") => migrate::preconditions,
        ("POST", "/migrate") => migrate::migrate,
        ("GET", "/firewall/options") => firewall::options,
        ("PUT", "/firewall/options") => firewall::update_options,
        ("POST", "/agent/ping") => agent::ping,
        ("POST", "/agent/shutdown") => agent::shutdown,
        ("GET", "/agent/info") => agent::info,
        ("GET", "/agent/get-host-name") => agent::host_name,
        ("GET", "/agent/get-osinfo") => agent::os_info,
        ("GET", "/agent/network-get-interfaces") => agent::interfaces,
        ("GET", "/agent/file-read") | ("POST", "/agent/file-write" | "/agent/exec") => {
            agent::refused
        }
        ("GET", "/agent/exec-status") => agent::refused,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_answers_for_every_endpoint_of_the_schema() {
        let nobody = ENDPOINTS.iter().filter(|endpoint| handler(endpoint).is_none());
        let nobody: Vec<_> = nobody.map(|it| format!("{} {}", it.method, it.path)).collect();
        assert_eq!(nobody, Vec::<String>::new());
    }
}
