//! A wanted cluster as the `main.tf` that is shown, applied and exported. PURE.
//!
//! Values stand in a typed tree, which a writer prints with every text escaped as a literal; the print is parsed again
//! and must give the same tree. Nothing is ever glued together as text.

use hcl::expr::{Object, ObjectKey, Traversal, TraversalOperator, Variable};
use hcl::{Block, Body, Expression, Identifier};
use kubesmith_spec::MachineSize;

use super::catalogue::Site;
use super::form::Wanted;

/// Where a portal keeps the state of one cluster, as Terraform's `http` backend is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The state's address; `/lock` behind it is its lock's.
    pub address: String,
}

/// The print did not parse to what was meant. A fault of ours, and nothing is applied then.
#[derive(Debug, thiserror::Error)]
#[error("the rendered configuration does not read as what was meant: {0}")]
pub struct Unfaithful(String);

const HEADER: &str = "\
# A cluster made with Kubesmith's portal, which applies exactly this file.
# It works without the portal too: set KUBESMITH_ENDPOINT, KUBESMITH_API_TOKEN and KUBESMITH_OWNER for the provider,
# and TF_HTTP_USERNAME and TF_HTTP_PASSWORD (an API key of the portal) for the state.

";

/// The settings of the site, each with the type that its variable has.
const SETTINGS: [(&str, &str); 6] = [
    ("pool", "Name of the address pool."),
    ("network", "Bridge of the machines, and their VLAN."),
    ("proxmox_pool", "Proxmox pool that the machines become members of."),
    ("storage", "Storage of the machines' disks; beside the template if none is given."),
    ("package_mirror", "Where Kubernetes packages come from, if the template lacks them."),
    ("registry_mirror", "What machines ask first for every container image."),
];

/// The text of `main.tf`.
pub fn main_tf(wanted: &Wanted, backend: &Backend) -> Result<String, Unfaithful> {
    let body = body(wanted, backend);
    let print = hcl::to_string(&body).map_err(|error| Unfaithful(error.to_string()))?;
    let text = aligned(&print);
    let again: Body = hcl::parse(&text).map_err(|error| Unfaithful(error.to_string()))?;
    if again != body {
        return Err(Unfaithful("it has other values".to_owned()));
    }
    Ok(format!("{HEADER}{text}"))
}

/// The site's settings for `terraform.tfvars.json`, whose values Terraform takes as they stand.
pub fn tfvars(site: &Site) -> serde_json::Value {
    let Site { pool, bridge, vlan, proxmox_pool, storage, package_mirror, registry_mirror } = site;
    serde_json::json!({
        "pool": pool,
        "network": { "bridge": bridge, "vlan": vlan },
        "proxmox_pool": proxmox_pool,
        "storage": storage,
        "package_mirror": package_mirror,
        "registry_mirror": registry_mirror,
    })
}

/// Puts the equals signs of attributes in consecutive lines below each other, as `terraform fmt` does. No text spans lines
/// here, so a line that begins with a name and an equals sign is an attribute.
fn aligned(text: &str) -> String {
    let split = |line: &'_ str| -> Option<(usize, usize)> {
        let indent = line.len() - line.trim_start().len();
        let (name, value) = line[indent..].split_once(" = ")?;
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (plain && !value.ends_with('{')).then_some((indent, name.len()))
    };
    let lines: Vec<_> = text.lines().map(|line| (line, split(line))).collect();
    let same_group =
        |a: &(&str, Option<(usize, usize)>), b: &(&str, Option<(usize, usize)>)| match (a.1, b.1) {
            (Some((one, _)), Some((other, _))) => one == other,
            _ => false,
        };
    let mut print = String::with_capacity(text.len() + 128);
    for group in lines.chunk_by(same_group) {
        let longest = group.iter().filter_map(|(_, place)| place.map(|(_, length)| length)).max();
        for (line, place) in group {
            if let (Some((indent, length)), Some(longest)) = (place, longest) {
                let (name, rest) = line.split_at(indent + length);
                print.push_str(name);
                print.extend(std::iter::repeat_n(' ', longest - length));
                print.push_str(rest);
            } else {
                print.push_str(line);
            }
            print.push('\n');
        }
    }
    print
}

fn body(wanted: &Wanted, backend: &Backend) -> Body {
    let mut body = Body::builder().add_block(terraform(backend));
    body = body.add_block(Block::builder("provider").add_label("kubesmith").build());
    for (name, description) in SETTINGS {
        body = body.add_block(variable(name, description));
    }
    body = body.add_block(module(wanted));
    for (name, secret) in [("endpoint", false), ("nodes", false), ("kubeconfig", true)] {
        body = body.add_block(output(name, secret));
    }
    body.build()
}

fn terraform(backend: &Backend) -> Block {
    let address = backend.address.as_str();
    // Plain methods instead of LOCK and UNLOCK, which some proxies refuse.
    let lock = format!("{address}/lock");
    let mut source = Object::new();
    source.insert(key("source"), Expression::from("kubesmith/kubesmith"));
    Block::builder("terraform")
        .add_attribute(("required_version", ">= 1.9"))
        .add_block(
            Block::builder("required_providers")
                .add_attribute(("kubesmith", Expression::Object(source)))
                .build(),
        )
        .add_block(
            Block::builder("backend")
                .add_label("http")
                .add_attribute(("address", address))
                .add_attribute(("lock_address", lock.as_str()))
                .add_attribute(("lock_method", "POST"))
                .add_attribute(("unlock_address", lock.as_str()))
                .add_attribute(("unlock_method", "DELETE"))
                .build(),
        )
        .build()
}

fn variable(name: &str, description: &str) -> Block {
    let kind = if name == "network" {
        hcl::expr::FuncCall::builder("object")
            .arg(Expression::Object(network_type()))
            .build()
            .into()
    } else {
        Expression::from(Variable::unchecked("string"))
    };
    let variable = Block::builder("variable")
        .add_label(name)
        .add_attribute(("description", description))
        .add_attribute(("type", kind));
    let required = ["pool", "network"].contains(&name);
    if required {
        variable.build()
    } else {
        variable.add_attribute(("default", Expression::Null)).build()
    }
}

fn network_type() -> Object<ObjectKey, Expression> {
    let string = || Expression::from(Variable::unchecked("string"));
    let number = Expression::from(Variable::unchecked("number"));
    let optional = hcl::expr::FuncCall::builder("optional").arg(number).build();
    let mut object = Object::new();
    object.insert(key("bridge"), string());
    object.insert(key("vlan"), optional.into());
    object
}

fn module(wanted: &Wanted) -> Block {
    let Wanted { name, template, kubernetes_version, lease_size, control_plane, workers } = wanted;
    let mut worker = size(*control_plane);
    let kubesmith_spec::Workers { count, size: each } = *workers;
    let control_plane = std::mem::replace(&mut worker, Object::new());
    worker.insert(key("count"), count.into());
    worker.extend(size(each));
    let mut module = Block::builder("module")
        .add_label("cluster")
        .add_attribute(("source", "./modules/cluster"))
        .add_attribute(("name", name.as_str()))
        .add_attribute(("template", template.as_str()))
        .add_attribute(("kubernetes_version", kubernetes_version.to_string()))
        .add_attribute(("lease_size", *lease_size))
        .add_attribute(("control_plane", Expression::Object(control_plane)))
        .add_attribute(("workers", Expression::Object(worker)));
    for (name, _) in SETTINGS {
        module = module.add_attribute((name, reference(&["var", name])));
    }
    module.build()
}

fn size(size: MachineSize) -> Object<ObjectKey, Expression> {
    let MachineSize { cores, memory_mib, disk_gib } = size;
    let fields = [("cores", cores), ("memory_mib", memory_mib), ("disk_gib", disk_gib)];
    fields.into_iter().map(|(name, value)| (key(name), value.into())).collect()
}

fn output(name: &str, secret: bool) -> Block {
    let output = Block::builder("output")
        .add_label(name)
        .add_attribute(("value", reference(&["module", "cluster", name])));
    if secret { output.add_attribute(("sensitive", true)).build() } else { output.build() }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::Identifier(Identifier::unchecked(name))
}

fn reference(path: &[&str]) -> Expression {
    let attributes =
        path[1..].iter().map(|name| TraversalOperator::GetAttr(Identifier::unchecked(*name)));
    Traversal::new(Variable::unchecked(path[0]), attributes).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{ILL_MEANT, site, wanted};
    use super::*;

    fn backend() -> Backend {
        Backend { address: "https://portal.example.edu/state/01JD0000000000000000000000".into() }
    }

    #[test]
    fn it_reads_as_if_a_person_had_written_it() {
        insta::assert_snapshot!(main_tf(&wanted(), &backend()).unwrap());
        insta::assert_snapshot!(tfvars(&site()), @r#"{"network":{"bridge":"vmbr0","vlan":119},"package_mirror":null,"pool":"lab","proxmox_pool":null,"registry_mirror":null,"storage":null}"#);
    }

    /// The writer alone, with texts that no typed name would let through.
    fn literal_survives(text: &str) -> Result<(), TestCaseError> {
        let backend = Backend { address: text.to_owned() };
        let print = match main_tf(&wanted(), &backend) {
            Ok(print) => print,
            // Two template openings in a row are read back as something else, which is noticed.
            Err(error) => {
                prop_assert!(text.contains("${") || text.contains("%{"), "{}: {}", text, error);
                return Ok(());
            }
        };
        let again: Body =
            hcl::parse(&print).map_err(|error| TestCaseError::fail(format!("{print}\n{error}")))?;
        prop_assert_eq!(&again, &body(&wanted(), &backend));
        prop_assert_eq!(again.blocks().count(), 12, "a text became a block");
        Ok(())
    }

    #[test]
    fn texts_that_are_meant_ill_stay_texts() {
        for text in ILL_MEANT {
            literal_survives(text).unwrap();
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_a_literal(text in "\\PC*|[\\x00-\\x7f]*|[$%{}\"\\\\~]*") {
            literal_survives(&text)?;
        }

        #[test]
        fn any_count_and_size_is_what_the_file_says(count in 0u32..250, cores in 1u32..512, memory in 1024u32..4_000_000) {
            let mut wanted = wanted();
            wanted.workers.count = count;
            wanted.workers.size = MachineSize { cores, memory_mib: memory, disk_gib: 20 };
            let text = main_tf(&wanted, &backend()).unwrap();
            let parsed: serde_json::Value = hcl::from_str(&text).unwrap();
            let workers = &parsed["module"]["cluster"]["workers"];
            prop_assert_eq!(workers["count"].as_u64(), Some(u64::from(count)));
            prop_assert_eq!(workers["cores"].as_u64(), Some(u64::from(cores)));
            prop_assert_eq!(workers["memory_mib"].as_u64(), Some(u64::from(memory)));
        }
    }
}
