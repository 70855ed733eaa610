//! What a tenant is given: a file with its settings, and the HCL that goes with it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use kubesmith_proxmox::ApiToken;
use kubesmith_tfplugin::{Diag, Result};

use super::tenant::{Site, Tenant};

/// A tenant's file, made and still empty.
pub(super) struct Settings {
    pub(super) path: PathBuf,
    file: File,
}

/// Makes the file, which only its owner can read. One that is there already is somebody's token: it is not overwritten.
pub(super) fn create(folder: &Path, tenant: &Tenant) -> Result<Settings> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = folder.join(format!("kubesmith-{}.env", tenant.name));
    let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(|error| {
        Diag::error(format!("Unable to make {}", path.display())).detail(format!(
            "{error}. It would hold the token of {}: move what is there away, or choose another folder with --out.",
            tenant.name
        ))
    })?;
    Ok(Settings { path, file })
}

impl Settings {
    /// There is no token to write: the next run makes the file anew.
    pub(super) fn discard(self) {
        let _ = std::fs::remove_file(self.path);
    }
}

/// Writes the environment of the provider, for a shell: `. FILE`.
pub(super) fn write(
    settings: &mut Settings,
    site: &Site,
    tenant: &Tenant,
    token: &ApiToken,
) -> io::Result<()> {
    let environment = |name: &str| crate::provider::environment(name);
    let mut lines = vec![("KUBESMITH_API_TOKEN", token.expose().to_string())];
    for name in ["KUBESMITH_ENDPOINT", "KUBESMITH_CA_FILE", "KUBESMITH_FINGERPRINT"] {
        lines.extend(environment(name).map(|value| (name, value)));
    }
    lines.push(("KUBESMITH_LEDGER_VMID", site.ledger_vmid.to_string()));
    writeln!(
        settings.file,
        "# Kubesmith's settings for {}. KUBESMITH_OWNER is yours to choose: one name for each Terraform state.",
        tenant.name
    )?;
    for (name, value) in lines {
        // Quoted for a shell; none of these values may hold a quote, but a path could.
        writeln!(settings.file, "export {name}='{}'", value.replace('\'', r"'\''"))?;
    }
    settings.file.sync_all()
}

/// The HCL with which a tenant begins.
pub(super) fn provider_block(site: &Site, tenant: &Tenant) -> String {
    let Tenant { name, network } = tenant;
    let vlan = network.vlan.map(|vlan| format!(", vlan = {}", u16::from(vlan))).unwrap_or_default();
    format!(
        r#"
# {name}: the token is in kubesmith-{name}.env
provider "kubesmith" {{
  owner       = "{name}-main" # one name for each Terraform state
  ledger_vmid = {}
}}

# In each kubesmith_cluster:
#   proxmox_pool = "{name}"
#   network      = {{ bridge = "{}"{vlan} }}
"#,
        site.ledger_vmid, network.bridge
    )
}
