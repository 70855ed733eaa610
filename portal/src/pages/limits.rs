//! How much may be held, by everybody, by an environment, by a person; and how full it is.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::audit::Note;
use crate::error::{Error, Field, Result};
use crate::extract::Form;
use crate::quota::{self, Gauge, Limit, Scope};
use crate::rights::Actor;
use crate::store::quotas::Holder;
use crate::ui::{Ui, done, errors};

/// A quota as bars. What is not limited has none.
#[derive(Debug, Clone, Serialize)]
pub struct Meters {
    /// Whose it is.
    title: &'static str,
    rows: Vec<Meter>,
}

/// One bar.
#[derive(Debug, Clone, Serialize)]
struct Meter {
    what: &'static str,
    held: u64,
    after: u64,
    limit: u64,
    /// "3 of 10", "12 of 40 GiB".
    words: String,
    /// "6 of 10", if that is another number.
    words_after: Option<String>,
    exceeded: bool,
}

/// Quotas as bars; those without a limit are left out.
pub fn meters(gauges: &[Gauge]) -> Vec<Meters> {
    let with_limits = gauges.iter().map(|gauge| Meters {
        title: match gauge.scope {
            Scope::Person => "Yours",
            Scope::Environment => "This environment",
            Scope::Site => "Everybody together",
        },
        rows: gauge.rows().iter().map(meter).collect(),
    });
    with_limits.filter(|meters| !meters.rows.is_empty()).collect()
}

fn meter(row: &quota::Row) -> Meter {
    let quota::Row { what, held, after, limit, exceeded } = *row;
    let (what, unit) = match what {
        "MiB of memory" => ("memory", Unit::Mib),
        "GiB of disk" => ("disk", Unit::Gib),
        other => (other, Unit::None),
    };
    let words = |count: u64| match unit {
        Unit::None => format!("{count} of {limit}"),
        Unit::Gib => format!("{count} of {limit} GiB"),
        Unit::Mib => format!("{} of {} GiB", gib(count), gib(limit)),
    };
    Meter {
        what,
        held,
        after,
        limit,
        words: words(held),
        words_after: (after != held).then(|| words(after)),
        exceeded,
    }
}

#[derive(Clone, Copy)]
enum Unit {
    None,
    Mib,
    Gib,
}

/// Mebibytes in gibibytes, with a digit behind the point if it is needed.
fn gib(mebibytes: u64) -> String {
    let (whole, rest) = (mebibytes / 1024, mebibytes % 1024);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{}", rest * 10 / 1024) }
}

/// What the form sends. An empty number is no limit.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Wish {
    /// `site`, `person` or `environment`.
    scope: String,
    /// A login, or an environment's name; empty for everybody who has nothing of their own.
    of: String,
    clusters: String,
    machines: String,
    cores: String,
    memory_gib: String,
    disk_gib: String,
}

/// A row of the table.
#[derive(Serialize)]
struct Held {
    scope: &'static str,
    of: String,
    name: String,
    cells: Vec<String>,
    own: bool,
}

/// The page.
pub async fn show(State(app): State<App>, ui: Ui, actor: Actor) -> Result<Response> {
    page(&app, &ui, &actor, &Wish::default(), None).await
}

async fn page(
    app: &App,
    ui: &Ui,
    actor: &Actor,
    wish: &Wish,
    refused: Option<&Error>,
) -> Result<Response> {
    let store = &app.store;
    let mut rows = vec![
        held(&store.gauge(Scope::Site, "").await?, "", "Everybody together", true, true),
        held(
            &store.gauge(Scope::Person, "").await?,
            "",
            "Each person, unless said otherwise",
            true,
            false,
        ),
        held(
            &store.gauge(Scope::Environment, "").await?,
            "",
            "Each environment, unless said otherwise",
            true,
            false,
        ),
    ];
    let environments = store.holders(Scope::Environment).await?;
    for environment in store.environments_for(actor).await? {
        if let Some(Holder { gauge, own }) = environments.get(environment.id.as_str()) {
            rows.push(held(gauge, &environment.name, &environment.title, *own, true));
        }
    }
    let people = store.holders(Scope::Person).await?;
    for person in store.people().await? {
        if let Some(Holder { gauge, own }) = people.get(person.id.as_str()) {
            rows.push(held(gauge, &person.login, &person.name, *own, true));
        }
    }
    let with = json!({
        "rows": rows,
        "form": wish,
        "errors": refused.map(errors).unwrap_or_default(),
    });
    let status = refused.map_or(StatusCode::OK, |error| error.problem().status);
    ui.answer(status, "limits.html", with)
}

fn held(gauge: &Gauge, of: &str, name: &str, own: bool, counts: bool) -> Held {
    let (held, limit) = (gauge.held, gauge.limit);
    let cell = |held: String, limit: Option<String>| match (counts, limit) {
        (true, Some(limit)) => format!("{held} / {limit}"),
        (true, None) => held,
        (false, limit) => limit.unwrap_or_else(|| "–".to_owned()),
    };
    let number =
        |held: u64, limit: Option<u64>| cell(held.to_string(), limit.map(|n| n.to_string()));
    Held {
        scope: gauge.scope.as_str(),
        of: of.to_owned(),
        name: name.to_owned(),
        own,
        cells: vec![
            number(held.clusters, limit.clusters),
            number(held.machines, limit.machines),
            number(held.cores, limit.cores),
            cell(gib(held.memory_mib), limit.memory_mib.map(gib)),
            number(held.disk_gib, limit.disk_gib),
        ],
    }
}

/// Sets a limit; with no number at all the default counts again.
pub async fn set(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    note: Note,
    Form(wish): Form<Wish>,
) -> Result<Response> {
    match store(&app, &wish).await {
        Ok((scope, id, limit)) => {
            note.target(scope.as_str(), &id, wish.of.trim());
            note.detail(json!({ "limit": limit }));
            Ok(done("/limits", "Saved. What is above a limit stays; nothing more is made."))
        }
        Err(error) if !error.fields().is_empty() => {
            page(&app, &ui, &actor, &wish, Some(&error)).await
        }
        Err(error) => Err(error),
    }
}

async fn store(app: &App, wish: &Wish) -> Result<(Scope, String, Limit)> {
    let mut problems = Vec::new();
    let limit = wish.limit(&mut problems);
    let of = wish.of.trim();
    let unknown = |detail: &str| Err(Field::new("of", detail));
    let found = match wish.scope.as_str() {
        "site" => Ok((Scope::Site, String::new())),
        "person" if of.is_empty() => Ok((Scope::Person, String::new())),
        "person" => match app.store.person_by_login(of).await? {
            Some(person) => Ok((Scope::Person, person.id.to_string())),
            None => unknown("Nobody has this login."),
        },
        "environment" if of.is_empty() => Ok((Scope::Environment, String::new())),
        "environment" => match app.store.environment_by_name(of).await? {
            Some(id) => Ok((Scope::Environment, id.to_string())),
            None => unknown("There is no environment of this name."),
        },
        _ => Err(Field::new("scope", "Choose whose limit it is.")),
    };
    let (scope, id) = match found {
        Ok(found) if problems.is_empty() => found,
        Ok(_) => return Err(Error::invalid(problems)),
        Err(problem) => {
            problems.push(problem);
            return Err(Error::invalid(problems));
        }
    };
    app.store.set_limit(scope, &id, limit).await?;
    Ok((scope, id, limit))
}

impl Wish {
    fn limit(&self, problems: &mut Vec<Field>) -> Limit {
        let mut number = |field: &str, text: &str| {
            let digits = text.trim();
            let number = digits.parse::<u32>().ok().map(u64::from);
            if number.is_none() && !digits.is_empty() {
                problems.push(Field::new(field, "Give a whole number, or nothing for no limit."));
            }
            number
        };
        Limit {
            clusters: number("clusters", &self.clusters),
            machines: number("machines", &self.machines),
            cores: number("cores", &self.cores),
            memory_mib: number("memory_gib", &self.memory_gib).map(|gib| gib * 1024),
            disk_gib: number("disk_gib", &self.disk_gib),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_said_in_gibibytes() {
        assert_eq!([0, 512, 1024, 12_288, 13_824].map(gib), ["0", "0.5", "1", "12", "13.5"]);
    }
}
