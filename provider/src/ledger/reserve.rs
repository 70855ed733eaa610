//! PURE: how N addresses in a row are reserved by requests that each are atomic only for one address.
//!
//! A [`Reservation`] says what to ask next and is told the answer; whoever drives it decides nothing, so
//! that every interleaving of several allocators, lost replies and sudden deaths can be played in a test.
//! Why no address is ever given twice: rows are made only where none is; they are removed only by a
//! delete that names the content it was decided on; and a lease counts only after all of its rows were
//! seen together under one transaction. Rows are made ascending, so of two overlapping runs only the
//! lower one can be stopped midway, and nobody waits in a circle.

mod dialogue;

use std::net::Ipv4Addr;

use kubesmith_spec::{AddressRange, LeaseName, OwnerName, Transaction};

use super::pool::Pool;
use super::rows::{Claim, Rows};
use crate::ip_lease::allocate::allocate;

pub(crate) use self::dialogue::{Answer, Ask, Next, Refused};

/// How often to stand back for others before giving up.
const PATIENCE: u32 = 40;

/// The lease that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Its name, unique in the pool.
    pub(crate) lease: LeaseName,
    /// Who it is for.
    pub(crate) owner: OwnerName,
    /// How many addresses.
    pub(crate) count: u32,
}

/// One attempt after another to get a lease.
pub(crate) struct Reservation {
    pool: Pool,
    wanted: Wanted,
    transaction: Transaction,
    state: State,
    /// Addresses whose VMID turned out to exist.
    busy: Vec<AddressRange>,
    /// Incomplete leases that stay, because machines stand on them.
    inhabited: Vec<Transaction>,
    patience: u32,
}

enum State {
    /// Nothing is held.
    Looking,
    /// A free run was found; are its VMIDs free too?
    Probing { run: AddressRange, rows: Rows, now: u64 },
    /// An old incomplete lease is in the way; do machines stand on it?
    ProbingOld { claim: Claim, rows: Rows, now: u64 },
    /// Rows are being made, or their sum is being checked.
    Posting { intent: Claim, adopted: bool },
    /// Rows of a transaction are being removed.
    Clearing { transaction: Transaction, ours: bool },
}

impl Reservation {
    /// A new lease, or the same owner's lease of that name if a run that was killed has left one.
    pub(crate) fn new(pool: Pool, wanted: Wanted, transaction: Transaction) -> Self {
        let state = State::Looking;
        Self {
            pool,
            wanted,
            transaction,
            state,
            busy: vec![],
            inhabited: vec![],
            patience: PATIENCE,
        }
    }

    /// Only puts back the missing rows of a lease that exists.
    pub(crate) fn repair(pool: Pool, lease: Claim) -> Self {
        let count = u32::try_from(lease.range.capacity()).unwrap_or(u32::MAX);
        let (name, owner) = (lease.lease.clone(), lease.owner.clone());
        let transaction = lease.transaction.clone();
        let mut repair = Self::new(pool, Wanted { lease: name, owner, count }, transaction);
        repair.state = State::Posting { intent: lease, adopted: true };
        repair
    }

    /// What to do after this answer.
    pub(crate) fn next(&mut self, answer: Answer) -> Next {
        match (std::mem::replace(&mut self.state, State::Looking), answer) {
            (State::Looking, Answer::Rows(rows, now)) => self.look(rows, now),
            (State::Probing { run, rows, now }, Answer::Taken(taken)) => {
                if taken.is_empty() {
                    return self.post_first(run, now);
                }
                self.busy.extend(taken.into_iter().filter_map(|a| AddressRange::new(a, a)));
                self.look(rows, now)
            }
            (State::ProbingOld { claim, rows, now }, Answer::Taken(taken)) => {
                self.judge_old(claim, !taken.is_empty(), rows, now)
            }
            (State::Posting { intent, adopted }, Answer::Created) => self.posted(intent, adopted),
            (State::Posting { intent, adopted }, Answer::Rows(rows, now)) => {
                self.check(intent, adopted, &rows, now)
            }
            (State::Posting { intent, adopted }, Answer::Unsure) => self.doubt(intent, adopted),
            (State::Clearing { transaction, ours }, Answer::Rows(rows, now)) => {
                self.clear(transaction, ours, rows, now)
            }
            (state, Answer::Rested(transaction)) => {
                self.transaction = transaction;
                self.ask(state, Ask::Read)
            }
            // Whatever happened, the set tells where we stand.
            (state, _) => self.ask(state, Ask::Read),
        }
    }

    fn ask(&mut self, state: State, ask: Ask) -> Next {
        self.state = state;
        Next::Ask(ask)
    }

    /// Nothing is held: decide by what the set shows.
    fn look(&mut self, rows: Rows, now: u64) -> Next {
        let named: Vec<_> =
            rows.claims().into_iter().filter(|claim| claim.lease == self.wanted.lease).collect();
        let (own, others): (Vec<_>, Vec<_>) =
            named.into_iter().partition(|claim| claim.owner == self.wanted.owner);

        if let Some(claim) = others.into_iter().find(|claim| !self.may_clear(claim, now)) {
            // Its maker may be about to yield to us: only a lease that stays is a reason to give up.
            let (lease, owner) = (claim.lease.clone(), claim.owner.clone());
            let refused = Refused::NameTaken { lease, owner };
            return if claim.is_complete() { Next::Done(Err(refused)) } else { self.rest(refused) };
        }
        if let Some(complete) = own.iter().find(|claim| claim.is_complete()) {
            let fits = complete.range.capacity() == u64::from(self.wanted.count);
            let found = complete.clone();
            return Next::Done(if fits {
                Ok(found)
            } else {
                Err(Refused::SizeDiffers(Box::new(found)))
            });
        }
        if let Some(begun) = own.into_iter().next() {
            return if begun.range.capacity() == u64::from(self.wanted.count) {
                self.check(begun, true, &rows, now)
            } else {
                self.probe_old(begun, rows, now)
            };
        }
        if let Some(dead) = rows
            .claims()
            .into_iter()
            .find(|claim| claim.lease == self.wanted.lease && self.may_clear(claim, now))
        {
            return self.probe_old(dead, rows, now);
        }
        let mut occupied = self.pool.reserved();
        occupied.extend(rows.occupied(now));
        occupied.extend(&self.busy);
        match allocate(self.pool.range, &occupied, self.wanted.count) {
            Ok(run) => self.ask(State::Probing { run, rows, now }, Ask::Probe(run)),
            Err(exhausted) => match rows.claims().into_iter().find(|c| self.may_clear(c, now)) {
                Some(dead) => self.probe_old(dead, rows, now),
                // Whoever is still at it may yet yield what it has.
                None if rows.claims().iter().any(|claim| !claim.is_complete()) => {
                    self.rest(exhausted.into())
                }
                None => Next::Done(Err(exhausted.into())),
            },
        }
    }

    /// Whether an incomplete lease may be swept away, as far as the set shows.
    fn may_clear(&self, claim: &Claim, now: u64) -> bool {
        claim.is_abandoned(now) && !self.inhabited.contains(&claim.transaction)
    }

    fn probe_old(&mut self, claim: Claim, rows: Rows, now: u64) -> Next {
        let range = claim.range;
        self.ask(State::ProbingOld { claim, rows, now }, Ask::Probe(range))
    }

    fn judge_old(&mut self, claim: Claim, machines: bool, rows: Rows, now: u64) -> Next {
        if !machines {
            let transaction = claim.transaction;
            return self.clear(transaction, false, rows, now);
        }
        if claim.owner == self.wanted.owner && claim.lease == self.wanted.lease {
            return Next::Done(Err(Refused::Inhabited { range: claim.range }));
        }
        self.inhabited.push(claim.transaction);
        self.look(rows, now)
    }

    /// The head of the run; who makes it has announced the whole run to everyone else.
    fn post_first(&mut self, run: AddressRange, now: u64) -> Next {
        let intent = Claim {
            lease: self.wanted.lease.clone(),
            owner: self.wanted.owner.clone(),
            transaction: self.transaction.clone(),
            range: run,
            time: now,
            held: Vec::new(),
        };
        self.post(intent, false)
    }

    fn posted(&mut self, mut intent: Claim, adopted: bool) -> Next {
        let made = intent.missing().into_iter().next();
        intent.held.extend(made);
        intent.held.sort();
        self.post(intent, adopted)
    }

    /// The lowest row that is missing; if none is, look whether that is true.
    fn post(&mut self, intent: Claim, adopted: bool) -> Next {
        let row = intent.missing().first().and_then(|address| intent.row(*address));
        self.ask(State::Posting { intent, adopted }, row.map_or(Ask::Read, Ask::Create))
    }

    /// The set was read while rows were being made.
    fn check(&mut self, intent: Claim, adopted: bool, rows: &Rows, now: u64) -> Next {
        let blocked = intent.range.addresses().find_map(|address| {
            rows.other_holder(address, &intent.transaction).map(|holder| (address, holder))
        });
        if let Some((address, holder)) = blocked {
            return if adopted {
                Next::Done(Err(Refused::AddressTaken { address, holder }))
            } else {
                self.ask_clear(intent.transaction)
            };
        }
        let namesake = rows
            .claims()
            .iter()
            .any(|claim| claim.lease == intent.lease && claim.transaction != intent.transaction);
        if namesake && !adopted {
            return self.ask_clear(intent.transaction);
        }
        let none = Claim { time: now, held: Vec::new(), ..intent };
        let intent = rows.claim(&none.transaction).unwrap_or(none);
        if intent.is_complete() { Next::Done(Ok(intent)) } else { self.post(intent, adopted) }
    }

    /// A row was refused, or its answer was lost. The set tells which, but not for ever.
    fn doubt(&mut self, intent: Claim, adopted: bool) -> Next {
        match self.patience.checked_sub(1) {
            Some(left) => {
                self.patience = left;
                self.ask(State::Posting { intent, adopted }, Ask::Read)
            }
            None if adopted => Next::Done(Err(Refused::Contended)),
            None => self.ask_clear(intent.transaction),
        }
    }

    fn ask_clear(&mut self, transaction: Transaction) -> Next {
        self.ask(State::Clearing { transaction, ours: true }, Ask::Read)
    }

    /// Removes what is left of a transaction, the head last; then looks again.
    fn clear(&mut self, transaction: Transaction, ours: bool, rows: Rows, now: u64) -> Next {
        match rows.claim(&transaction) {
            // Its maker was only slow, and has finished meanwhile.
            Some(claim) if claim.is_complete() && !ours => self.look(rows, now),
            Some(claim) => match claim.held.last() {
                Some(address) => {
                    let delete = Ask::Delete { address: *address, digest: rows.digest };
                    self.ask(State::Clearing { transaction, ours }, delete)
                }
                None => self.look(rows, now),
            },
            None if ours => self.rest(Refused::Contended),
            None => self.look(rows, now),
        }
    }

    /// Stands back, or gives up with this reason if that was done too often.
    fn rest(&mut self, reason: Refused) -> Next {
        if self.patience == 0 {
            return Next::Done(Err(reason));
        }
        self.patience -= 1;
        self.ask(State::Looking, Ask::Rest)
    }
}

/// What of a lease is to be removed next; `None` when nothing of it is left.
///
/// Besides the transaction itself these are incomplete rows under the same name and owner, which a
/// request that arrived late may have left.
pub(crate) fn next_release(
    rows: &Rows,
    lease: &LeaseName,
    owner: &OwnerName,
    transaction: &Transaction,
) -> Option<Ipv4Addr> {
    let claims = rows.claims();
    let leftover = claims.iter().find(|claim| {
        claim.lease == *lease
            && claim.owner == *owner
            && !claim.is_complete()
            && claim.transaction != *transaction
    });
    let own = claims.iter().find(|claim| claim.transaction == *transaction);
    leftover.or(own)?.held.last().copied()
}

#[cfg(test)]
mod tests;
