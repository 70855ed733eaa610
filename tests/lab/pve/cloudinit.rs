//! What the cloud-init drive carries: written at every start from the configuration.
//!
//! The instance id is the hash of user data and network configuration, so that a change of name, user, keys or
//! addresses makes cloud-init run its per-instance modules again at the next start.

use serde_json::json;
use sha1::{Digest, Sha1};

use super::api::{Answer, Call, Refusal, done};
use super::config_keys::shown;
use super::formats::split_list;
use super::schema::{Needs, config_key};
use super::state::Vm;

/// A YAML string that means the text whatever is in it: JSON strings are YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The `#cloud-config` part.
pub(crate) fn user_data(vmid: u32, vm: &Vm) -> String {
    let get = |key: &str| vm.config.get(key).map(String::as_str);
    let name = vm.config.get("name").cloned().unwrap_or_else(|| format!("VM{vmid}"));
    let hostname = name.split('.').next().unwrap_or_default();
    let fqdn = match get("searchdomain") {
        Some(domain) if !name.contains('.') => format!("{hostname}.{domain}"),
        _ => name.clone(),
    };
    let mut text = format!(
        "#cloud-config\nhostname: {}\nmanage_etc_hosts: true\nfqdn: {}\n",
        quoted(hostname),
        quoted(&fqdn)
    );
    if let Some(user) = get("ciuser") {
        text += &format!("user: {}\n", quoted(user));
    }
    if get("ciuser") == Some("root") {
        text += "disable_root: False\n";
    }
    if let Some(password) = get("cipassword") {
        text += &format!("password: {}\n", quoted(password));
    }
    if let Some(keys) = get("sshkeys") {
        let keys = percent_encoding::percent_decode_str(keys).decode_utf8_lossy().into_owned();
        text += "ssh_authorized_keys:\n";
        for key in keys.lines().map(str::trim).filter(|key| !key.is_empty()) {
            text += &format!("  - {}\n", quoted(key));
        }
    }
    text += "chpasswd:\n  expire: False\n";
    if get("ciuser") != Some("root") {
        text += "users:\n  - default\n";
    }
    if get("ciupgrade") != Some("0") {
        text += "package_upgrade: true\n";
    }
    text
}

/// Network configuration of version 1. The guest's only card is its `eth0`, so that names are all it goes by.
pub(crate) fn network_config(vm: &Vm) -> String {
    let mut text = "version: 1\nconfig:\n".to_owned();
    let nets = vm.config.keys().filter_map(|key| key.strip_prefix("net")?.parse::<u32>().ok());
    for index in nets {
        text += &format!("  - type: physical\n    name: eth{index}\n");
        let ipconfig =
            vm.config.get(&format!("ipconfig{index}")).map(String::as_str).unwrap_or_default();
        let get = |key: &str| super::disks::option(ipconfig, key);
        let mut subnets = String::new();
        for (address, gateway, dynamic, fixed) in
            [("ip", "gw", "dhcp4", "static"), ("ip6", "gw6", "dhcp6", "static6")]
        {
            match get(address) {
                None | Some("manual") => {}
                Some("dhcp") => subnets += &format!("      - type: {dynamic}\n"),
                Some("auto") => subnets += "      - type: ipv6_slaac\n",
                Some(value) => {
                    subnets +=
                        &format!("      - type: {fixed}\n        address: {}\n", quoted(value));
                    if let Some(gateway) = get(gateway) {
                        subnets += &format!("        gateway: {}\n", quoted(gateway));
                    }
                }
            }
        }
        if !subnets.is_empty() {
            text += &format!("    subnets:\n{subnets}");
        }
    }
    let servers = vm.config.get("nameserver").map(String::as_str).unwrap_or_default();
    if !servers.is_empty() {
        text += "  - type: nameserver\n    address:\n";
        for server in split_list(servers) {
            text += &format!("      - {}\n", quoted(server));
        }
        if let Some(domain) = vm.config.get("searchdomain") {
            text += &format!("    search:\n      - {}\n", quoted(domain));
        }
    }
    text
}

/// Names the instance by what it was made from.
pub(crate) fn meta_data(user_data: &str, network_config: &str) -> String {
    format!("instance-id: {}\n", hex::encode(Sha1::digest(format!("{user_data}{network_config}"))))
}

/// `GET .../cloudinit/dump`.
pub(crate) fn dump(call: &Call) -> Answer {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    let (user, network) = (user_data(call.vmid(), vm), network_config(vm));
    let text = match call.params.text("type") {
        "network" => network,
        "meta" => meta_data(&user, &network),
        _ => user,
    };
    Ok(serde_json::Value::from(text).into())
}

/// `GET .../cloudinit`: what the drive carries. A start writes it anew, so that nothing is told apart from it here.
pub(crate) fn pending(call: &Call) -> Answer {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    let is_of_it = |key: &str| {
        config_key(key).is_some_and(|key| key.needs == Some(Needs::Cloudinit)) || key == "name"
    };
    let rows = vm.config.iter().filter(|(key, _)| is_of_it(key));
    let rows = rows.map(|(key, value)| json!({"key": key, "value": shown(key, value)}));
    Ok(rows.collect::<serde_json::Value>().into())
}

/// `PUT .../cloudinit`: nothing to do, since every start writes the drive anew.
pub(crate) fn regenerate(call: &Call) -> Answer {
    let state = call.state();
    let vm = state.vm(call.node(), call.vmid()).map_err(Refusal::failed)?;
    vm.check_lock().map_err(Refusal::failed)?;
    done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_address_is_a_new_instance() {
        let mut vm = Vm::default();
        for (key, value) in [
            ("name", "demo-cp-1"),
            ("ciuser", "kubesmith"),
            ("sshkeys", "ssh-ed25519%20AAAA%20me%0A"),
            ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0"),
            ("ipconfig0", "ip=10.40.19.201/24,gw=10.40.19.254"),
            ("nameserver", "10.40.19.254"),
            ("ciupgrade", "0"),
        ] {
            vm.config.insert(key.to_owned(), value.to_owned());
        }
        let (user, network) = (user_data(1, &vm), network_config(&vm));
        insta::assert_snapshot!(format!("{user}---\n{network}"), @r##"
        #cloud-config
        hostname: "demo-cp-1"
        manage_etc_hosts: true
        fqdn: "demo-cp-1"
        user: "kubesmith"
        ssh_authorized_keys:
          - "ssh-ed25519 AAAA me"
        chpasswd:
          expire: False
        users:
          - default
        ---
        version: 1
        config:
          - type: physical
            name: eth0
            subnets:
              - type: static
                address: "10.40.19.201/24"
                gateway: "10.40.19.254"
          - type: nameserver
            address:
              - "10.40.19.254"
        "##);
        vm.config.insert("ipconfig0".to_owned(), "ip=10.40.19.202/24,gw=10.40.19.254".to_owned());
        assert_ne!(meta_data(&user, &network), meta_data(&user_data(1, &vm), &network_config(&vm)));
    }
}
