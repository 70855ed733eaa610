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
use crate::store::clusters::{Brief, Cluster, Search};
use crate::time::Time;
use crate::ui::Ui;

/// A list longer than this asks to be narrowed.
const SHOWN: usize = 100;

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
    fn of(cluster: Cluster, brief: &Brief) -> Self {
        Self {
            kubernetes_version: cluster.spec.wanted.kubernetes_version.to_string(),
            standing: standing(brief),
            run: brief.run.clone(),
            takes: Amount::wanted(&cluster.spec.wanted),
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

/// How a cluster stands.
pub fn standing(brief: &Brief) -> Standing {
    Standing::of(brief.kind.zip(brief.state), brief.stands)
}

/// These clusters, in this order.
pub async fn cards(app: &App, briefs: &[Brief]) -> Result<Vec<Card>> {
    let clusters = app.store.clusters(briefs.iter().map(|brief| &brief.id)).await?;
    let mut clusters: HashMap<_, _> =
        clusters.into_iter().map(|cluster| (cluster.id.clone(), cluster)).collect();
    let card = |brief: &Brief| Some(Card::of(clusters.remove(&brief.id)?, brief));
    Ok(briefs.iter().filter_map(card).collect())
}

/// The page.
pub async fn show(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    let text = filter.q.trim().to_lowercase();
    let search = Search { text: &text, environment: &filter.environment, ..Search::default() };
    let (found, count) = app.store.newest_for(&actor, search, SHOWN).await?;
    let narrowed = !(text.is_empty() && filter.environment.is_empty());
    let shown = cards(&app, &found).await?;
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("q", &filter.q), ("environment", &filter.environment)])
        .finish();
    let environments = app.store.environments_for(&actor).await?;
    let environments: Vec<_> =
        environments.iter().map(|one| json!({ "id": one.id, "title": one.title })).collect();
    let with = json!({
        "here": format!("/clusters?{query}"),
        "any": count > 0 || narrowed,
        "count": count,
        "moves": shown.iter().any(|card| card.standing.moves),
        "clusters": shown,
        "environments": environments,
        "filter": filter,
    });
    ui.page("clusters/list.html", with)
}
