//! After the portal was killed: no run stays stuck, and none that Terraform still works on is lost.
//!
//! A run that was planning plans again: what still runs of it is ended in order first. One that was applying goes on
//! where it is: Terraform writes to files and outlives a portal ([`super::supervise`]).

use std::collections::HashSet;
use std::time::Duration;

use kubesmith_process::{Marked, marked};
use zeroize::Zeroizing;

use super::finish::{self, Ended};
use super::machine::{Event, State};
use super::queue::tell;
use super::work::{Turn, holder};
use super::{Live, log};
use crate::App;
use crate::store::runs::Run;
use crate::terraform::command::MARK;

/// Terraform may finish what it reads; then it is killed.
const PATIENCE: Duration = Duration::from_mins(2);

/// Brings every run that was planning to where it goes on from, and answers those that were applying or verifying.
pub async fn recover(app: &App) -> anyhow::Result<Vec<Run>> {
    let open = app.store.open_runs().await?;
    let waiting = open.iter().filter(|run| run.state == State::AwaitingApproval).cloned();
    // More than this do not end in one moment.
    let ended = app.store.ended_last(2 * app.config.terraform.parallel_runs).await?;
    for run in waiting.chain(ended) {
        if let Err(error) = tell_untold(app, &run) {
            tracing::error!(run = %run.id, "the end of its log cannot be written: {error:#}");
        }
    }
    let (planning, others): (Vec<_>, Vec<_>) =
        open.into_iter().partition(|run| run.state == State::Planning);
    end_leftovers(&planning).await?;
    for run in &planning {
        // One that cannot be made good must not keep the others from it.
        if let Err(error) = plan_again(app, run).await {
            tracing::error!(run = %run.id, "a run that was cut off cannot be taken up: {error:#}");
        }
    }
    Ok(others.into_iter().filter(|run| run.state.is_running()).collect())
}

/// Asks the processes of these runs to end, waits, and kills those that did not.
async fn end_leftovers(runs: &[Run]) -> anyhow::Result<()> {
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

/// What the database says of a run before its log does: the portal was killed in between.
fn tell_untold(app: &App, run: &Run) -> anyhow::Result<()> {
    let live = Live::default();
    let mut turn = Turn::open(app, run, &live, Zeroizing::default())?;
    // One that never had a turn has no log.
    if log::last_state(&turn.folder)?.is_some_and(|told| told != run.state) {
        tell(&mut turn, run.state)?;
    }
    turn.clear_outputs()
}

async fn plan_again(app: &App, run: &Run) -> anyhow::Result<()> {
    let live = Live::default();
    let mut turn = Turn::open(app, run, &live, Zeroizing::default())?;
    let states = turn.states()?;
    states.unlock_of(&holder(run))?;
    turn.say("The portal was stopped in the middle of this run.")?;
    if run.cancel_at.is_some() {
        let end = finish::end(run, run.state, states.current()?.as_ref(), Ended::stopped());
        let state = app.store.end_run(run, &end).await?;
        return tell(&mut turn, state);
    }
    let state = app.store.move_run(run, Event::Interrupted).await?;
    tell(&mut turn, state)
}
