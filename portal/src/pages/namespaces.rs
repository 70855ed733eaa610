//! A cluster's namespaces: what there is, a new one, and away with one.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Field, Result};
use crate::extract::{Form, Path};
use crate::gate::About;
use crate::ids::ClusterId;
use crate::kube::service::Desk;
use crate::kube::{Limits, NamespaceName};
use crate::rights::{Action, Actor};
use crate::ui::{Ui, done, errors};

/// The form for a new namespace, as it was filled in.
#[derive(Debug, Deserialize, Serialize)]
pub struct New {
    name: String,
    cores: String,
    memory_gib: String,
    pods: String,
    storage_gib: String,
}

impl New {
    /// An empty form: a name that is easy to have, and the usual limits.
    fn suggested(actor: &Actor) -> Self {
        let name: String = actor
            .login
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(40)
            .collect();
        let name = name.trim_matches('-');
        let Limits { cores, memory_gib, pods, storage_gib } = Limits::default();
        Self {
            name: if NamespaceName::parse(name).is_ok() { name.to_owned() } else { String::new() },
            cores: cores.to_string(),
            memory_gib: memory_gib.to_string(),
            pods: pods.to_string(),
            storage_gib: storage_gib.to_string(),
        }
    }

    fn parse(&self) -> Result<(NamespaceName, Limits), Vec<Field>> {
        let mut fields = Vec::new();
        let name = NamespaceName::parse(self.name.trim())
            .map_err(|error| fields.push(Field::new("name", error.to_string())));
        let mut number = |field: &str, text: &str| {
            text.trim().parse().unwrap_or_else(|_| {
                fields.push(Field::new(field, "Give a whole number."));
                1
            })
        };
        let limits = Limits {
            cores: number("cores", &self.cores),
            memory_gib: number("memory_gib", &self.memory_gib),
            pods: number("pods", &self.pods),
            storage_gib: number("storage_gib", &self.storage_gib),
        };
        fields
            .extend(limits.problems().into_iter().map(|(field, detail)| Field::new(field, detail)));
        match name {
            Ok(name) if fields.is_empty() => Ok((name, limits)),
            _ => Err(fields),
        }
    }
}

/// The page.
pub async fn show(State(app): State<App>, ui: Ui, actor: Actor, about: About) -> Result<Response> {
    let form = New::suggested(&actor);
    page(&app, &ui, &actor, &about, &form, None).await
}

async fn page(
    app: &App,
    ui: &Ui,
    actor: &Actor,
    about: &About,
    form: &New,
    refused: Option<&Error>,
) -> Result<Response> {
    let listed = match Desk::of(app, actor, about) {
        Ok(desk) => desk.namespaces().await,
        Err(error) => Err(error),
    };
    let (namespaces, unreachable) = match listed {
        Ok(namespaces) => (namespaces, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let with = json!({
        "cluster": about.target,
        "namespaces": namespaces,
        "unreachable": unreachable,
        "form": form,
        "errors": refused.map(errors).unwrap_or_default(),
        "problem": refused.filter(|error| error.fields().is_empty()).map(Error::to_string),
        "why_not": ui.why_not(Action::ChangeNamespaces, &about.scope),
    });
    let status = refused.map_or(StatusCode::OK, |error| error.problem().status);
    ui.answer(status, "namespaces.html", with)
}

/// Makes one.
pub async fn create(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    note: Note,
    Form(form): Form<New>,
) -> Result<Response> {
    let made = async {
        let (name, limits) = form.parse().map_err(Error::invalid)?;
        note.detail(json!({"namespace": name, "limits": limits}));
        Desk::of(&app, &actor, &about)?.create(&name, limits).await?;
        Ok::<_, Error>(name)
    };
    match made.await {
        Ok(name) => Ok(done(
            &format!("/clusters/{}/access?namespace={name}", about.target.id),
            &format!("The namespace {name} is made. Now get a kubeconfig for it."),
        )),
        Err(error) => page(&app, &ui, &actor, &about, &form, Some(&error)).await,
    }
}

/// The name, typed once more.
#[derive(Debug, Deserialize)]
pub struct Confirm {
    confirm: String,
}

/// Asks for the name once more.
pub async fn ask(
    State(app): State<App>,
    Path((_, name)): Path<(ClusterId, NamespaceName)>,
    ui: Ui,
    actor: Actor,
    about: About,
) -> Result<Response> {
    let namespace = Desk::of(&app, &actor, &about)?.namespace(&name).await?;
    ui.page(
        "namespace_delete.html",
        json!({"cluster": about.target, "namespace": namespace, "errors": {}}),
    )
}

/// Deletes one.
pub async fn delete(
    State(app): State<App>,
    Path((_, name)): Path<(ClusterId, NamespaceName)>,
    ui: Ui,
    actor: Actor,
    about: About,
    note: Note,
    Form(form): Form<Confirm>,
) -> Result<Response> {
    note.detail(json!({"namespace": name}));
    let desk = Desk::of(&app, &actor, &about)?;
    if form.confirm.trim() != name.as_str() {
        let namespace = desk.namespace(&name).await?;
        let error =
            Error::invalid(vec![Field::new("confirm", format!("Type {name} to delete it."))]);
        let with =
            json!({"cluster": about.target, "namespace": namespace, "errors": errors(&error)});
        return ui.answer(StatusCode::UNPROCESSABLE_ENTITY, "namespace_delete.html", with);
    }
    desk.delete(&name).await?;
    Ok(done(
        &format!("/clusters/{}/namespaces", about.target.id),
        &format!("The namespace {name} is being deleted, with everything in it."),
    ))
}
