//! Whose turn it is: approved plans before new ones, in the order of their requests, a few at a time.

use std::time::Duration;

use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::finish::{self, Ended};
use super::log::Entry;
use super::machine::{Event, State};
use super::work::{Planned, Turn, holder};
use super::{Failure, Live, recover};
use crate::App;
use crate::ids::RunId;
use crate::people::secrets;
use crate::store::runs::{End, NotMoved, Run};

/// Looks at the queue even if nobody said anything.
const LOOK: Duration = Duration::from_secs(5);

/// Makes good what was cut off, then works until the portal stops; ends when the last run has ended.
pub async fn serve(app: App) {
    let mut working = JoinSet::new();
    match recover::recover(&app).await {
        Ok(runs) => {
            for run in runs {
                app.runs.begin(&run.id);
                working.spawn(take_turn(app.clone(), run));
            }
        }
        Err(error) => tracing::error!("what was cut off could not be made good: {error:#}"),
    }
    while !app.draining.is_cancelled() {
        let free = app.config.terraform.parallel_runs.saturating_sub(working.len());
        match next(&app, free).await {
            Ok(runs) => {
                for run in runs {
                    working.spawn(take_turn(app.clone(), run));
                }
            }
            Err(error) => tracing::error!("the queue cannot be read: {error:#}"),
        }
        tokio::select! {
            () = app.runs.woken() => {}
            () = tokio::time::sleep(LOOK) => {}
            Some(_) = working.join_next() => {}
            () = app.draining.cancelled() => {}
        }
    }
    for live in app.runs.all() {
        live.interrupt.cancel();
    }
    while working.join_next().await.is_some() {}
}

/// The runs whose turn it is.
async fn next(app: &App, free: usize) -> anyhow::Result<Vec<Run>> {
    let mut waiting = app.store.open_runs().await?;
    waiting.retain(|run| {
        matches!(run.state, State::Queued | State::Approved) && app.runs.live(&run.id).is_none()
    });
    // Stable: within each, the oldest first.
    waiting.sort_by_key(|run| run.state == State::Queued);
    waiting.truncate(free);
    for run in &waiting {
        app.runs.begin(&run.id);
    }
    Ok(waiting)
}

async fn take_turn(app: App, run: Run) {
    let live = app.runs.live(&run.id).unwrap_or_default();
    if let Err(error) = turn(&app, run.clone(), &live).await {
        tracing::error!(run = %run.id, "a run failed: {error:#}");
        if let Err(error) = give_up(&app, &run.id, &error).await {
            tracing::error!(run = %run.id, "and its end could not be written: {error:#}");
        }
    }
    app.runs.end(&run.id);
}

async fn turn(app: &App, mut run: Run, live: &Live) -> anyhow::Result<()> {
    let token = secrets::Secret::new();
    let cut_off = run.state.is_running();
    if !cut_off {
        run.state = match app.store.begin_run(&run, &token.hash()).await {
            Ok(state) => state,
            // Cancelled in this very moment.
            Err(NotMoved::Changed) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
    }
    let mut turn = Turn::open(app, &run, live, Zeroizing::new(token.reveal().to_owned()))?;
    if cut_off {
        turn.say("The portal was stopped in the middle of this run; it goes on.")?;
        if run.cancel_at.is_some() {
            live.interrupt.cancel();
        }
    } else {
        tell(&mut turn, run.state)?;
    }
    let end = match run.state {
        State::Planning => plan(&mut turn).await?,
        State::Applying if cut_off => applied(turn.resume(&token.hash()).await?, &mut turn).await?,
        State::Applying => applied(turn.apply().await?, &mut turn).await?,
        state => Some((state, finish::verify(&mut turn).await?)),
    };
    turn.states()?.unlock_of(&holder(&run))?;
    if let Some((at, end)) = end {
        let run = Run { state: at, ..run.clone() };
        let state = app.store.end_run(&run, &end).await?;
        tell(&mut turn, state)?;
        if end.removed {
            app.kube.forget(&run.cluster);
        }
    }
    turn.clear_outputs()
}

type Finish = Option<(State, End)>;

async fn plan(turn: &mut Turn<'_>) -> anyhow::Result<Finish> {
    let (plan, hash) = match turn.plan().await? {
        Planned::Ready(plan, hash) => (plan, hash),
        Planned::Ended(ended) => return unfinished(turn, ended).await,
    };
    let nothing = plan.effect == crate::cluster::plan::Effect::Nothing;
    let event = if nothing { Event::NothingToDo } else { Event::Planned };
    let state = match turn.app.store.run_planned(turn.run, &plan, &hash, event).await {
        Ok(state) => state,
        // Cancelled while the plan was being read.
        Err(NotMoved::Changed) => return unfinished(turn, Ended::stopped()).await,
        Err(error) => return Err(error.into()),
    };
    tell(turn, state)?;
    if nothing {
        let end = finish::verify(turn).await?;
        return Ok(Some((state, end)));
    }
    Ok(None)
}

async fn applied(ended: Ended, turn: &mut Turn<'_>) -> anyhow::Result<Finish> {
    if ended.event != Event::Applied {
        return unfinished(turn, ended).await;
    }
    let state = turn.app.store.move_run(turn.run, Event::Applied).await?;
    tell(turn, state)?;
    let end = finish::verify(turn).await?;
    Ok(Some((state, end)))
}

/// The end of a half that did not come to its goal. If it is the portal that stops, a plan is made again later.
async fn unfinished(turn: &mut Turn<'_>, mut ended: Ended) -> anyhow::Result<Finish> {
    let run = turn.app.store.run(&turn.run.id).await?;
    let ours = ended.event == Event::Stopped && run.cancel_at.is_none();
    if ours {
        if run.state == State::Planning {
            let state = turn.app.store.move_run(&run, Event::Interrupted).await?;
            turn.say("The portal is stopped for a while; this run goes on afterwards.")?;
            tell(turn, state)?;
            return Ok(None);
        }
        ended = Ended::failed(interrupted());
    }
    let state = turn.states()?.current()?;
    Ok(Some((run.state, finish::end(&run, run.state, state.as_ref(), ended))))
}

/// What is said when the portal, or the machine it runs on, ended while Terraform applied.
pub fn interrupted() -> Failure {
    Failure::new(
        "interrupted",
        "The portal was stopped while this run was applying.",
        "What was made so far is known. Choose \"Try again\" to go on from there.",
    )
}

/// A fault of ours, or of the machine we run on: nothing may stay open because of it.
async fn give_up(app: &App, id: &RunId, error: &anyhow::Error) -> anyhow::Result<()> {
    let run = app.store.run(id).await?;
    if run.state.has_ended() {
        return Ok(());
    }
    let failure =
        Failure::new("internal", format!("The portal could not go on: {error:#}"), finish::AGAIN);
    let live = Live::default();
    let mut turn = Turn::open(app, &run, &live, Zeroizing::default())?;
    turn.states()?.unlock_of(&holder(&run))?;
    let state = turn.states()?.current().ok().flatten();
    let touched = matches!(run.state, State::Applying | State::Verifying);
    let ended = if touched { Ended::lost(failure) } else { Ended::failed(failure) };
    let state =
        app.store.end_run(&run, &finish::end(&run, run.state, state.as_ref(), ended)).await?;
    tell(&mut turn, state)
}

/// Writes into the log that the run is in another state.
pub fn tell(turn: &mut Turn<'_>, state: State) -> anyhow::Result<()> {
    turn.writer.write(Entry::State { state })?;
    turn.app.runs.tell(&turn.run.id);
    Ok(())
}
