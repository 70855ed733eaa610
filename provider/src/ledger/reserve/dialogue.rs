//! PURE: what a reservation asks and is told, one at a time, and how it ends.

use std::net::Ipv4Addr;

use kubesmith_spec::{AddressRange, LeaseName, OwnerName, Transaction};

use crate::ip_lease::allocate::Exhausted;
use crate::ledger::row::Row;
use crate::ledger::rows::{Claim, Rows};

/// One request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Read the whole set. Answer: [`Answer::Rows`].
    Read,
    /// Which of these addresses have a VMID that exists already? Answer: [`Answer::Taken`].
    Probe(AddressRange),
    /// Make this row if there is none. Answer: [`Answer::Created`] or [`Answer::Unsure`].
    Create(Row),
    /// Remove this row if the set still has this digest. Answer: [`Answer::Unsure`].
    Delete {
        /// The address whose row is to go.
        address: Ipv4Addr,
        /// The content on which that was decided.
        digest: Option<String>,
    },
    /// Stand back for a short random time. Answer: [`Answer::Rested`].
    Rest,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Nothing yet: this is the beginning.
    Begin,
    /// The set, and the time by the server's clock.
    Rows(Rows, u64),
    /// The addresses whose VMID exists.
    Taken(Vec<Ipv4Addr>),
    /// The row was made.
    Created,
    /// Refused, or nobody knows: look again.
    Unsure,
    /// Rested; and a fresh transaction for the next attempt.
    Rested(Transaction),
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask this.
    Ask(Ask),
    /// It is over: the complete lease, or why there is none.
    Done(Result<Claim, Refused>),
}

/// Why there is no lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The name is in use.
    #[error("the name {lease} is in use in this pool by owner {owner}")]
    NameTaken {
        /// The lease.
        lease: LeaseName,
        /// Whose it is.
        owner: OwnerName,
    },
    /// The owner's lease of that name has another size.
    #[error("the lease exists already with {} addresses ({})", .0.range.capacity(), .0.range)]
    SizeDiffers(Box<Claim>),
    /// An incomplete lease of that name has machines on it.
    #[error(
        "an incomplete lease of that name exists on {range}, and the VMIDs of some of its addresses are in use"
    )]
    Inhabited {
        /// The addresses of that lease.
        range: AddressRange,
    },
    /// An address of an existing lease is held by somebody else.
    #[error("{address} is held by {holder}")]
    AddressTaken {
        /// The address.
        address: Ipv4Addr,
        /// Who holds it.
        holder: String,
    },
    /// No room.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// Others were faster, again and again.
    #[error("other allocations kept taking the same addresses")]
    Contended,
}
