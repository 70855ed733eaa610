//! What every request passes before its handler: who asks, about what, may they; and the row in the audit log.
//!
//! A handler is never reached by somebody who may not do what its route stands for. It finds the actor and the scope in the
//! request's extensions; its errors are made into a page or a problem document on the way back.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use crate::audit::{self, Note};
use crate::error::{Error, Result};
use crate::ids::{ClusterId, EnvironmentId, RunId};
use crate::people::proof;
use crate::rights::{Action, Actor, Scope, WhyNot, can};
use crate::store::audit::Target;
use crate::store::environments::Environment;
use crate::store::grants::Standing;
use crate::{App, answer, metrics};

/// What a part of a path that is a secret itself is called in the table of routes.
const SECRET: &str = "secret";

/// Whoever watches the portal is answered also when it is full.
const WATCHED: [&str; 2] = ["/healthz", "/readyz"];

/// A request's number: in the log, the audit log and the answer.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Where a request came from, past the proxies that are believed.
#[derive(Debug, Clone)]
pub struct From(pub String);

/// Marks an answer that may hold a secret, or is about one: a link and the page behind it, a key, a kubeconfig, a state. It is
/// never compressed: its length would tell of the secret to whoever can choose what stands beside it (BREACH).
#[derive(Debug, Clone, Copy)]
pub struct Confidential;

/// What a request is about, as the gate found it.
#[derive(Debug, Clone)]
pub struct About {
    /// What is known of the actor's standing.
    pub scope: Scope,
    /// For the audit log.
    pub target: Target,
}

/// Stands before every handler. The route's action comes with the state.
///
/// What was begun is done to its end also when its client hangs up: nothing is left half made, and its row in the audit log
/// gets its result. That long it keeps its place; what of an answer is sent later, as a stream, takes none.
pub async fn pass(
    State((app, route, action)): State<(App, &'static str, Action)>,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let place = if WATCHED.contains(&route) {
        None
    } else {
        match app.places.enter() {
            Ok(place) => Some(place),
            Err(full) => {
                metrics::answered(request.method(), route, full.problem().status.as_u16());
                return full.into_response();
            }
        }
    };
    let served = serve(app.clone(), route, action, params, request, next);
    let serving = app.requests.spawn(async move {
        let response = served.await;
        drop(place);
        response
    });
    match serving.await {
        Ok(response) => response,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(ended) => Error::internal(ended).into_response(),
        },
    }
}

async fn serve(
    app: App,
    route: &'static str,
    action: Action,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let (method, begun) = (request.method().clone(), Instant::now());
    let id = RequestId(ulid::Ulid::generate().to_string());
    let from = From(address(&app, &request));
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(from.clone());
    let asked = answer::Asked::of(&request);
    let actor = match proof::actor(&app, request.headers()).await {
        Ok(actor) => actor.map(Arc::new),
        Err(error) => return answer::finish(&app, &asked, None, &id, error.into_response()),
    };
    if let Some(actor) = &actor {
        request.extensions_mut().insert(Arc::clone(actor));
    }
    let response = admit(&app, action, &params, actor.as_deref(), request, &id, &from, next).await;
    let (status, took) = (response.status().as_u16(), begun.elapsed());
    let who = actor.as_deref().map(|actor| actor.login.as_str());
    // The route and never the path: a link's secret stands in it.
    tracing::info!(request = id.0, %method, route, status, ms = took.as_millis(), who, from = from.0, "served");
    metrics::served(&method, route, status, took);
    let mut response = answer::finish(&app, &asked, actor.clone(), &id, response);
    let names_secret = params.iter().any(|(name, _)| name == SECRET);
    if !method.is_safe() || names_secret || action == Action::ReadState {
        response.extensions_mut().insert(Confidential);
    }
    response
}

#[expect(clippy::too_many_arguments, reason = "the one caller stands above")]
async fn admit(
    app: &App,
    action: Action,
    params: &RawPathParams,
    actor: Option<&Actor>,
    mut request: Request,
    id: &RequestId,
    from: &From,
    next: Next,
) -> Response {
    let about = about(app, actor, params).await;
    let target = about.as_ref().map_or_else(|_| named(params), |about| about.target.clone());
    let allowed = about.and_then(|about| {
        can(actor, action, &about.scope)?;
        Ok(about)
    });
    let trace = audit::Trace::new(app, action, request.method(), actor, target, &id.0, &from.0);
    match allowed {
        Err(error) => trace.refused(error).await,
        Ok(about) => {
            let note = Note::default();
            request.extensions_mut().insert(about);
            request.extensions_mut().insert(note.clone());
            let response = trace.around(note, next.run(request)).await;
            if matches!(action, Action::ShareCluster | Action::ChangeMembers | Action::ChangePeople)
            {
                app.kube.rights_changed();
            }
            response
        }
    }
}

/// Finds what the path names, and where the actor stands with it.
async fn about(app: &App, actor: Option<&Actor>, params: &RawPathParams) -> Result<About> {
    let site = || About { scope: Scope::Site, target: named(params) };
    let Some(actor) = actor else { return Ok(site()) };
    for (name, value) in params {
        let found = match name {
            "cluster" => {
                on_cluster(app, actor, &value.parse().map_err(|_| Error::not_found())?).await
            }
            "run" => on_run(app, actor, &value.parse().map_err(|_| Error::not_found())?).await,
            "environment" => {
                in_environment(app, actor, &value.parse().map_err(|_| Error::not_found())?).await
            }
            _ => continue,
        };
        return found;
    }
    Ok(site())
}

/// Where the actor stands with a cluster.
pub async fn on_cluster(app: &App, actor: &Actor, id: &ClusterId) -> Result<About> {
    let standing = app.store.standing(id, &actor.person).await?;
    Ok(standing.ok_or(WhyNot::NotVisible)?.into())
}

/// Where the actor stands with the cluster of a run.
pub async fn on_run(app: &App, actor: &Actor, id: &RunId) -> Result<About> {
    let standing = app.store.standing_by_run(id, &actor.person).await?;
    Ok(standing.ok_or(WhyNot::NotVisible)?.into())
}

/// Where the actor stands in an environment.
pub async fn in_environment(app: &App, actor: &Actor, id: &EnvironmentId) -> Result<About> {
    let (name, member) =
        app.store.membership(id, &actor.person).await?.ok_or(WhyNot::NotVisible)?;
    let target = Target { kind: "environment".to_owned(), id: id.to_string(), name };
    Ok(About { scope: Scope::Environment { id: id.clone(), member }, target })
}

/// The same for several.
pub async fn in_environments<'a>(
    app: &App,
    actor: &Actor,
    environments: &'a [Environment],
) -> Result<Vec<(&'a Environment, Scope)>> {
    let member = app.store.memberships_of(&actor.person).await?;
    let member: HashMap<_, _> = member.into_iter().map(|(id, _, role)| (id, role)).collect();
    let place = |environment: &'a Environment| {
        let (id, member) = (environment.id.clone(), member.get(&environment.id).copied());
        (environment, Scope::Environment { id, member })
    };
    Ok(environments.iter().map(place).collect())
}

/// Asks again, for a stream that is still open: has the session ended, was a grant taken back?
pub async fn still(app: &App, actor: &Actor, action: Action, scope: &Scope) -> Result<()> {
    let actor = proof::again(app, actor).await?.ok_or(WhyNot::NotSignedIn)?;
    let scope = match scope {
        Scope::Site => Scope::Site,
        Scope::Environment { id, .. } => in_environment(app, &actor, id).await?.scope,
        Scope::Cluster { id, .. } => on_cluster(app, &actor, id).await?.scope,
    };
    Ok(can(Some(&actor), action, &scope)?)
}

impl std::convert::From<Standing> for About {
    fn from(standing: Standing) -> Self {
        let Standing { id, name, environment, member, level } = standing;
        let target = Target { kind: "cluster".to_owned(), id: id.to_string(), name };
        Self { scope: Scope::Cluster { id, environment, member, grant: level }, target }
    }
}

/// The first thing that the path names, for the audit log. A secret in a path is named by its place only.
fn named(params: &RawPathParams) -> Target {
    let first = params.iter().find(|(name, _)| *name != SECRET);
    first.map_or_else(Target::default, |(name, value)| Target {
        kind: name.to_owned(),
        id: value.chars().take(64).collect(),
        name: String::new(),
    })
}

/// The peer, or whom a believed proxy names: the last entry that is no such proxy itself.
fn address(app: &App, request: &Request) -> String {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else {
        return String::new();
    };
    let believed = |address: &IpAddr| app.config.trusted_proxies.contains(address);
    let mut address = peer.ip().to_canonical();
    if believed(&address) {
        let forwarded = request
            .headers()
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok());
        let hops: Vec<_> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
        for hop in hops.into_iter().rev() {
            let Ok(hop) = hop.parse::<IpAddr>() else { break };
            address = hop;
            if !believed(&hop) {
                break;
            }
        }
    }
    address.to_string()
}

/// For handlers: the actor, who is there on every route that is not open to anyone.
impl FromRequestParts<App> for Actor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let actor = parts.extensions.get::<Arc<Self>>().ok_or(WhyNot::NotSignedIn)?;
        Ok(Self::clone(actor))
    }
}

macro_rules! from_extensions {
    ($($name:ty),*) => {$(
        impl FromRequestParts<App> for $name {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
                parts.extensions.get::<Self>().cloned().ok_or_else(|| Error::internal("outside of the gate"))
            }
        }
    )*};
}

from_extensions!(RequestId, From, About, Note);
