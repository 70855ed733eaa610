//! What a tenant's token must be able to do, and nothing beside it. PURE.
//!
//! Six small roles instead of a large one, because each is granted on another path: a tenant may clone the templates, but
//! write only into its own pool. The provider needs nothing on `/`.

use std::collections::{BTreeMap, BTreeSet};

use super::tenant::{Site, Tenant};

/// The roles, by name. All of them begin with [`PREFIX`], so that they are known again.
pub(super) type Roles = BTreeMap<&'static str, BTreeSet<&'static str>>;

/// How the names of our roles begin.
pub(super) const PREFIX: &str = "Kubesmith";

/// The oldest release that knows all of these privileges.
pub(super) const OLDEST: (u32, u32) = (8, 0);

/// The role that lets a tenant use a network.
const NETWORK: &str = "KubesmithNetwork";

/// The token's name, for each tenant.
pub(super) const TOKEN: &str = "terraform";

/// One row of the access list: this role, for this user, from this path on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grant {
    pub(super) path: String,
    pub(super) user: String,
    pub(super) role: String,
    /// Whether it holds below its path as well.
    pub(super) propagates: bool,
}

/// What the roles hold. A name that the version does not know would make it refuse the role: bridges have rights of
/// their own only since 8.0, and what came or went later (`VM.Monitor`, `VM.GuestAgent.*`) is not needed.
pub(super) fn roles() -> Roles {
    let machines = BTreeSet::from([
        "VM.Allocate",
        "VM.Audit",
        "VM.Config.CPU",
        "VM.Config.Disk",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.Options",
        "VM.PowerMgmt",
    ]);
    Roles::from([
        ("KubesmithMachines", machines),
        ("KubesmithTemplates", BTreeSet::from(["VM.Audit", "VM.Clone"])),
        ("KubesmithStorage", BTreeSet::from(["Datastore.AllocateSpace"])),
        (NETWORK, BTreeSet::from(["SDN.Use"])),
        ("KubesmithNodes", BTreeSet::from(["Sys.Audit"])),
        ("KubesmithLedger", BTreeSet::from(["VM.Audit", "VM.Config.Network"])),
    ])
}

/// The rows of the access list that one tenant needs. `cards` are the paths of the templates' own networks: who clones a
/// network card must be allowed to use its network, even if another one is set at once.
pub(super) fn grants(site: &Site, cards: &BTreeSet<String>, tenant: &Tenant) -> BTreeSet<Grant> {
    let user = tenant.user();
    let grant = |path: String, role: &str| Grant {
        path,
        user: user.clone(),
        role: role.to_owned(),
        // Below a bridge are its VLANs, which are others' networks.
        propagates: role != NETWORK,
    };
    let mut grants = BTreeSet::from([
        grant(format!("/pool/{}", tenant.name), "KubesmithMachines"),
        grant(tenant.network.path(), NETWORK),
        grant("/nodes".to_owned(), "KubesmithNodes"),
        grant(format!("/vms/{}", site.ledger_vmid), "KubesmithLedger"),
    ]);
    grants.extend(
        site.templates.iter().map(|vmid| grant(format!("/vms/{vmid}"), "KubesmithTemplates")),
    );
    grants.extend(cards.iter().map(|path| grant(path.clone(), NETWORK)));
    grants.extend(
        site.storages.iter().map(|name| grant(format!("/storage/{name}"), "KubesmithStorage")),
    );
    grants
}
