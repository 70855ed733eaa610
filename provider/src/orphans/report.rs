//! PURE: what is printed: the list, and what one can do about it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::find::{OrphanLease, OrphanMachine, Orphans, Question, Stays};

/// The list of everything that no state knows.
pub(super) fn list(orphans: &Orphans, question: &Question, states: usize) -> String {
    let owner = &question.owner;
    let of = question
        .cluster
        .as_ref()
        .map(|cluster| format!(" of cluster {cluster}"))
        .unwrap_or_default();
    let unknown = match states {
        0 => {
            format!("of owner {owner}{of}; no state was given, so what is in use is listed as well")
        }
        1 => format!("{} not known to the state given", of.trim_start()),
        _ => format!("{} not known to the {states} states given", of.trim_start()),
    };
    let unknown = unknown.trim_start();
    let Orphans { machines, leases } = orphans;
    if machines.is_empty() && leases.is_empty() {
        return match states {
            0 => format!("There are no machines and no leases of owner {owner}{of}.\n"),
            _ => format!("There are no machines and no leases {unknown}.\n"),
        };
    }
    let mut text = String::new();
    if !machines.is_empty() {
        let head =
            ["NODE", "VMID", "PROXMOX NODE", "ADDRESS", "CLUSTER", "OWNER", "LEASE", "STATE", ""];
        let _ = write!(
            text,
            "Machines {unknown}:\n\n{}",
            table(head, machines.iter().map(machine_row))
        );
    }
    if !leases.is_empty() {
        let gap = if text.is_empty() { "" } else { "\n" };
        let head = ["LEASE", "OWNER", "ADDRESSES", ""];
        let _ =
            write!(text, "{gap}Leases {unknown}:\n\n{}", table(head, leases.iter().map(lease_row)));
    }
    text
}

/// What one can do about them; `options` are those that this list was made with. Empty if nothing can be done.
pub(super) fn advice(orphans: &Orphans, question: &Question, options: &str) -> String {
    let mut text = String::new();
    let clusters: BTreeSet<_> = orphans
        .machines
        .iter()
        .filter(|orphan| orphan.stays.is_none() && orphan.machine.stamp.made)
        .map(|orphan| orphan.machine.stamp.cluster.as_str())
        .collect();
    if !clusters.is_empty() {
        text.push_str(
            "\nTo manage a cluster again, import it with the SSH key that its machines accept:\n",
        );
    }
    for cluster in clusters {
        let _ = writeln!(
            text,
            "  KUBESMITH_IMPORT_SSH_KEY_FILE=FILE terraform import kubesmith_cluster.{} {cluster}",
            identifier(cluster)
        );
    }
    let removable = orphans.machines.iter().any(|orphan| orphan.stays.is_none())
        || orphans.leases.iter().any(|orphan| orphan.stays.is_none());
    if removable {
        let _ = write!(
            text,
            "\nTo remove what belongs to owner {}, while Terraform does not run for it:\n  \
             terraform-provider-kubesmith orphans --remove{options}\n",
            question.owner
        );
    }
    text
}

fn machine_row(orphan: &OrphanMachine) -> [String; 9] {
    let OrphanMachine { machine, address, stays } = orphan;
    let stamp = &machine.stamp;
    [
        stamp.node.to_string(),
        machine.vmid.to_string(),
        machine.host.clone(),
        address.map_or_else(|| "-".to_owned(), |address| address.to_string()),
        stamp.cluster.to_string(),
        stamp.owner.to_string(),
        format!("{}/{}", stamp.pool, stamp.lease),
        if stamp.made { "finished" } else { "unfinished" }.to_owned(),
        note(*stays),
    ]
}

fn lease_row(orphan: &OrphanLease) -> [String; 4] {
    let OrphanLease { pool, claim, stays } = orphan;
    let (held, all) = (claim.held.len() as u64, claim.range.capacity());
    let count = if held == all { format!("{all}") } else { format!("{held} of {all}") };
    [
        format!("{}/{}", pool.name, claim.lease),
        claim.owner.to_string(),
        format!("{} ({count})", claim.range),
        note(*stays),
    ]
}

fn note(stays: Option<Stays>) -> String {
    let Some(stays) = stays else { return String::new() };
    let why = match stays {
        Stays::OtherOwner => "another owner's",
        Stays::NoPool => "its pool is not in the ledger",
        Stays::Copy => "its VMID is not one of its lease: a copy?",
        Stays::OneCluster => "not removed with --cluster",
    };
    format!("only listed: {why}")
}

/// A cluster's name as a resource's name, which begins with a letter or underscore.
fn identifier(name: &str) -> String {
    let digit = name.starts_with(|c: char| c.is_ascii_digit());
    if digit { format!("_{name}") } else { name.to_owned() }
}

/// Columns as wide as their widest cell, indented, without trailing blanks.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "  {}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::find::orphans;
    use super::super::find::tests::{claim, machine, question, survey};
    use super::*;

    fn shown(question: &Question, states: usize, options: &str) -> String {
        let machines = vec![
            machine(19201, ("", "")),
            machine(19202, ("node=demo-cp-1 role=control-plane", "node=demo-worker-1 role=worker")),
            machine(19205, ("owner=me", "owner=course-42")),
            machine(950, ("made=1", "made=0")),
        ];
        let mut partial = claim("course-42");
        partial.held.truncate(2);
        let found = orphans(&survey(machines, vec![claim("me"), partial]), question);
        format!("{}{}", list(&found, question, states), advice(&found, question, options))
    }

    #[test]
    fn the_list_says_what_there_is_and_what_to_do() {
        insta::assert_snapshot!(shown(&question(None, true), 1, " --state demo.json"), @"
        Machines not known to the state given:

          NODE           VMID   PROXMOX NODE  ADDRESS       CLUSTER  OWNER      LEASE     STATE
          demo-cp-1      19201  pve1          10.40.19.201  demo     me         lab/demo  finished
          demo-worker-1  19202  pve1          10.40.19.202  demo     me         lab/demo  finished
          demo-cp-1      19205  pve1          10.40.19.205  demo     course-42  lab/demo  finished    only listed: another owner's
          demo-cp-1      950    pve1          -             demo     me         lab/demo  unfinished  only listed: its VMID is not one of its lease: a copy?

        Leases not known to the state given:

          LEASE     OWNER      ADDRESSES
          lab/demo  me         10.40.19.201-10.40.19.206 (6)
          lab/demo  course-42  10.40.19.201-10.40.19.206 (2 of 6)  only listed: another owner's

        To manage a cluster again, import it with the SSH key that its machines accept:
          KUBESMITH_IMPORT_SSH_KEY_FILE=FILE terraform import kubesmith_cluster.demo demo

        To remove what belongs to owner me, while Terraform does not run for it:
          terraform-provider-kubesmith orphans --remove --state demo.json
        ");
    }

    #[test]
    fn one_cluster_without_a_state_leaves_the_lease() {
        insta::assert_snapshot!(shown(&question(Some("demo"), false), 0, " --cluster demo"), @"
        Machines of owner me of cluster demo; no state was given, so what is in use is listed as well:

          NODE           VMID   PROXMOX NODE  ADDRESS       CLUSTER  OWNER  LEASE     STATE
          demo-cp-1      19201  pve1          10.40.19.201  demo     me     lab/demo  finished
          demo-worker-1  19202  pve1          10.40.19.202  demo     me     lab/demo  finished
          demo-cp-1      950    pve1          -             demo     me     lab/demo  unfinished  only listed: its VMID is not one of its lease: a copy?

        Leases of owner me of cluster demo; no state was given, so what is in use is listed as well:

          LEASE     OWNER  ADDRESSES
          lab/demo  me     10.40.19.201-10.40.19.206 (6)  only listed: not removed with --cluster

        To manage a cluster again, import it with the SSH key that its machines accept:
          KUBESMITH_IMPORT_SSH_KEY_FILE=FILE terraform import kubesmith_cluster.demo demo

        To remove what belongs to owner me, while Terraform does not run for it:
          terraform-provider-kubesmith orphans --remove --cluster demo
        ");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let none = Orphans::default();
        for (question, states, expected) in [
            (question(None, false), 0, "There are no machines and no leases of owner me.\n"),
            (
                question(Some("demo"), false),
                0,
                "There are no machines and no leases of owner me of cluster demo.\n",
            ),
            (
                question(None, true),
                1,
                "There are no machines and no leases not known to the state given.\n",
            ),
            (
                question(Some("demo"), true),
                2,
                "There are no machines and no leases of cluster demo not known to the 2 states given.\n",
            ),
        ] {
            assert_eq!(list(&none, &question, states), expected);
            assert_eq!(advice(&none, &question, ""), "");
        }
    }

    #[test]
    fn a_resource_name_never_begins_with_a_digit() {
        assert_eq!(
            (identifier("4you"), identifier("demo")),
            ("_4you".to_owned(), "demo".to_owned())
        );
    }
}
