//! A run: its plan, its approval, its stages as they pass, its log, its end.

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::App;
use crate::api::runs::{From, RunView, streaming};
use crate::audit::Note;
use crate::cluster::folder::Folder;
use crate::cluster::standing::Tone;
use crate::error::{Error, Result};
use crate::extract::{Form, Path, Query};
use crate::gate::About;
use crate::ids::RunId;
use crate::pages::limits::meters;
use crate::rights::{Action, Actor};
use crate::runs::ask;
use crate::runs::log::{self, Entry, Line};
use crate::runs::machine::State as RunState;
use crate::runs::progress::{Progress, duration};
use crate::runs::stream::{self, News, Watcher};
use crate::store::runs::Run;
use crate::terraform::stream::Progress as Step;
use crate::ui::{Ui, done};

/// A run as a row of a list.
#[derive(Serialize)]
pub struct Row {
    #[serde(flatten)]
    run: RunView,
    tone: Tone,
    title: &'static str,
    took: Option<String>,
}

/// A run with what lists say of it.
pub fn row(run: RunView) -> Row {
    let took = run
        .started_at
        .zip(run.finished_at)
        .and_then(|(started, finished)| duration(finished.since(started).as_secs()));
    Row { tone: Tone::of_run(run.state), title: run.kind.words(), took, run }
}

/// The page.
pub async fn show(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    Path(id): Path<RunId>,
) -> Result<Response> {
    let run = app.store.run(&id).await?;
    let cluster = app.store.cluster(&run.cluster).await?;
    let workspace = ask::workspace(&app, &run.cluster)?;
    let (progress, lines, offset) = told(&workspace.run(&id).map_err(Error::internal)?)?;
    // The file itself: what lies in the folder now is what the approved plan was made from.
    let main_tf = if matches!(run.state, RunState::AwaitingApproval | RunState::Approved) {
        workspace.folder().read("main.tf").map_err(Error::internal)?
    } else {
        None
    };
    let quotas = match &run.plan {
        Some(plan) if !run.state.has_ended() => {
            let person = &cluster.created_by;
            let environment = &cluster.environment;
            meters(&app.store.gauges(person, environment, Some(&cluster.id), plan.after).await?)
        }
        _ => Vec::new(),
    };
    let why_not = |action| ui.why_not(action, &about.scope);
    let approve_why_not = why_not(Action::ChangeCluster)
        .or_else(|| Some(ask::may_approve(&actor, &about, &run, &cluster).err()?.to_string()));
    let open = app.store.open_run_of(&run.cluster).await?.map(|run| run.id);
    let with = json!({
        "cluster": about.target,
        "removed": cluster.removed_at,
        "stages": progress.stages(run.kind, run.state, run.plan.is_some()),
        "sentence": progress.sentence(run.state),
        "lines": lines,
        "offset": offset,
        "main_tf": main_tf.map(|text| String::from_utf8_lossy(&text).into_owned()),
        "meters": quotas,
        "ended": run.state.has_ended(),
        "running": run.state.is_running(),
        "may_retry": run.state.has_ended() && run.state != RunState::Succeeded && open.is_none()
            && cluster.removed_at.is_none(),
        "approve_why_not": approve_why_not,
        "destroys": run.destroys(),
        "change_why_not": why_not(Action::ChangeCluster),
        "run": row(RunView::of(run)),
    });
    ui.page("runs/one.html", with)
}

/// All that a run has told, for people, and where it ends.
fn told(folder: &Folder) -> Result<(Progress, Vec<Value>, u64)> {
    let (mut progress, mut shown, mut offset) = (Progress::default(), Vec::new(), 0);
    loop {
        let lines = log::read(folder, offset).map_err(Error::internal)?;
        let Some((last, _)) = lines.last() else { return Ok((progress, shown, offset)) };
        offset = *last;
        for (_, line) in &lines {
            progress.add(line);
            shown.push(words(line));
        }
    }
}

/// A line of the log, for people.
fn words(line: &Line) -> Value {
    let (tone, text, detail) = match &line.entry {
        Entry::State { state } => ("state", state.words().to_owned(), None),
        Entry::Stage { step, status, node, detail, .. } => {
            use kubesmith_spec::events::Status;
            let tone = match status {
                Status::Started => "busy",
                Status::Done => "good",
                Status::Failed => "bad",
                Status::Info => "off",
            };
            let node = node.as_ref().filter(|node| !step.contains(node.as_str()));
            let place = node.map(|node| format!("{node}: ")).unwrap_or_default();
            (tone, format!("{place}{step}"), detail.clone())
        }
        Entry::Resource { address, action, progress } => {
            let (tone, word) = match progress {
                Step::Planned => ("off", "planned"),
                Step::Started => ("busy", "begun"),
                Step::Running => ("off", "goes on"),
                Step::Done => ("good", "done"),
                Step::Failed => ("bad", "failed"),
            };
            (tone, format!("{address}: {action} {word}"), None)
        }
        Entry::Diagnostic(found) => {
            let tone = if found.error { "bad" } else { "wait" };
            (
                tone,
                found.summary.clone(),
                Some(found.detail.clone()).filter(|text| !text.is_empty()),
            )
        }
        Entry::Text { text } => ("off", text.clone(), None),
    };
    json!({ "time": line.time, "tone": tone, "text": text, "detail": detail })
}

/// What it tells, as it happens, as pieces of its page. An event's id is the offset behind it.
pub async fn live(
    State(app): State<App>,
    ui: Ui,
    actor: Actor,
    about: About,
    Path(id): Path<RunId>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Response> {
    let run = app.store.run(&id).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let offset = last.unwrap_or(from.offset);
    let watcher = Watcher::new(&app, &actor, about, &run, offset)?;
    let mut progress = before(&app, &run, offset)?;
    let describe = move |news| match news {
        News::Lines(lines, run) => {
            let changed = lines.iter().any(|(_, line)| matches!(line.entry, Entry::State { .. }));
            for (_, line) in &lines {
                progress.add(line);
            }
            let shown: Vec<_> = lines.iter().map(|(_, line)| words(line)).collect();
            let mut events = Vec::new();
            if let Ok(html) = piece(&ui, &progress, &run, &shown) {
                let end = lines.last().map(|(offset, _)| offset.to_string());
                let event = Event::default().data(html);
                events.push(match end {
                    Some(end) => event.id(end),
                    None => event,
                });
            }
            if changed {
                events.push(Event::default().event("run-state").data(run.state.as_str()));
            }
            events
        }
        News::Heartbeat => vec![Event::default().comment("")],
        News::End(run) => vec![
            Event::default().event("run-state").data(run.state.as_str()),
            Event::default().event("end").data(""),
        ],
    };
    Ok(streaming(Sse::new(stream::events(watcher, describe))))
}

fn before(app: &App, run: &Run, offset: u64) -> Result<Progress> {
    let folder = ask::workspace(app, &run.cluster)?.run(&run.id).map_err(Error::internal)?;
    let (mut progress, mut place) = (Progress::default(), 0);
    while place < offset {
        let lines = log::read(&folder, place).map_err(Error::internal)?;
        let Some((end, _)) = lines.last() else { break };
        place = *end;
        for (_, line) in lines.iter().filter(|(end, _)| *end <= offset) {
            progress.add(line);
        }
    }
    Ok(progress)
}

fn piece(ui: &Ui, progress: &Progress, run: &Run, lines: &[Value]) -> Result<String> {
    let with = json!({
        "stages": progress.stages(run.kind, run.state, run.plan.is_some()),
        "sentence": progress.sentence(run.state),
        "lines": lines,
    });
    ui.text("runs/news.html", with)
}

/// The plan that was seen.
#[derive(Debug, Deserialize)]
pub struct Approval {
    plan_hash: String,
}

/// Approves exactly this plan.
pub async fn approve(
    State(app): State<App>,
    actor: Actor,
    about: About,
    note: Note,
    Path(id): Path<RunId>,
    Form(Approval { plan_hash }): Form<Approval>,
) -> Result<Response> {
    let run = app.store.run(&id).await?;
    note.detail(json!({ "approve": id, "kind": run.kind }));
    ask::approve(&app, &actor, &about, &run, &plan_hash).await?;
    Ok(done(&format!("/runs/{id}"), "Approved. You may leave this page: it goes on without you."))
}

/// How it is to end.
#[derive(Debug, Deserialize)]
pub struct Cancel {
    #[serde(default)]
    force: bool,
}

/// Ends it: at once, or by asking Terraform to stop, or by force.
pub async fn cancel(
    State(app): State<App>,
    note: Note,
    Path(id): Path<RunId>,
    Form(Cancel { force }): Form<Cancel>,
) -> Result<Response> {
    let run = app.store.run(&id).await?;
    note.detail(json!({ "cancel": id, "force": force }));
    ask::cancel(&app, &run, force).await?;
    let sentence = match (run.state.is_running(), force) {
        (false, _) => "Discarded: nothing was changed by it.",
        (true, false) => "It was asked to stop. The step that runs is finished first.",
        (true, true) => "It is ended by force. What is left is looked for now.",
    };
    Ok(done(&format!("/runs/{id}"), sentence))
}
