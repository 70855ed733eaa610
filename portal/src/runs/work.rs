//! The two halves of a run: Terraform plans, and Terraform applies what was approved.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use kubesmith_process::{Marked, Tool};
use kubesmith_spec::events::Receipt;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::finish::{self, Ended, Reconciled};
use super::log::Writer;
use super::machine::{Event, Kind};
use super::redact::Redaction;
use super::supervise::{EVENTS, Outcome, Outputs, Watch, left_of, receipts};
use super::{Failure, Live};
use crate::App;
use crate::cluster::exists::State;
use crate::cluster::folder::Folder;
use crate::cluster::plan::{self, Effect, Line, Plan};
use crate::cluster::workspace::{Files, Workspace};
use crate::state::States;
use crate::store::runs::Run;
use crate::terraform::command::{Session, Terraform};

/// The saved plan's name in the folder of its run.
const PLAN: &str = "plan.tfplan";
/// Where Terraform's own output goes while it works.
const PLANNING: Outputs = ["plan.stdout", "plan.stderr"];
const APPLYING: Outputs = ["apply.stdout", "apply.stderr"];
/// How long a run waits for somebody else's lock.
const LOCKED: Duration = Duration::from_mins(10);
/// A call that only prepares or looks takes seconds.
const SHORT: Duration = Duration::from_mins(5);

/// Everything that one turn of a run works with.
pub struct Turn<'a> {
    /// The portal.
    pub app: &'a App,
    /// The run, as it stood when its turn began.
    pub run: &'a Run,
    /// How it is stopped.
    pub live: &'a Live,
    /// The cluster's folder.
    pub workspace: Workspace,
    /// The run's folder in it.
    pub folder: Folder,
    /// What people watch.
    pub writer: Writer,
    session: Session,
}

/// How the planning half ended.
pub enum Planned {
    /// The plan lies there.
    Ready(Box<Plan>, String),
    /// It ends here.
    Ended(Ended),
}

impl<'a> Turn<'a> {
    /// Opens the folders of a run.
    pub fn open(
        app: &'a App,
        run: &'a Run,
        live: &'a Live,
        token: Zeroizing<String>,
    ) -> anyhow::Result<Self> {
        let root = std::path::absolute(app.config.workspaces())?;
        let workspace = Workspace::open(&root, &run.cluster)
            .with_context(|| format!("the workspace of {} cannot be opened", run.cluster))?;
        let folder = workspace.run(&run.id)?;
        let mut redaction = Redaction::default();
        redaction.hide(&token);
        if let Ok(token) = app.terraform.api_token() {
            redaction.hide(token.rsplit('=').next().unwrap_or_default());
        }
        if let Some(state) = States::new(workspace.state()?).current().ok().flatten() {
            redaction.hide(state.ssh_private_key().unwrap_or_default());
            redaction.hide(state.admin_kubeconfig().unwrap_or_default());
        }
        let writer = Writer::open(&folder, redaction)?;
        let session = Session {
            cluster: run.cluster.clone(),
            run: run.id.clone(),
            token,
            folder: workspace.path().to_owned(),
        };
        Ok(Self { app, run, live, workspace, folder, writer, session })
    }

    /// The state of the cluster.
    pub fn states(&self) -> anyhow::Result<States> {
        Ok(States::new(self.workspace.state()?))
    }

    fn terraform(&self) -> &Terraform {
        &self.app.terraform
    }

    fn plan_path(&self) -> PathBuf {
        self.folder.path().join(PLAN)
    }

    /// Files, init, plan, and the plan in words.
    pub async fn plan(&mut self) -> anyhow::Result<Planned> {
        let edited = self.workspace.edited()?;
        if !edited.is_empty() {
            return Ok(Planned::Ended(Ended::failed(edited_by_hand(&edited))));
        }
        if let Some(ended) = self.await_lock().await? {
            return Ok(Planned::Ended(ended));
        }
        let backend = self.terraform().backend(&self.run.cluster);
        let files = Files::render(&self.run.spec, &backend, &self.terraform().provider()?)?;
        self.workspace.write(&files)?;
        self.say("Preparing Terraform.")?;
        let init = self.terraform().init(&self.session)?;
        if let Err(ended) =
            self.short(&init, "init_failed", "Terraform could not be prepared").await?
        {
            return Ok(Planned::Ended(ended));
        }
        let state = self.states()?.current()?;
        let half_made =
            state.as_ref().and_then(State::cluster).is_some_and(|cluster| cluster.tainted);
        if self.run.kind == Kind::Retry && half_made {
            let untaint = self.terraform().untaint(&self.session)?;
            let failed = "What was half made could not be taken up again";
            if let Err(ended) = self.short(&untaint, "untaint_failed", failed).await? {
                return Ok(Planned::Ended(ended));
            }
        }
        let destroy = self.run.kind == Kind::Destroy;
        let tool = self.terraform().plan(&self.session, &self.plan_path(), destroy)?;
        let outcome = self.watch().run(&tool, PLANNING).await?;
        if let Some(ended) =
            finish::unless_done(&outcome, "plan_failed", "Terraform could not make a plan")
        {
            return Ok(Planned::Ended(ended));
        }
        self.understand(state.as_ref()).await
    }

    async fn understand(&mut self, state: Option<&State>) -> anyhow::Result<Planned> {
        let show = self.terraform().show(&self.session, &self.plan_path())?;
        let shown = match self.short(&show, "plan_failed", "The plan cannot be shown").await? {
            Ok(shown) => shown,
            Err(ended) => return Ok(Planned::Ended(ended)),
        };
        let mut plan = match plan::read(&shown, self.run.kind == Kind::Destroy) {
            Ok(plan) => plan,
            Err(refused) => {
                let next = "Nothing was changed. Tell an administrator: this should not happen.";
                let failure = Failure::new("plan_refused", refused.to_string(), next);
                return Ok(Planned::Ended(Ended::failed(failure)));
            }
        };
        if self.clears(state) {
            plan.lines.push(Line {
                effect: Effect::Removes,
                text: "Machines that an earlier, interrupted run left and that no state knows are removed first.".to_owned(),
            });
            if self.run.kind == Kind::Destroy && plan.effect == Effect::Nothing {
                plan.effect = Effect::Destroys;
                "What is left of the cluster is destroyed.".clone_into(&mut plan.headline);
            }
        }
        let bytes = self.folder.read(PLAN)?.context("Terraform has saved no plan")?;
        let headline = plan.headline.clone();
        self.say(headline)?;
        Ok(Planned::Ready(Box::new(plan), hash(&bytes)))
    }

    /// Whether leftovers are looked for before the plan is applied: always before a destroy, and before trying again what
    /// died before Terraform knew of it.
    fn clears(&self, state: Option<&State>) -> bool {
        let known = state.is_some_and(|state| state.cluster().is_some());
        self.run.kind == Kind::Destroy || (self.run.kind == Kind::Retry && !known)
    }

    /// The plan that was approved, and no other.
    pub async fn apply(&mut self) -> anyhow::Result<Ended> {
        let bytes = self.folder.read(PLAN)?;
        let hash_now = bytes.as_deref().map(hash);
        if hash_now.is_none() || hash_now != self.run.plan_hash {
            return Ok(Ended::failed(Failure::new(
                "plan_changed",
                "The saved plan is not the one that was approved, so it was not applied.",
                "Nothing was changed. Make a new plan.",
            )));
        }
        let state = self.states()?.current()?;
        if self.clears(state.as_ref()) {
            let path = self.states()?.path();
            let state = state.is_some().then_some(path.as_path());
            let orphans = self.terraform().orphans(&self.session, state, true)?.timeout(SHORT * 4);
            match self
                .short(&orphans, "leftovers", "What an earlier run left could not be removed")
                .await?
            {
                Ok(said) => self.say(said)?,
                Err(ended) => return Ok(ended),
            }
        }
        let tool = self.terraform().apply(&self.session, &self.plan_path())?;
        let outcome = self.watch().run(&tool, APPLYING).await?;
        self.conclude(outcome)
    }

    /// Goes on with an apply that an earlier portal began: Terraform may still run, may have ended, or was never started.
    pub async fn resume(&mut self, token_hash: &str) -> anyhow::Result<Ended> {
        let left = left_of(&self.run.id)?;
        let started = self.folder.reader(APPLYING[0])?.is_some();
        if started {
            return match self.watch().take_over(left, APPLYING).await {
                Ok(outcome) => self.conclude(outcome),
                Err(error) => {
                    // What nobody understands must not work on behind a run that has ended.
                    left_of(&self.run.id)?.iter().for_each(Marked::kill);
                    Err(error)
                }
            };
        }
        // What still runs looks for leftovers, which ends by itself.
        for process in left {
            process.ended().await;
        }
        if self.live.interrupt.is_cancelled() {
            return Ok(Ended::stopped());
        }
        self.states()?.unlock_of(&holder(self.run))?;
        self.app.store.renew_token(&self.run.id, token_hash).await?;
        self.apply().await
    }

    /// What the end of Terraform means.
    fn conclude(&mut self, mut outcome: Outcome) -> anyhow::Result<Ended> {
        // It holds the cluster's values, and has served.
        self.folder.remove(PLAN)?;
        let states = self.states()?;
        match finish::reconcile(&self.workspace, &states, &self.run.id, &mut self.writer)? {
            Reconciled::Lost(failure) => return Ok(Ended::lost(failure)),
            Reconciled::Taken => {
                finish::forgive_unsent(&mut outcome);
                if outcome.done && !finish::is_as_wanted(states.current()?.as_ref(), self.run) {
                    return Ok(Ended::failed(super::queue::interrupted()));
                }
            }
            Reconciled::Nothing => {}
        }
        if outcome.cut_off && !outcome.stopped && outcome.errors.is_empty() {
            return Ok(Ended::failed(super::queue::interrupted()));
        }
        let said = "Terraform could not do everything that was planned";
        Ok(finish::unless_done(&outcome, "apply_failed", said)
            .unwrap_or(Ended { event: Event::Applied, failure: None }))
    }

    /// What all destroys of this cluster have seen absent: one that was cut off has told its part in its own events.
    pub async fn receipt(&self) -> anyhow::Result<Receipt> {
        let mut all = Receipt::default();
        let runs = self.app.store.runs_of(&self.run.cluster).await?;
        for run in runs.iter().filter(|run| run.kind == Kind::Destroy) {
            let told = self.workspace.run(&run.id)?.read(EVENTS)?.unwrap_or_default();
            let Receipt { vmids, addresses } = receipts(&told);
            all.vmids.extend(vmids);
            all.addresses.extend(addresses);
        }
        all.vmids.sort_unstable();
        all.vmids.dedup();
        all.addresses.sort_unstable();
        all.addresses.dedup();
        Ok(all)
    }

    /// Removes Terraform's own output: all of it that people may read stands in the log.
    pub fn clear_outputs(&self) -> anyhow::Result<()> {
        for file in PLANNING.into_iter().chain(APPLYING) {
            self.folder.remove(file)?;
        }
        Ok(())
    }

    /// What the provider finds of this cluster in the datacentre, in its own words.
    pub async fn search(&mut self) -> anyhow::Result<Result<String, String>> {
        let orphans = self.terraform().orphans(&self.session, None, false)?.timeout(SHORT);
        // Looking is always possible, also when the run itself was stopped.
        match orphans.output(&CancellationToken::new()).await {
            Ok(output) => Ok(Ok(output.stdout)),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Waits until nobody else works on the state, and says who it is.
    async fn await_lock(&mut self) -> anyhow::Result<Option<Ended>> {
        let own = holder(self.run);
        let waited = tokio::time::Instant::now();
        let mut told = false;
        loop {
            let Some(lock) = self.states()?.lock_of()?.filter(|lock| lock.holder != own) else {
                return Ok(None);
            };
            if !told {
                told = true;
                self.say(format!(
                    "Waiting: {} works on this cluster's state since {}.",
                    lock.holder, lock.since
                ))?;
            }
            if waited.elapsed() > LOCKED {
                return Ok(Some(Ended::failed(Failure::new(
                    "locked",
                    format!(
                        "{} has held the lock of this cluster's state since {}.",
                        lock.holder, lock.since
                    ),
                    "Ask them. If their Terraform is dead, its owner lets go with `terraform force-unlock`.",
                ))));
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = self.live.interrupt.cancelled() => return Ok(Some(Ended::stopped())),
            }
        }
    }

    fn watch(&mut self) -> Watch<'_> {
        let Self { app, run, live, folder, writer, .. } = self;
        Watch { runs: &app.runs, run: &run.id, live, folder, writer }
    }

    /// A call whose answer is short. Fails as a run does.
    async fn short(
        &mut self,
        tool: &Tool,
        code: &'static str,
        sentence: &str,
    ) -> anyhow::Result<Result<String, Ended>> {
        match tool.clone().timeout(SHORT).output(&self.live.interrupt).await {
            Ok(output) => Ok(Ok(output.stdout)),
            Err(kubesmith_process::Error::Cancelled { .. }) => Ok(Err(Ended::stopped())),
            Err(error) => {
                let said = self.writer.clean(&error.to_string());
                self.say(said.clone())?;
                Ok(Err(Ended::failed(Failure::new(
                    code,
                    format!("{sentence}: {said}"),
                    finish::AGAIN,
                ))))
            }
        }
    }

    /// A line in words.
    pub fn say(&mut self, text: impl Into<String>) -> anyhow::Result<()> {
        self.writer.say(text)?;
        self.app.runs.tell(&self.run.id);
        Ok(())
    }
}

/// How a run is named as the holder of a lock.
pub fn holder(run: &Run) -> String {
    format!("run {}", run.id)
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn edited_by_hand(files: &[String]) -> Failure {
    Failure::new(
        "edited_by_hand",
        format!(
            "Files of this cluster's folder were changed outside of the portal: {}.",
            files.join(", ")
        ),
        "Put them back, or choose \"Restore the files\" on the cluster's settings page. Nothing was run.",
    )
}
