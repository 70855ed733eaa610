//! PURE: the stamp on a machine, the first line of its description in Proxmox:
//!
//! `kubesmith:v1 cluster=demo node=demo-cp-1 role=control-plane owner=course-42 lease=lab/demo x=.. nonce=.. made=0`
//!
//! Proxmox hands a freed VMID out again at once, so a number alone never says whose machine it is. No
//! write and no destroy without a stamp that agrees.

use std::fmt;

use kubesmith_spec::{
    ClusterName, LeaseName, NodeName, Nonce, OwnerName, PoolName, Role, Transaction,
};

use crate::ledger::fields::Fields;

/// The tag that every machine of Kubesmith carries.
pub(crate) const TAG: &str = "kubesmith";

/// Whose machine a VM is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The cluster it is part of.
    pub(crate) cluster: ClusterName,
    /// Its name.
    pub(crate) node: NodeName,
    /// What it does.
    pub(crate) role: Role,
    /// The Terraform state that owns it.
    pub(crate) owner: OwnerName,
    /// The pool of the lease that holds its address.
    pub(crate) pool: PoolName,
    /// The lease that holds its address.
    pub(crate) lease: LeaseName,
    /// The transaction of that lease.
    pub(crate) transaction: Transaction,
    /// The mark of this very machine.
    pub(crate) nonce: Nonce,
    /// Whether its create ended well. Unfinished machines may be removed by their owner.
    pub(crate) made: bool,
}

impl Stamp {
    /// Reads the stamp from a description; `None` if the machine is not one of Kubesmith's.
    pub(crate) fn parse(description: &str) -> Option<Self> {
        let line = description.lines().next()?;
        let mut fields = Fields::parse(line.strip_prefix("kubesmith:v1 ")?)?;
        let lease: String = fields.take("lease")?;
        let (pool, lease) = lease.split_once('/')?;
        Some(Self {
            cluster: fields.take("cluster")?,
            node: fields.take("node")?,
            role: fields.take("role")?,
            owner: fields.take("owner")?,
            pool: pool.parse().ok()?,
            lease: lease.parse().ok()?,
            transaction: fields.take("x")?,
            nonce: fields.take("nonce")?,
            made: fields.take::<u8>("made").filter(|made| *made < 2)? == 1,
        })
    }

    /// The tag that repeats the nonce, so that a list of VMs answers most questions.
    pub(crate) fn nonce_tag(&self) -> String {
        format!("ks-{}", self.nonce)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, node, role, owner, pool, lease, transaction, nonce, made } = self;
        write!(
            f,
            "kubesmith:v1 cluster={cluster} node={node} role={role} owner={owner} lease={pool}/{lease} \
             x={transaction} nonce={nonce} made={}",
            u8::from(*made)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "kubesmith:v1 cluster=demo node=demo-cp-1 role=control-plane owner=course-42 \
                        lease=lab/demo x=00000000000000ff nonce=0badcafe made=0";

    #[test]
    fn a_stamp_is_read_from_the_first_line_and_written_the_same() {
        let stamp = Stamp::parse(&format!("{LINE}\nkubesmith-spec:{{}}\n")).unwrap();
        assert_eq!(stamp.to_string(), LINE);
        assert_eq!((stamp.lease.as_str(), stamp.made), ("demo", false));
        assert_eq!(stamp.nonce_tag(), "ks-0badcafe");
        assert!(Stamp::parse(&LINE.replace("made=0", "made=1")).unwrap().made);
    }

    #[test]
    fn a_machine_without_a_whole_stamp_is_a_strangers() {
        for text in [
            String::new(),
            "our web server".into(),
            format!("a note\n{LINE}"),
            LINE.replace("made=0", "made=2"),
            LINE.replace("lease=lab/demo", "lease=demo"),
            LINE.replace(" owner=course-42", ""),
            LINE.replace("v1", "v2"),
        ] {
            assert_eq!(Stamp::parse(&text), None, "{text}");
        }
    }
}
