//! Who gets a token, and where in the datacentre: parsed from the command line.

use std::fmt;
use std::str::FromStr;

use kubesmith_spec::{BridgeName, OwnerName, ProxmoxPoolName, StorageName, VlanTag};

/// What all tenants share.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// Templates that may be cloned.
    pub(super) templates: Vec<u32>,
    /// Storages that disks may lie on.
    pub(super) storages: Vec<StorageName>,
    /// The machine that holds the address ledger.
    pub(super) ledger_vmid: u32,
}

/// A department, course or group: one Proxmox pool, one user with one token, one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) name: ProxmoxPoolName,
    pub(super) network: Network,
}

/// A bridge, and the VLAN on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) bridge: BridgeName,
    pub(super) vlan: Option<VlanTag>,
}

impl Tenant {
    /// Its user. It has no password, so that only its token acts for it.
    pub(super) fn user(&self) -> String {
        format!("kubesmith-{}@pve", self.name)
    }
}

impl Network {
    /// Where the right to use it is granted, and there alone: not on the bridge for the sake of a VLAN, and not on a
    /// bridge's VLANs for its own sake.
    pub(super) fn path(&self) -> String {
        path(self.bridge.as_str(), self.vlan.map(u16::from))
    }
}

/// The access list's path for a bridge, or for a VLAN on it.
pub(super) fn path(bridge: &str, vlan: Option<u16>) -> String {
    let vlan = vlan.map(|vlan| format!("/{vlan}")).unwrap_or_default();
    format!("/sdn/zones/localnetwork/{bridge}{vlan}")
}

impl FromStr for Tenant {
    type Err = String;

    /// `NAME=BRIDGE` or `NAME=BRIDGE/VLAN`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, network) = text
            .split_once('=')
            .ok_or("say NAME=BRIDGE or NAME=BRIDGE/VLAN, for instance net1=vmbr0/119")?;
        let (bridge, vlan) = match network.split_once('/') {
            Some((bridge, vlan)) => {
                let tag: u16 =
                    vlan.parse().map_err(|_| format!("{vlan:?} is no VLAN: use 1 to 4094"))?;
                (bridge, Some(VlanTag::try_from(tag).map_err(said)?))
            }
            None => (network, None),
        };
        let network = Network { bridge: bridge.parse().map_err(said)?, vlan };
        // It names a pool, a user, a file and the first owner: what is good for all of them.
        if OwnerName::parse(&format!("{name}-main")).is_err() {
            return Err(format!(
                "{name:?} is no tenant: use 1 to 35 lower-case letters, digits and hyphens"
            ));
        }
        Ok(Self { name: name.parse().map_err(said)?, network })
    }
}

fn said(error: impl fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_name_and_a_network() {
        let tenant: Tenant = "net1=vmbr0/119".parse().unwrap();
        assert_eq!(tenant.user(), "kubesmith-net1@pve");
        assert_eq!(tenant.network.path(), "/sdn/zones/localnetwork/vmbr0/119");
        let untagged: Tenant = "net2=vmbr1".parse().unwrap();
        assert_eq!(untagged.network.path(), "/sdn/zones/localnetwork/vmbr1");
        for wrong in [
            "net1",
            "=vmbr0",
            "net1=",
            "net1=vmbr0/",
            "net1=vmbr0/4095",
            "net 1=vmbr0",
            "teaching/net1=vmbr0",
            "Net_1=vmbr0",
        ] {
            assert!(wrong.parse::<Tenant>().is_err(), "{wrong}");
        }
        let said = "Net_1=vmbr0".parse::<Tenant>().unwrap_err();
        assert_eq!(
            said,
            "\"Net_1\" is no tenant: use 1 to 35 lower-case letters, digits and hyphens"
        );
    }
}
