//! `kubesmith_ip_pool`: a range of addresses that leases are taken from.
//!
//! The pool is a set in the ledger; its comment holds what a lease needs to know, so that a lease needs
//! only the pool's name. Making the first pool makes the ledger's machine as well.

pub(crate) mod lookup;
mod model;

use kubesmith_spec::PoolName;
use kubesmith_tfplugin::{Cx, Diag, Diags, Plan, Resource, Result};

use self::model::IpPool;
use crate::ledger::{Ledger, home};
use crate::provider::{Context, deadline};

/// The resource.
pub(crate) struct IpPools;

impl Resource for IpPools {
    type Model = IpPool;
    type Client = Context;

    async fn create(&self, cx: &Cx<Context>, mut plan: IpPool) -> Result<IpPool> {
        let (context, deadline) = (cx.client()?, deadline(cx));
        let pool = plan.pool()?;
        Ledger::open_or_create(context, &deadline).await?.create_pool(&pool).await?;
        plan.id = pool.name.to_string().into();
        cx.checkpoint(&plan);
        // Somebody who destroyed the last other pool at this moment has taken the machine along.
        Ledger::open(context, &deadline).await?.pool(&pool.name).await?;
        Ok(plan)
    }

    async fn read(&self, cx: &Cx<Context>, state: IpPool) -> Result<Option<IpPool>> {
        let (context, deadline) = (cx.client()?, deadline(cx));
        let Some(_) = home::find(context, &deadline).await? else {
            return Err(lost(context, &state.name).into());
        };
        let found = Ledger::open(context, &deadline).await?.find_pool(&state.name).await?;
        Ok(found.map(|pool| IpPool::of(&pool, state.excluded)))
    }

    async fn update(&self, cx: &Cx<Context>, _prior: IpPool, plan: IpPool) -> Result<IpPool> {
        let ledger = Ledger::open(cx.client()?, &deadline(cx)).await?;
        ledger.update_pool(&plan.pool()?).await?;
        Ok(plan)
    }

    async fn delete(&self, cx: &Cx<Context>, state: IpPool) -> Result<()> {
        let (context, deadline) = (cx.client()?, deadline(cx));
        match home::find(context, &deadline).await? {
            Some(_) => Ledger::open(context, &deadline).await?.delete_pool(&state.name).await,
            None => Ok(()),
        }
    }

    async fn import(&self, cx: &Cx<Context>, id: &str) -> Result<Option<IpPool>> {
        let name: PoolName = id.parse()?;
        let found = Ledger::open(cx.client()?, &deadline(cx)).await?.find_pool(&name).await?;
        Ok(found.map(|pool| IpPool::of(&pool, None)))
    }

    /// Which VMID belongs to which address must not change under existing machines: `first` and
    /// `first_vmid` move together or the pool is replaced, which its leases prevent.
    async fn plan(&self, cx: &Cx<Context>, plan: &mut Plan<IpPool>) -> Result<()> {
        if plan.is_destroy() || plan.is_create() {
            return Ok(());
        }
        let (Some(before), Some(after)) = (plan.prior(), plan.planned()) else { return Ok(()) };
        let base = |pool: &IpPool| i64::from(pool.first_vmid) - i64::from(pool.first.to_bits());
        if base(&before) != base(&after) {
            plan.replace(if before.first == after.first { "first_vmid" } else { "first" });
            return Ok(());
        }
        if let (Some(context), true, Ok(pool)) =
            (cx.configured_client(), plan.is_change(), after.pool())
        {
            let ledger = Ledger::open(context, &deadline(cx)).await?;
            let summary = format!("Unable to change address pool {}", pool.name);
            ledger.check_leases_inside(&summary, &pool).await?;
        }
        Ok(())
    }

    fn validate(&self, config: &IpPool, diags: &mut Diags) {
        if let Err(faults) = config.pool() {
            diags.extend(faults);
        }
    }
}

/// The ledger has vanished although this state has a pool in it.
fn lost(context: &Context, pool: &PoolName) -> Diag {
    let mut said = home::missing(context).into_iter();
    let detail = said.next().map(|diag| diag.detail).unwrap_or_default();
    Diag::error(format!("The address ledger with pool {pool} is missing")).detail(format!(
        "{detail}\n\nIf the pool is gone on purpose, with all its leases, take it out of the state \
         (terraform state rm)."
    ))
}
