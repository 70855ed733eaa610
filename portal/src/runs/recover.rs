//! After the portal was killed: what still runs is ended in order, what was left is taken up, and no run stays stuck.

use std::collections::HashSet;
use std::time::Duration;

use kubesmith_process::{Marked, marked};
use zeroize::Zeroizing;

use super::Live;
use super::finish::{self, Ended};
use super::machine::{Event, State};
use super::queue::{interrupted, tell};
use super::work::{Turn, holder};
use crate::App;
use crate::store::runs::Run;
use crate::terraform::command::MARK;

/// Terraform may finish the step it is in and send its state; then it is killed.
const PATIENCE: Duration = Duration::from_mins(2);

/// Ends what still runs, then brings every run that was working to a state that it can go on from.
pub async fn recover(app: &App) -> anyhow::Result<()> {
    let open = app.store.open_runs().await?;
    let working: Vec<_> = open.iter().filter(|run| run.state.is_running()).collect();
    end_leftovers(&working).await?;
    for run in working {
        // One that cannot be made good must not keep the others from it.
        if let Err(error) = take_up(app, run).await {
            tracing::error!(run = %run.id, "a run that was cut off cannot be taken up: {error:#}");
        }
    }
    Ok(())
}

/// Asks the processes of these runs to end, waits, and kills those that did not.
async fn end_leftovers(runs: &[&Run]) -> anyhow::Result<()> {
    let ids: HashSet<_> = runs.iter().map(|run| run.id.as_str()).collect();
    let of_ours = || -> anyhow::Result<Vec<Marked>> {
        let mut found = marked(MARK)?;
        found.retain(|process| ids.contains(process.value.as_str()));
        Ok(found)
    };
    let left = of_ours()?;
    for process in &left {
        tracing::warn!(
            run = process.value,
            "a process of an earlier portal still runs; it is asked to end"
        );
        process.interrupt();
    }
    let all_ended = async {
        for process in &left {
            process.ended().await;
        }
    };
    if tokio::time::timeout(PATIENCE, all_ended).await.is_err() {
        tracing::warn!("processes of an earlier portal did not end in time; they are killed");
    }
    // Also those that were started meanwhile by the ones that were asked.
    for process in of_ours()? {
        process.kill();
        process.ended().await;
    }
    Ok(())
}

async fn take_up(app: &App, run: &Run) -> anyhow::Result<()> {
    let live = Live::default();
    let mut turn = Turn::open(app, run, &live, Zeroizing::default())?;
    let states = turn.states()?;
    states.unlock_of(&holder(run))?;
    let lost = turn.reconcile()?;
    turn.say("The portal was stopped in the middle of this run.")?;
    let kept = states.current()?;
    if run.state == State::Planning && run.cancel_at.is_some() {
        let end = finish::end(run, run.state, kept.as_ref(), Ended::stopped());
        let state = app.store.end_run(run, &end).await?;
        return tell(&mut turn, state);
    }
    if run.state == State::Planning {
        let state = app.store.move_run(run, Event::Interrupted).await?;
        return tell(&mut turn, state);
    }
    let ended = lost.unwrap_or_else(|| Ended::failed(interrupted()));
    let end = finish::end(run, run.state, kept.as_ref(), ended);
    let state = app.store.end_run(run, &end).await?;
    tell(&mut turn, state)
}
