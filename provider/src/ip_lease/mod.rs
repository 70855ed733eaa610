//! `kubesmith_ip_lease`: addresses in a row, taken from a pool.
//!
//! What a lease means and how it is reserved is in `ledger`; here Terraform's five verbs are mapped to
//! it. A lease of the same owner that a killed run has left behind is taken up again by create.

pub(crate) mod allocate;
mod model;
mod release;

use kubesmith_spec::{AddressRange, LeaseName, PoolName};
use kubesmith_tfplugin::{Cx, Diag, Plan, Resource, Result};

use self::model::IpLease;
use crate::ledger::reserve::Wanted;
use crate::ledger::rows::Claim;
use crate::ledger::{Ledger, home};
use crate::provider::{Context, deadline};

/// The resource.
pub(crate) struct IpLeases;

impl Resource for IpLeases {
    type Model = IpLease;
    type Client = Context;

    async fn create(&self, cx: &Cx<Context>, plan: IpLease) -> Result<IpLease> {
        let context = cx.client()?;
        let owner = context.owner()?.clone();
        take_in_hand(context, &plan)?;

        let ledger = Ledger::open(context, &deadline(cx)).await?;
        let pool = ledger.pool(&plan.pool).await?;
        let wanted = Wanted { lease: (*plan.name).clone(), owner, count: plan.size };
        let claim = ledger.reserve(&pool, wanted).await?;
        Ok(IpLease::of(&pool, &claim))
    }

    async fn read(&self, cx: &Cx<Context>, state: IpLease) -> Result<Option<IpLease>> {
        let context = cx.client()?;
        context.hold(&id(&state.pool, &state.name));
        let Some(transaction) = state.known_transaction() else { return Ok(None) };

        let ledger = Ledger::open(context, &deadline(cx)).await?;
        let pool = ledger.pool(&state.pool).await?;
        let (rows, _) = ledger.recent_rows(&pool.name).await?;
        Ok(rows.claim(&transaction).map(|claim| IpLease::of(&pool, &claim)))
    }

    async fn update(&self, cx: &Cx<Context>, prior: IpLease, _plan: IpLease) -> Result<IpLease> {
        let context = cx.client()?;
        let ledger = Ledger::open(context, &deadline(cx)).await?;
        let pool = ledger.pool(&prior.pool).await?;
        let claim = ledger.repair(&pool, known_claim(context, &prior)?).await?;
        Ok(IpLease::of(&pool, &claim))
    }

    async fn delete(&self, cx: &Cx<Context>, state: IpLease) -> Result<()> {
        let context = cx.client()?;
        if state.known_transaction().is_some() {
            release::release(cx, &state, known_claim(context, &state)?).await?;
        }
        context.let_go(&id(&state.pool, &state.name));
        Ok(())
    }

    async fn import(&self, cx: &Cx<Context>, given: &str) -> Result<Option<IpLease>> {
        let context = cx.client()?;
        let owner = context.owner()?;
        let (pool, lease) = parse_id(given)?;
        let ledger = Ledger::open(context, &deadline(cx)).await?;
        let pool = ledger.pool(&pool).await?;
        let (rows, _) = ledger.rows(&pool.name).await?;
        let claims = rows.claims().into_iter().filter(|claim| claim.lease == lease);
        let Some(claim) = claims.max_by_key(Claim::is_complete) else { return Ok(None) };
        if claim.owner != *owner {
            return Err(Diag::error(format!("Unable to import lease {given}"))
                .detail(format!(
                    "It belongs to owner {}, but this provider acts for owner {owner}. One owner is one \
                     Terraform state: import it where that owner's state is, or, if that state is lost and \
                     this one takes its place, set the provider's owner to {}.",
                    claim.owner, claim.owner
                ))
                .into());
        }
        Ok(Some(IpLease::of(&pool, &claim)))
    }

    /// Missing entries are put back in place: that, and nothing else, is a change of a lease.
    async fn plan(&self, cx: &Cx<Context>, plan: &mut Plan<IpLease>) -> Result<()> {
        if !plan.is_destroy() {
            plan.set("missing", Vec::<std::net::Ipv4Addr>::new());
        }
        if plan.is_create()
            && let Some(warning) = foresee(cx, plan).await?
        {
            plan.diag(warning);
        }
        Ok(())
    }
}

/// What can be said beforehand about a lease that is to be made. Nothing if its pool is yet to be made
/// too, or if the lease of that name is one that this run replaces.
async fn foresee(cx: &Cx<Context>, plan: &Plan<IpLease>) -> Result<Option<Diag>> {
    let (Some(context), Some(planned)) = (cx.configured_client(), plan.planned()) else {
        return Ok(None);
    };
    if context.holds(&id(&planned.pool, &planned.name))
        || home::find(context, &deadline(cx)).await?.is_none()
    {
        return Ok(None);
    }
    let ledger = Ledger::open(context, &deadline(cx)).await?;
    let Some(pool) = ledger.find_pool(&planned.pool).await? else { return Ok(None) };
    let owner = context.owner()?.clone();
    ledger
        .foresee(&pool, Wanted { lease: (*planned.name).clone(), owner, count: planned.size })
        .await
}

/// Two resources of one configuration must not take up the same lease.
fn take_in_hand(context: &Context, plan: &IpLease) -> Result<()> {
    let id = id(&plan.pool, &plan.name);
    if context.hold(&id) {
        return Ok(());
    }
    Err(Diag::error(format!("Unable to create lease {id}"))
        .detail("Another resource of this configuration manages a lease of that name in that pool. Give each its own name.")
        .at("name")
        .into())
}

fn id(pool: &PoolName, lease: &LeaseName) -> String {
    format!("{pool}/{lease}")
}

fn parse_id(given: &str) -> Result<(PoolName, LeaseName)> {
    let parsed = given
        .split_once('/')
        .and_then(|(pool, lease)| Some((pool.parse().ok()?, lease.parse().ok()?)));
    parsed.ok_or_else(|| {
        Diag::error("Unable to import a lease")
            .detail(format!(
                "{given:?} is not the id of a lease: write <pool>/<lease>, for instance lab/demo."
            ))
            .into()
    })
}

/// The lease that the state describes, as if all its rows were there.
fn known_claim(context: &Context, state: &IpLease) -> Result<Claim> {
    let addresses = state.addresses.known()?;
    let range = addresses
        .first()
        .zip(addresses.last())
        .and_then(|(first, last)| AddressRange::new(*first, *last));
    let damaged = || {
        Diag::error("Unable to read the lease's state")
            .detail("It has no addresses or no transaction.")
    };
    Ok(Claim {
        lease: (*state.name).clone(),
        owner: context.owner()?.clone(),
        transaction: state.known_transaction().ok_or_else(damaged)?,
        range: range.ok_or_else(damaged)?,
        time: 0,
        held: Vec::new(),
    })
}
