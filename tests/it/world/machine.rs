//! Machines made by hand, as an administrator would in Proxmox's web interface.

use serde_json::json;

use super::World;

/// What a machine is called, in Proxmox and on the network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) vmid: u32,
    pub(crate) name: &'static str,
    pub(crate) address: &'static str,
}

impl World {
    /// Clones a template, configures the clone, starts it, and waits until its first boot is over.
    pub(crate) fn boot(&self, template: u32, machine: Machine, settings: &[(&str, &str)]) {
        let Machine { vmid, name, address } = machine;
        let new = vmid.to_string();
        self.task(&format!("{template}/clone"), &[("newid", &new), ("name", name)]);
        let address = format!("ip={address}/24,gw=10.40.19.254");
        let common = [
            ("cores", "2"),
            ("memory", "4096"),
            ("net0", "virtio,bridge=vmbr0"),
            ("ipconfig0", &address),
        ];
        let config = [&common[..], settings].concat();
        self.proxmox("PUT", &format!("/nodes/pve1/qemu/{vmid}/config"), &config);
        self.task(&format!("{vmid}/status/start"), &[]);
        let (_, said) = self.root(machine, "cloud-init status --wait >/dev/null; hostname");
        assert_eq!(said.trim(), name);
    }

    /// Shuts a machine down and makes it a template.
    pub(crate) fn make_template(&self, Machine { vmid, .. }: Machine) {
        self.task(&format!("{vmid}/status/shutdown"), &[]);
        self.task(&format!("{vmid}/template"), &[]);
    }

    /// Deletes a machine that does not run, or a template.
    pub(crate) fn remove(&self, Machine { vmid, .. }: Machine) {
        let upid = self.proxmox("DELETE", &format!("/nodes/pve1/qemu/{vmid}"), &[]);
        self.wait_for_task("pve1", upid.as_str().expect("a UPID"));
    }

    fn task(&self, path: &str, form: &[(&str, &str)]) {
        let upid = self.proxmox("POST", &format!("/nodes/pve1/qemu/{path}"), form);
        self.wait_for_task("pve1", upid.as_str().expect("a UPID"));
    }

    /// Runs a script as root in a machine, past its network: its exit code and what it said.
    pub(crate) fn root(&self, machine: Machine, script: &str) -> (Option<i64>, String) {
        let exec = json!({"argv": ["/bin/bash", "-c", script]});
        let path = format!("/lab/guests/{}/exec", machine.vmid);
        let answer = self.control("POST", &path, &exec);
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        (answer["status"].as_i64(), text("stdout") + &text("stderr"))
    }
}
