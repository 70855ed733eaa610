//! From an invitation to a password: nobody gets one that somebody else has chosen.

use jiff::SignedDuration;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::App;
use crate::error::{Error, Field, Result};
use crate::ids::PersonId;
use crate::people::passwords;
use crate::people::secrets::{self, Secret};
use crate::rights::Role;
use crate::store::is_taken;
use crate::store::links::{Link, Purpose};
use crate::text;
use crate::time::Time;

/// How long the first administrator's link, and a recovery's, is good.
pub const BOOTSTRAP: SignedDuration = SignedDuration::from_mins(30);

/// A person as an administrator wants them.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserWish)]
pub struct Wish {
    /// What they will sign in with.
    pub login: String,
    /// What they are called.
    pub name: String,
    /// Their role on the site.
    pub role: Role,
    /// Whether they may look at everything.
    #[serde(default)]
    pub auditor: bool,
}

/// A link that sets a password once. Whoever holds it becomes that person: it is shown once.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct OneTimeLink {
    /// The address to open in a browser.
    pub url: String,
    /// Until when it is good.
    #[schema(value_type = String)]
    pub expires_at: Time,
}

/// What the page behind a link asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// Only the first administrator chooses one.
    #[serde(default)]
    pub login: String,
    /// Likewise.
    #[serde(default)]
    pub name: String,
    /// The new password.
    pub password: Zeroizing<String>,
    /// The same again.
    pub again: Zeroizing<String>,
}

/// Adds a person, who then sets a password through the link.
pub async fn invite(app: &App, wish: &Wish) -> Result<(PersonId, OneTimeLink)> {
    let login = text::login("login", &wish.login);
    let name = text::line("name", &wish.name, 80);
    let (login, name) = both(login, name)?;
    let added = app.store.add_person(&login, &name, wish.role, wish.auditor).await;
    let person = added.map_err(|error| login_taken(error, &login))?;
    let link = link_for(app, &person).await?;
    Ok((person, link))
}

/// A new link for somebody; the ones before are void.
pub async fn link_for(app: &App, person: &PersonId) -> Result<OneTimeLink> {
    let found = app.store.person(person).await?;
    if found.disabled_at.is_some() {
        return Err(Error::conflict("disabled", "This account is disabled. Enable it first."));
    }
    make_link(app, Purpose::Password, Some(person), app.config.people.invitation).await
}

/// The link through which the first administrator comes in; `None` if somebody administers the site already.
pub async fn bootstrap(app: &App) -> Result<Option<OneTimeLink>> {
    if app.store.is_administered().await? {
        return Ok(None);
    }
    make_link(app, Purpose::Bootstrap, None, BOOTSTRAP).await.map(Some)
}

/// A link for an administrator who can't sign in any more; asked for on the host.
pub async fn recover(app: &App, login: &str) -> anyhow::Result<OneTimeLink> {
    let person = app.store.person_by_login(login).await?;
    let person = person.ok_or_else(|| anyhow::anyhow!("nobody has the login {login:?}"))?;
    if person.disabled_at.is_some() {
        app.store.set_disabled(&person.id, false).await?;
    }
    make_link(app, Purpose::Password, Some(&person.id), BOOTSTRAP)
        .await
        .map_err(|error| anyhow::anyhow!("{error}"))
}

async fn make_link(
    app: &App,
    purpose: Purpose,
    person: Option<&PersonId>,
    lifetime: SignedDuration,
) -> Result<OneTimeLink> {
    let secret = Secret::new();
    let expires_at = Time::now().plus(lifetime);
    app.store.add_link(&secret.hash(), purpose, person, expires_at).await?;
    Ok(OneTimeLink {
        url: app.config.address_of(&format!("/link/{}", secret.reveal())),
        expires_at,
    })
}

/// The link of a secret, or the sentence that tells how to get another.
pub async fn find_link(app: &App, secret: &str) -> Result<Link> {
    app.store.link(&secrets::hash(secret)).await?.ok_or_else(used_up)
}

/// Sets the password, and makes the first administrator if there is none. Returns who may sign in now.
pub async fn accept(app: &App, secret: &str, form: Acceptance) -> Result<PersonId> {
    let link = find_link(app, secret).await?;
    let Acceptance { login, name, password, again } = form;
    let mut wrong = Vec::new();
    let mut checked = (login, name);
    if let Some(person) = &link.person {
        checked.0 = app.store.person(person).await?.login;
    } else {
        checked.0 =
            text::login("login", &checked.0).unwrap_or_else(|field| note(&mut wrong, field));
        checked.1 =
            text::line("name", &checked.1, 80).unwrap_or_else(|field| note(&mut wrong, field));
    }
    let (login, name) = checked;
    if let Some(problem) = passwords::problem(&password, &login) {
        wrong.push(Field::new("password", problem));
    } else if *password != *again {
        wrong.push(Field::new("again", "This differs from the first one."));
    }
    if !wrong.is_empty() {
        return Err(Error::invalid(wrong));
    }
    let hash = app.passwords.hash(password).await?;
    if link.person.is_none() && app.store.person_by_login(&login).await?.is_some() {
        return Err(Error::invalid(vec![Field::new("login", "Somebody has this login already.")]));
    }
    if !app.store.use_link(&secrets::hash(secret)).await? {
        return Err(used_up());
    }
    let person = match link.person {
        Some(person) => person,
        None => app
            .store
            .add_person(&login, &name, Role::Admin, false)
            .await
            .map_err(|e| login_taken(e, &login))?,
    };
    app.store.set_password(&person, &hash, None).await?;
    app.attempts.succeeded(&login);
    Ok(person)
}

fn note(wrong: &mut Vec<Field>, field: Field) -> String {
    wrong.push(field);
    String::new()
}

/// Both, or what is wrong with each.
pub(crate) fn both<A, B>(a: Result<A, Field>, b: Result<B, Field>) -> Result<(A, B)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(Error::invalid([a.err(), b.err()].into_iter().flatten().collect())),
    }
}

fn login_taken(error: sqlx::Error, login: &str) -> Error {
    if is_taken(&error) {
        Error::invalid(vec![Field::new(
            "login",
            format!("Somebody has the login {login} already."),
        )])
    } else {
        error.into()
    }
}

fn used_up() -> Error {
    Error::new(
        http::StatusCode::GONE,
        "link_used",
        "This link was used already, or its time is over. Ask an administrator for another; \
         on the portal's host, `kubesmith-portal admin recover` makes one.",
    )
}
