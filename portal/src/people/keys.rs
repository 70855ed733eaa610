//! API keys: shown once, narrower than their owner, never for ever.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::error::{Error, Field, Result};
use crate::gate;
use crate::ids::ClusterId;
use crate::people::secrets::ApiKey;
use crate::rights::{Action, Actor, KeyScope, can};
use crate::store::keys::NewKey;
use crate::text;
use crate::time::Time;

/// A key as its owner wants it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyWish)]
pub struct Wish {
    /// What its owner calls it.
    pub label: String,
    /// What it shall be good for; at least one.
    pub scopes: Vec<KeyScope>,
    /// For how many days; the site's default if not given.
    pub days: Option<u32>,
    /// The only cluster it shall be good for.
    #[schema(value_type = Option<String>)]
    pub cluster: Option<ClusterId>,
}

/// A key that was made. This is the one time that it is shown.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = KeyMade)]
pub struct Made {
    /// The public part, to revoke it by.
    pub id: String,
    /// The whole key.
    pub key: String,
    /// When it ends.
    #[schema(value_type = String)]
    pub expires_at: Time,
}

/// Makes a key for the actor.
pub async fn make(app: &App, actor: &Actor, wish: &Wish) -> Result<Made> {
    let Wish { label, scopes, days, cluster } = wish;
    let people = &app.config.people;
    let days = days.unwrap_or(people.key_days);
    let mut wrong = Vec::new();
    let label = text::line("label", label, 60).map_err(|field| wrong.push(field));
    if scopes.is_empty() {
        wrong.push(Field::new(
            "scopes",
            "Choose at least one: a key without a scope is good for nothing.",
        ));
    }
    if days == 0 || days > people.key_days_max {
        wrong.push(Field::new("days", format!("Choose from 1 to {} days.", people.key_days_max)));
    }
    if let Some(cluster) = cluster {
        let seen = gate::on_cluster(app, actor, cluster).await;
        if !seen.is_ok_and(|about| can(Some(actor), Action::SeeCluster, &about.scope).is_ok()) {
            wrong.push(Field::new("cluster", "There is no such cluster, or you may not see it."));
        }
    }
    let (Ok(label), true) = (label, wrong.is_empty()) else { return Err(Error::invalid(wrong)) };
    let mut scopes = scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let scopes = scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
    let key = ApiKey::new();
    let expires_at = Time::now().plus(SignedDuration::from_hours(24 * i64::from(days)));
    let new = NewKey {
        id: &key.id,
        hash: &key.secret.hash(),
        owner: &actor.person,
        label: &label,
        scopes: &scopes,
        cluster: cluster.as_ref(),
        expires_at,
    };
    app.store.add_key(new).await?;
    let shown = key.reveal();
    Ok(Made { id: key.id, key: shown.to_string(), expires_at })
}
