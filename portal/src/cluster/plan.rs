//! Terraform's plan in plain words, and whether it is one of ours. PURE.

use std::net::Ipv4Addr;

use kubesmith_spec::MachineSize;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::quota::Amount;

const LEASE: &str = "module.cluster.kubesmith_ip_lease.this";
const CLUSTER: &str = "module.cluster.kubesmith_cluster.this";
const PROVIDER: &str = "registry.terraform.io/kubesmith/kubesmith";

/// A plan as people read it before they approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The one sentence.
    pub headline: String,
    /// What happens, the gravest first.
    pub lines: Vec<Line>,
    /// The gravest thing that happens.
    pub effect: Effect,
    /// What stands before.
    pub before: Amount,
    /// What stands after.
    pub after: Amount,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// How grave it is.
    pub effect: Effect,
    /// In words.
    pub text: String,
}

/// What is done to something, from harmless to grave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// Something is made.
    Adds,
    /// Something is changed in place.
    Changes,
    /// Some machines are removed.
    Removes,
    /// Everything is destroyed and made again.
    Replaces,
    /// Everything is destroyed.
    Destroys,
}

/// Why a plan is not shown for approval.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Terraform says something that we do not understand.
    #[error("Terraform's plan cannot be read: {0}")]
    Unreadable(String),
    /// It touches what is none of this cluster.
    #[error("the plan touches {0}, which a cluster of the portal does not have")]
    Foreign(String),
    /// It would do more than was asked.
    #[error("a destroy was asked for, but the plan would {0}")]
    NotADestroy(String),
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    resource_changes: Vec<Change>,
    #[serde(default)]
    errored: bool,
}

#[derive(Deserialize)]
struct Change {
    address: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    provider_name: String,
    #[serde(default)]
    action_reason: Option<String>,
    #[serde(rename = "change")]
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    actions: Vec<String>,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
    #[serde(default)]
    replace_paths: Vec<Vec<Value>>,
    #[serde(default)]
    importing: Option<Value>,
}

/// The same as Terraform's list of actions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Nothing,
    Create,
    Update,
    Delete,
    Replace,
}

/// Reads what `terraform show -json` says of a saved plan. With `destroy`, nothing but deletions is accepted.
pub fn read(json: &str, destroy: bool) -> Result<Plan, Refused> {
    let shown: Shown =
        serde_json::from_str(json).map_err(|error| Refused::Unreadable(error.to_string()))?;
    if shown.errored {
        return Err(Refused::Unreadable("it is not complete".to_owned()));
    }
    let (mut lease, mut cluster) = (None, None);
    for change in &shown.resource_changes {
        let action = action(change)?;
        let place = match change.address.as_str() {
            LEASE => &mut lease,
            CLUSTER => &mut cluster,
            other => return Err(Refused::Foreign(other.to_owned())),
        };
        if change.mode != "managed"
            || change.provider_name != PROVIDER
            || change.values.importing.is_some()
        {
            return Err(Refused::Foreign(change.address.clone()));
        }
        if destroy && !matches!(action, Action::Nothing | Action::Delete) {
            let verb = if action == Action::Create { "make" } else { "change" };
            return Err(Refused::NotADestroy(format!("{verb} {}", change.address)));
        }
        *place = Some((change, action));
    }
    Ok(describe(lease, cluster))
}

fn action(change: &Change) -> Result<Action, Refused> {
    let actions: Vec<_> = change.values.actions.iter().map(String::as_str).collect();
    match actions.as_slice() {
        ["no-op"] => Ok(Action::Nothing),
        ["create"] => Ok(Action::Create),
        ["update"] => Ok(Action::Update),
        ["delete"] => Ok(Action::Delete),
        ["delete", "create"] | ["create", "delete"] => Ok(Action::Replace),
        other => Err(Refused::Unreadable(format!("{}: {}", change.address, other.join(", ")))),
    }
}

type Planned<'a> = Option<(&'a Change, Action)>;

fn describe(lease: Planned<'_>, cluster: Planned<'_>) -> Plan {
    let mut lines = Vec::new();
    let addresses = lease.map(|(change, _)| addresses(&change.values)).unwrap_or_default();
    if let Some((change, action)) = cluster {
        describe_cluster(change, action, &addresses, &mut lines);
    }
    if let Some((change, action)) = lease {
        describe_lease(change, action, &addresses, &mut lines);
    }
    // Stable: within one effect the order in which things were found.
    lines.sort_by_key(|line| std::cmp::Reverse(line.effect));
    let effect = lines.iter().map(|line| line.effect).max().unwrap_or(Effect::Nothing);
    let amount = |pick: fn(&Values) -> &Value| {
        cluster.map(|(change, _)| amount(pick(&change.values))).unwrap_or_default()
    };
    let (before, after) = (amount(|values| &values.before), amount(|values| &values.after));
    Plan { headline: headline(effect, before, after, &addresses), lines, effect, before, after }
}

fn headline(effect: Effect, before: Amount, after: Amount, addresses: &[Ipv4Addr]) -> String {
    let used = usize::try_from(after.machines).unwrap_or(usize::MAX).min(addresses.len());
    let places = if used == 0 {
        String::new()
    } else {
        format!(", addresses {}", range(&addresses[..used]))
    };
    match effect {
        Effect::Nothing => "Nothing changes: everything is as it should be.".to_owned(),
        Effect::Adds | Effect::Changes => format!("{after}{places}; nothing is deleted."),
        Effect::Removes => format!(
            "{after}{places}; {} fewer machines than before.",
            before.machines.saturating_sub(after.machines)
        ),
        Effect::Replaces => format!("The cluster is destroyed and made again: {after}."),
        Effect::Destroys if before.machines == 0 => {
            "What is left of the cluster is destroyed.".to_owned()
        }
        Effect::Destroys => format!("Everything is destroyed: {before}."),
    }
}

fn describe_cluster(
    change: &Change,
    action: Action,
    addresses: &[Ipv4Addr],
    lines: &mut Vec<Line>,
) {
    let mut say = |effect, text: String| lines.push(Line { effect, text });
    let values = &change.values;
    let (before, after) = (&values.before, &values.after);
    match action {
        Action::Nothing => {}
        Action::Create => {
            let version = text(&after["kubernetes_version"]);
            let names = machine_names(after, 0, count(after));
            say(
                Effect::Adds,
                format!(
                    "A cluster with Kubernetes {version} is made: {}.",
                    list_with_places(&names, addresses)
                ),
            );
            for (role, size) in sizes(after) {
                say(Effect::Adds, format!("{role}: {}.", size_words(size)));
            }
        }
        Action::Delete => {
            say(
                Effect::Destroys,
                format!("The cluster is destroyed with all that runs on it: {}.", nodes(before)),
            );
        }
        Action::Replace => {
            say(
                Effect::Replaces,
                format!(
                    "The cluster is destroyed with all that runs on it, and made again, because {}.",
                    why_replaced(change)
                ),
            );
        }
        Action::Update => describe_update(before, after, &mut say),
    }
}

fn describe_update(before: &Value, after: &Value, say: &mut impl FnMut(Effect, String)) {
    let (had, wants) = (count(before), count(after));
    if wants > had {
        say(
            Effect::Adds,
            format!("Workers are added: {}.", machine_names(after, had, wants).join(", ")),
        );
    }
    if wants < had {
        let gone = machine_names(after, wants, had).join(", ");
        say(Effect::Removes, format!("Workers are drained and destroyed: {gone}."));
    }
    for ((role, old), (_, new)) in sizes(before).into_iter().zip(sizes(after)) {
        if old != new {
            say(
                Effect::Changes,
                format!("{role}: {} become {}; each restarts.", size_words(old), size_words(new)),
            );
        }
    }
    let mut plain_change = false;
    for (field, words) in [
        ("kubernetes_version", "Kubernetes"),
        ("package_mirror", "The package mirror"),
        ("registry_mirror", "The registry mirror"),
    ] {
        if before[field] != after[field] {
            plain_change = true;
            say(
                Effect::Changes,
                format!("{words} becomes {} (from {}).", text(&after[field]), text(&before[field])),
            );
        }
    }
    let repaired = had == wants && sizes(before) == sizes(after) && !plain_change;
    if repaired {
        say(Effect::Changes, "What is missing, stopped or changed is repaired.".to_owned());
    }
}

fn describe_lease(change: &Change, action: Action, addresses: &[Ipv4Addr], lines: &mut Vec<Line>) {
    let values = &change.values;
    let known = if values.after.is_null() { &values.before } else { &values.after };
    let (size, pool) = (known["size"].as_u64().unwrap_or_default(), text(&known["pool"]));
    let (effect, text) = match action {
        Action::Nothing => return,
        Action::Create => {
            (Effect::Adds, format!("{size} addresses are leased from the pool {pool}."))
        }
        Action::Update => {
            (Effect::Changes, "The lease's entries in the ledger are put back.".to_owned())
        }
        Action::Delete => (
            Effect::Destroys,
            format!("The addresses {} go back to the pool {pool}.", range(addresses)),
        ),
        Action::Replace => (
            Effect::Replaces,
            format!(
                "The addresses are given back and {size} others are leased, because {}.",
                why_replaced(change)
            ),
        ),
    };
    lines.push(Line { effect, text });
}

fn why_replaced(change: &Change) -> String {
    let fields: Vec<_> = change
        .values
        .replace_paths
        .iter()
        .filter_map(|path| path.first().and_then(Value::as_str))
        .map(|field| field.replace('_', " "))
        .collect();
    match change.action_reason.as_deref() {
        Some("replace_because_tainted") => "its creation had failed".to_owned(),
        _ if fields.is_empty() => "it cannot be changed in place".to_owned(),
        _ => format!("its {} cannot be changed in place", fields.join(", ")),
    }
}

/// The names of machines from the `first`th worker on; with the control plane if that is the very first.
fn machine_names(cluster: &Value, first: u32, last: u32) -> Vec<String> {
    let name = text(&cluster["name"]);
    let workers = (first + 1..=last).map(|index| format!("{name}-worker-{index}"));
    let control_plane = (first == 0 && cluster["nodes"].is_null()).then(|| format!("{name}-cp-1"));
    control_plane.into_iter().chain(workers).collect()
}

fn list_with_places(names: &[String], addresses: &[Ipv4Addr]) -> String {
    let used = names.len().min(addresses.len());
    let places =
        if used == 0 { String::new() } else { format!(" on {}", range(&addresses[..used])) };
    format!("{}{places}", names.join(", "))
}

fn nodes(cluster: &Value) -> String {
    let nodes = cluster["nodes"].as_array().cloned().unwrap_or_default();
    if nodes.is_empty() {
        return text(&cluster["name"]);
    }
    nodes
        .iter()
        .map(|node| format!("{} ({})", text(&node["name"]), text(&node["address"])))
        .collect::<Vec<_>>()
        .join(", ")
}

fn addresses(values: &Values) -> Vec<Ipv4Addr> {
    let known = if values.after.is_null() { &values.before } else { &values.after };
    Vec::deserialize(&known["addresses"]).unwrap_or_default()
}

/// `10.40.19.204-.206`.
fn range(addresses: &[Ipv4Addr]) -> String {
    match addresses {
        [] => "of the lease".to_owned(),
        [one] => one.to_string(),
        [first, .., last] if first.octets()[..3] == last.octets()[..3] => {
            format!("{first}-.{}", last.octets()[3])
        }
        [first, .., last] => format!("{first}-{last}"),
    }
}

fn sizes(cluster: &Value) -> [(&'static str, MachineSize); 2] {
    [("Control plane", size(&cluster["control_plane"])), ("Each worker", size(&cluster["workers"]))]
}

fn size(object: &Value) -> MachineSize {
    let MachineSizeOf { cores, memory_mib, disk_gib } =
        MachineSizeOf::deserialize(object).unwrap_or_default();
    MachineSize { cores, memory_mib, disk_gib }
}

#[derive(Default, Deserialize)]
struct MachineSizeOf {
    cores: u32,
    memory_mib: u32,
    disk_gib: u32,
}

fn size_words(size: MachineSize) -> String {
    let MachineSize { cores, memory_mib, disk_gib } = size;
    format!("{cores} cores, {memory_mib} MiB of memory, {disk_gib} GiB of disk")
}

fn amount(cluster: &Value) -> Amount {
    if cluster.is_null() {
        return Amount::default();
    }
    Amount::of(size(&cluster["control_plane"]), size(&cluster["workers"]), count(cluster))
}

fn count(cluster: &Value) -> u32 {
    cluster["workers"]["count"].as_u64().and_then(|count| count.try_into().ok()).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("the default").to_owned()
}

#[cfg(test)]
mod tests;
