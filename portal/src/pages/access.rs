//! Who and what may enter a cluster: kubeconfigs, grants, and why one may do what one may.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Field, Result};
use crate::extract::{Form, Path, Query};
use crate::gate::About;
use crate::ids::{ClusterId, KubeconfigId};
use crate::kube::service::{Desk, HandedOut, Wanted, handed_out};
use crate::kube::{NamespaceName, Power};
use crate::rights::{self, Action, Actor, Scope};
use crate::time::Time;
use crate::ui::{Ui, done};

/// Which namespace the form begins with.
#[derive(Debug, Default, Deserialize)]
pub struct Begin {
    namespace: Option<String>,
}

/// The form for a kubeconfig, as it was filled in.
#[derive(Debug, Deserialize, Serialize)]
pub struct Ask {
    namespace: String,
    power: Power,
    hours: String,
}

/// The form for one of the whole cluster.
#[derive(Debug, Deserialize, Serialize)]
pub struct AskAdmin {
    reason: String,
    hours: String,
}

/// What stands in the page's forms, and what is wrong with it.
#[derive(Default, Serialize)]
struct Forms {
    ask: Option<Ask>,
    admin: Option<AskAdmin>,
    problem: Option<crate::error::Problem>,
}

/// The page.
pub async fn show(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    Query(begin): Query<Begin>,
) -> Result<Response> {
    let ask = begin.namespace.map(|namespace| Ask {
        namespace,
        power: Power::Edit,
        hours: "8".to_owned(),
    });
    page(&app, &ui, &actor, &about, StatusCode::OK, Forms { ask, ..Forms::default() }).await
}

async fn page(
    app: &App,
    ui: &Ui,
    actor: &Actor,
    about: &About,
    status: StatusCode,
    forms: Forms,
) -> Result<Response> {
    let may = |action| rights::can(Some(actor), action, &about.scope).is_ok();
    let (namespaces, unreachable) = if may(Action::SeeNamespaces) {
        let listed = match Desk::of(app, actor, about) {
            Ok(desk) => desk.namespaces().await,
            Err(error) => Err(error),
        };
        match listed {
            Ok(list) => (list, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        }
    } else {
        (Vec::new(), None)
    };
    let now = Time::now();
    let kubeconfigs: Vec<Value> = handed_out(app, actor, &about.scope)
        .await?
        .into_iter()
        .map(|row| {
            let state = if row.revoked_at.is_some() {
                "revoked"
            } else if row.expires_at <= now {
                "expired"
            } else {
                "good"
            };
            json!({"row": row, "state": state, "mine": row.person == actor.person})
        })
        .collect();
    let problem = forms.problem.as_ref();
    let fields = problem.into_iter().flat_map(|problem| &problem.fields);
    let errors: BTreeMap<_, _> =
        fields.map(|field| (field.field.as_str(), field.detail.as_str())).collect();
    let with = json!({
        "cluster": about.target,
        "errors": errors,
        "problem": problem.filter(|problem| problem.fields.is_empty()).map(|problem| &problem.detail),
        "namespaces": namespaces,
        "unreachable": unreachable,
        "kubeconfigs": kubeconfigs,
        "forms": forms,
        "why": why(ui, &about.scope),
        "because": rights::because(actor, &about.scope),
        "why_no_namespace": ui.why_not(Action::ChangeNamespaces, &about.scope),
        "why_no_kubeconfig": ui.why_not(Action::IssueKubeconfig, &about.scope),
        "why_no_admin": ui.why_not(Action::IssueAdminKubeconfig, &about.scope),
    });
    ui.answer(status, "access.html", with)
}

/// Everything that can be done with a cluster, and why not where one may not.
fn why(ui: &Ui, scope: &Scope) -> Vec<Value> {
    [
        (Action::SeeCluster, "See the cluster, its runs and its HCL"),
        (Action::SeeNamespaces, "See your namespaces and the cluster's health"),
        (Action::ChangeNamespaces, "Make namespaces, and delete your own"),
        (Action::IssueKubeconfig, "Get a kubeconfig for a namespace"),
        (Action::ChangeCluster, "Scale it, plan and apply changes"),
        (Action::ShareCluster, "Let others use it"),
        (Action::IssueAdminKubeconfig, "Get a kubeconfig for the whole cluster"),
        (Action::ReadState, "Read its Terraform state"),
        (Action::DestroyCluster, "Destroy it"),
    ]
    .into_iter()
    .map(|(action, what)| json!({"what": what, "why_not": ui.why_not(action, scope)}))
    .collect()
}

fn hours(text: &str) -> Result<u32> {
    text.trim()
        .parse()
        .map_err(|_| Error::invalid(vec![Field::new("hours", "Give a whole number of hours.")]))
}

/// A kubeconfig for a namespace, shown this once.
pub async fn issue(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    note: Note,
    Form(form): Form<Ask>,
) -> Result<Response> {
    let made = async {
        let name = NamespaceName::parse(&form.namespace)
            .map_err(|error| Error::invalid(vec![Field::new("namespace", error.to_string())]))?;
        let hours = hours(&form.hours)?;
        note.detail(json!({"namespace": name, "power": form.power, "hours": hours}));
        Desk::of(&app, &actor, &about)?
            .issue(&Wanted::Namespace { name, power: form.power, hours })
            .await
    };
    match made.await {
        Ok(made) => first_minutes(&ui, &about, &made, Some(&form.namespace)),
        Err(error) => {
            refused(&app, &ui, &actor, &about, &error, |forms| forms.ask = Some(form)).await
        }
    }
}

/// A kubeconfig for the whole cluster, shown this once.
pub async fn issue_admin(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    note: Note,
    Form(form): Form<AskAdmin>,
) -> Result<Response> {
    let made = async {
        let hours = hours(&form.hours)?;
        note.detail(
            json!({"reason": form.reason.chars().take(200).collect::<String>(), "hours": hours}),
        );
        Desk::of(&app, &actor, &about)?
            .issue(&Wanted::Cluster { reason: form.reason.clone(), hours })
            .await
    };
    match made.await {
        Ok(made) => first_minutes(&ui, &about, &made, None),
        Err(error) => {
            refused(&app, &ui, &actor, &about, &error, |forms| forms.admin = Some(form)).await
        }
    }
}

async fn refused(
    app: &App,
    ui: &Ui,
    actor: &Actor,
    about: &About,
    error: &Error,
    fill: impl FnOnce(&mut Forms),
) -> Result<Response> {
    let mut forms = Forms { problem: Some(error.problem().clone()), ..Forms::default() };
    fill(&mut forms);
    page(app, ui, actor, about, error.problem().status, forms).await
}

/// The card that takes a person from the file to their first pod.
fn first_minutes(
    ui: &Ui,
    about: &About,
    made: &HandedOut,
    namespace: Option<&str>,
) -> Result<Response> {
    let issued = &made.issued;
    let with = json!({
        "cluster": about.target,
        "id": made.id,
        "context": issued.context,
        "file": format!("{}.kubeconfig", issued.context),
        "expires": Time::from(issued.expires),
        "namespace": namespace,
        "text": issued.text.as_str(),
        // A link that holds the file itself: it works without a script, and nothing is kept on the server for it.
        "data": format!("data:application/yaml;base64,{}", BASE64_STANDARD.encode(issued.text.as_bytes())),
    });
    let mut response = ui.page("kubeconfig.html", with)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response.into_response())
}

/// Takes a kubeconfig back.
pub async fn revoke(
    State(app): State<App>,
    Path((_, id)): Path<(ClusterId, KubeconfigId)>,
    actor: Actor,
    about: About,
    note: Note,
) -> Result<Response> {
    let row = Desk::of(&app, &actor, &about)?.revoke(&id).await?;
    note.detail(json!({"kubeconfig": id, "of": row.login, "namespace": row.namespace}));
    Ok(done(
        &format!("/clusters/{}/access", about.target.id),
        "The kubeconfig is taken back: the cluster refuses it from now on.",
    ))
}
