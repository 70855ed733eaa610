//! The inventory: which nodes, and how to log in to them. Pure.
//!
//! Ansible reads JSON as an inventory, because JSON is YAML. Host keys are checked strictly: they were
//! pinned before the first playbook.

use std::net::Ipv4Addr;
use std::path::Path;

use kubesmith_spec::{NodeName, Role, SshUser};
use serde_json::{Map, Value, json};

/// A machine that a playbook runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// Kubernetes node name.
    pub(crate) name: NodeName,
    /// Decides its group.
    pub(crate) role: Role,
    /// Where it answers.
    pub(crate) address: Ipv4Addr,
}

/// How to log in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'a> {
    /// The account.
    pub(crate) user: &'a SshUser,
    /// File with the private key.
    pub(crate) private_key: &'a Path,
    /// File with the pinned host keys.
    pub(crate) known_hosts: &'a Path,
}

/// The inventory of these hosts, in groups `control_plane` and `worker`.
pub(crate) fn inventory(hosts: &[Host], access: Access<'_>) -> Value {
    let group = |role: Role| {
        let members = hosts.iter().filter(|host| host.role == role);
        let members: Map<String, Value> =
            members.map(|host| (host.name.to_string(), variables(host, access))).collect();
        json!({ "hosts": members })
    };
    json!({ "all": { "children": {
        "control_plane": group(Role::ControlPlane),
        "worker": group(Role::Worker),
    } } })
}

fn variables(host: &Host, access: Access<'_>) -> Value {
    json!({
        "ansible_host": host.address,
        "ansible_user": access.user,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": access.private_key,
        "ansible_ssh_common_args": format!(
            "-o UserKnownHostsFile={} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
            access.known_hosts.display()
        ),
        "node_address": host.address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_grouped_by_role_and_host_keys_are_strict() {
        let host = |name: &str, role, last| Host {
            name: NodeName::parse(name).unwrap(),
            role,
            address: Ipv4Addr::new(10, 40, 19, last),
        };
        let hosts =
            [host("demo-cp-1", Role::ControlPlane, 201), host("demo-worker-1", Role::Worker, 202)];
        let user = SshUser::parse("kubesmith").unwrap();
        let access = Access {
            user: &user,
            private_key: Path::new("/run/key"),
            known_hosts: Path::new("/run/known"),
        };
        let text = serde_json::to_string_pretty(&inventory(&hosts, access)).unwrap();
        insta::assert_snapshot!(text, @r#"
        {
          "all": {
            "children": {
              "control_plane": {
                "hosts": {
                  "demo-cp-1": {
                    "ansible_host": "10.40.19.201",
                    "ansible_python_interpreter": "/usr/bin/python3",
                    "ansible_ssh_common_args": "-o UserKnownHostsFile=/run/known -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
                    "ansible_ssh_private_key_file": "/run/key",
                    "ansible_user": "kubesmith",
                    "node_address": "10.40.19.201"
                  }
                }
              },
              "worker": {
                "hosts": {
                  "demo-worker-1": {
                    "ansible_host": "10.40.19.202",
                    "ansible_python_interpreter": "/usr/bin/python3",
                    "ansible_ssh_common_args": "-o UserKnownHostsFile=/run/known -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
                    "ansible_ssh_private_key_file": "/run/key",
                    "ansible_user": "kubesmith",
                    "node_address": "10.40.19.202"
                  }
                }
              }
            }
          }
        }
        "#);
    }
}
