//! `data "kubesmith_templates"`: what clusters can be cloned from.

use kubesmith_proxmox::{VmResource, retry};
use kubesmith_spec::TemplateName;
use kubesmith_tfplugin::{Cx, DataSource, Model, Result, Text, Value};

use crate::diagnose;
use crate::provider::{Context, deadline};

/// The virtual machine templates that the API token may see.
#[derive(Debug, Model)]
#[tf(type_name = "kubesmith_templates", timeouts(read = "2m"))]
pub(crate) struct FoundTemplates {
    /// Only those with this name or tag: the copies that `kubesmith_cluster` would choose from for
    /// `template`.
    #[tf(optional)]
    name: Option<Text<TemplateName>>,
    /// The templates, by name and VMID.
    #[tf(computed)]
    templates: Value<Vec<FoundTemplate>>,
}

/// A template.
#[derive(Debug, PartialEq, Eq, Model)]
#[tf(computed)]
pub(crate) struct FoundTemplate {
    /// Its name.
    name: String,
    /// Its id.
    vmid: u32,
    /// The Proxmox node that it lies on.
    proxmox_node: String,
    /// Its tags.
    tags: Vec<String>,
}

/// Looks them up.
pub(crate) struct TemplateLookup;

impl DataSource for TemplateLookup {
    type Model = FoundTemplates;
    type Client = Context;

    async fn read(&self, cx: &Cx<Context>, config: FoundTemplates) -> Result<FoundTemplates> {
        let (client, deadline) = (&cx.client()?.proxmox, deadline(cx));
        let vms = retry(&deadline, || client.vms())
            .await
            .map_err(|error| diagnose::proxmox("Unable to list the templates", &error))?;
        let mut templates: Vec<_> = vms
            .into_iter()
            .filter(|vm| vm.kind == "qemu" && vm.template == Some(true))
            .filter(|vm| config.name.as_ref().is_none_or(|name| is_called(vm, name)))
            .map(FoundTemplate::of)
            .collect();
        templates.sort_by(|one, other| (&one.name, one.vmid).cmp(&(&other.name, other.vmid)));
        Ok(FoundTemplates { templates: templates.into(), ..config })
    }
}

/// Whether a machine has this name or tag. Proxmox writes tags in lower case.
pub(crate) fn is_called(vm: &VmResource, name: &TemplateName) -> bool {
    let tag = name.as_str().to_ascii_lowercase();
    vm.name.as_deref() == Some(name.as_str()) || vm.tags.contains(&tag)
}

impl FoundTemplate {
    fn of(vm: VmResource) -> Self {
        Self {
            name: vm.name.unwrap_or_else(|| format!("VM {}", vm.vmid)),
            vmid: vm.vmid,
            proxmox_node: vm.node,
            tags: vm.tags.into_iter().collect(),
        }
    }
}
