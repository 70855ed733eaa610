//! The clusters that one may see, and how they stand.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::cluster::standing::Standing;
use crate::error::Result;
use crate::extract::Query;
use crate::ids::{ClusterId, EnvironmentId, RunId};
use crate::quota::Amount;
use crate::rights::Actor;
use crate::store::clusters::Cluster;
use crate::store::runs::Last;
use crate::time::Time;
use crate::ui::Ui;

/// A list longer than this asks to be narrowed.
const SHOWN: usize = 200;

/// What narrows the list.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Filter {
    /// A part of the name, or somebody's login.
    q: String,
    /// An environment's id.
    environment: String,
}

/// A cluster as it stands in a list.
#[derive(Debug, Clone, Serialize)]
pub struct Card {
    /// Its id.
    pub id: ClusterId,
    name: String,
    /// Where it stands.
    pub environment: EnvironmentId,
    environment_name: String,
    creator: String,
    kubernetes_version: String,
    takes: Amount,
    protected: bool,
    created_at: Time,
    /// How it stands.
    pub standing: Standing,
    /// Its last run.
    pub run: Option<RunId>,
}

impl Card {
    fn of(cluster: Cluster, last: Option<&Last>) -> Self {
        let takes = Amount::wanted(&cluster.spec.wanted);
        let stands = last.is_some_and(|last| last.stands);
        Self {
            kubernetes_version: cluster.spec.wanted.kubernetes_version.to_string(),
            standing: Standing::of(last.map(|last| (last.kind, last.state)), stands),
            run: last.map(|last| last.run.clone()),
            takes,
            id: cluster.id,
            name: cluster.name,
            environment: cluster.environment,
            environment_name: cluster.environment_name,
            creator: cluster.creator,
            protected: cluster.protected,
            created_at: cluster.created_at,
        }
    }
}

/// All that the actor may see, newest first.
pub async fn cards(app: &App, actor: &Actor) -> Result<Vec<Card>> {
    let clusters = app.store.clusters_for(actor).await?;
    let last: HashMap<_, _> =
        app.store.last_runs().await?.into_iter().map(|last| (last.cluster.clone(), last)).collect();
    let card = |cluster: Cluster| {
        let last = last.get(&cluster.id);
        Card::of(cluster, last)
    };
    Ok(clusters.into_iter().map(card).collect())
}

/// The page.
pub async fn show(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    let all = cards(&app, &actor).await?;
    let any = !all.is_empty();
    let mut found: Vec<_> = all.into_iter().filter(|card| matches(card, &filter)).collect();
    let count = found.len();
    found.truncate(SHOWN);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("q", &filter.q), ("environment", &filter.environment)])
        .finish();
    let with = json!({
        "here": format!("/clusters?{query}"),
        "any": any,
        "count": count,
        "moves": found.iter().any(|card| card.standing.moves),
        "clusters": found,
        "environments": app.store.environments_for(&actor).await?,
        "filter": filter,
    });
    ui.page("clusters/list.html", with)
}

fn matches(card: &Card, filter: &Filter) -> bool {
    let q = filter.q.trim().to_lowercase();
    (q.is_empty() || card.name.contains(&q) || card.creator == q)
        && (filter.environment.is_empty() || card.environment.as_str() == filter.environment)
}
