//! From the texts of a form to a cluster that is wanted. PURE.
//!
//! Every text becomes a typed name or a problem beside its field. Nothing behind this file sees what a person typed.

use kubesmith_spec::{ClusterName, KubernetesVersion, MachineSize, TemplateName, Workers};
use serde::{Deserialize, Serialize};

use super::catalogue::{Size, Template};
use crate::text;

/// A cluster as a person wants it: everything that stands in its `main.tf`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Its name.
    pub name: ClusterName,
    /// The Proxmox template.
    pub template: TemplateName,
    /// The version of Kubernetes.
    pub kubernetes_version: KubernetesVersion,
    /// How many addresses it may ever use; fixed once made.
    pub lease_size: u32,
    /// The control plane's machine.
    pub control_plane: MachineSize,
    /// The workers.
    pub workers: Workers,
}

impl Wanted {
    /// How many workers its lease has room for.
    pub fn most_workers(&self) -> u32 {
        self.lease_size.saturating_sub(1)
    }

    /// How many machines it has.
    pub fn machines(&self) -> u32 {
        1 + self.workers.count
    }
}

/// The form of a new cluster, as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCluster {
    /// The name.
    #[serde(default)]
    pub name: String,
    /// The template's id.
    #[serde(default)]
    pub template: String,
    /// The size's id.
    #[serde(default)]
    pub size: String,
}

/// What is wrong with a field, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The field's name in the form.
    pub field: &'static str,
    /// For its reader.
    pub message: String,
}

impl Problem {
    /// A problem of this field.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

impl NewCluster {
    /// The cluster that is meant, or every problem at once.
    pub fn parse(&self, catalogue: &[Template]) -> Result<Wanted, Vec<Problem>> {
        let mut problems = Vec::new();
        let name = ClusterName::parse(self.name.trim())
            .map_err(|error| problems.push(Problem::new("name", text::sentence(error.rule))))
            .ok();
        let template = one_of("template", &self.template, catalogue, |template| &template.id);
        let size = match &template {
            Ok(template) => one_of("size", &self.size, &template.sizes, |size| &size.id),
            // Which sizes there are depends on the template.
            Err(_) => one_of("size", &self.size, &[], |size: &Size| &size.id),
        };
        match (name, template, size) {
            (Some(name), Ok(template), Ok(size)) => Ok(Wanted {
                name,
                template: template.template.clone(),
                kubernetes_version: template.kubernetes_version,
                lease_size: 1 + size.max_workers,
                control_plane: size.control_plane,
                workers: size.workers(size.workers),
            }),
            (_, template, size) => {
                problems.extend(template.err());
                problems.extend(size.err());
                Err(problems)
            }
        }
    }
}

/// The wanted cluster with this many workers, or why not.
pub fn scaled(wanted: &Wanted, workers: &str) -> Result<Wanted, Problem> {
    let most = wanted.most_workers();
    let problem = || {
        Problem::new(
            "workers",
            format!("Give a number from 0 to {most}: so many addresses are leased."),
        )
    };
    let digits = workers.trim();
    // `u32::from_str` would also take a plus sign.
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count = digits.parse().ok().filter(|count| plain && *count <= most).ok_or_else(problem)?;
    Ok(Wanted { workers: Workers { count, ..wanted.workers }, ..wanted.clone() })
}

fn one_of<'a, T>(
    field: &'static str,
    given: &str,
    offered: &'a [T],
    id: impl Fn(&T) -> &String,
) -> Result<&'a T, Problem> {
    offered.iter().find(|one| id(one) == given).ok_or_else(|| {
        let ids: Vec<_> = offered.iter().map(|one| id(one).as_str()).collect();
        let message = if ids.is_empty() {
            format!("Choose a {field}.")
        } else {
            format!("Choose a {field}: {}.", ids.join(", "))
        };
        Problem::new(field, message)
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{catalogue, form, wanted};
    use super::*;

    #[test]
    fn four_fields_become_a_cluster() {
        assert_eq!(form().parse(&catalogue()).unwrap(), wanted());
    }

    #[test]
    fn every_problem_is_said_at_once_beside_its_field() {
        let form = NewCluster { name: "My Cluster".into(), ..NewCluster::default() };
        let problems = form.parse(&catalogue()).unwrap_err();
        let said: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        name: Use 1 to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends.
        template: Choose a template: ubuntu.
        size: Choose a size.
        ");
    }

    #[test]
    fn a_count_of_workers_has_one_spelling_and_fits_the_lease() {
        assert_eq!(scaled(&wanted(), "0").unwrap().workers.count, 0);
        assert_eq!(scaled(&wanted(), "5").unwrap().workers.count, 5);
        for text in ["", "6", "-1", "+1", "1.0", "0x1", "1;2", "99999999999999999999", "${1}"] {
            assert!(scaled(&wanted(), text).is_err(), "{text:?}");
        }
    }
}
