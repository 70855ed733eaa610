//! The portal, Terraform and the provider are killed at each stage of create and destroy, then the portal is started again: no
//! run stays stuck, no machine is lost, no address leaks.
//!
//! One kill after the other in one cluster: each finds what the one before has left.

use std::{
    fmt,
    time::{Duration, Instant},
};

use kubesmith_spec::events::Phase;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{api::Key, clusters::PATIENCE, site::Site};
use Victim::{Everything, Portal, Provider, Terraform};

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The portal alone: Terraform works on.
    Portal,
    /// The portal, and every process of the run: the machine lost its power.
    Everything,
    /// Terraform alone.
    Terraform,
    /// The provider alone.
    Provider,
}

/// When: the stages of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Terraform plans.
    Planning,
    /// The plan waits for approval.
    Waiting,
    /// The provider is in this phase.
    In(Phase),
    /// The outcome is being checked.
    Verifying,
    /// It has succeeded.
    End,
}

/// Everybody works.
const ALL: &[Victim] = &[Portal, Everything, Terraform, Provider];
/// Nobody but the portal works.
const ALONE: &[Victim] = &[Portal];

/// The stages of a create and of a destroy, each with those who can be killed in it.
const CREATE: [(Stage, &[Victim]); 7] = [
    (Stage::Planning, ALL),
    (Stage::Waiting, ALONE),
    (Stage::In(Phase::Machines), ALL),
    (Stage::In(Phase::Boot), ALL),
    (Stage::In(Phase::Configure), ALL),
    (Stage::In(Phase::Ready), ALL),
    (Stage::Verifying, ALONE),
];
const DESTROY: [(Stage, &[Victim]); 4] = [
    (Stage::Planning, ALL),
    (Stage::Waiting, ALONE),
    (Stage::In(Phase::Destroy), ALL),
    (Stage::Verifying, &[Portal, Everything, Provider]),
];

/// In so many lives everybody is killed at every stage.
const ROUNDS: usize = 4;
/// What passed before its kill is tried again in another life of the cluster, so many at most.
const LIVES: usize = 3;

#[test]
fn killed_at_each_stage_of_create_and_destroy_every_run_goes_on_and_nothing_is_lost() {
    let Some(mut site) = Site::open() else { return };
    let key = site.bootstrap();
    let course = site.course(&key, "algorithms");
    for round in 0..ROUNDS {
        let (mut creating, mut destroying) = kills_of(round);
        for _ in 0..LIVES {
            let mut life = Life::begin(&mut site, &key, &course);
            creating = life.create(&creating);
            destroying = life.destroy(&destroying);
            if creating.is_empty() && destroying.is_empty() {
                break;
            }
        }
        assert_eq!((creating, destroying), (Vec::new(), Vec::new()), "never hit");
    }
    site.assert_empty();
}

/// Somebody who is killed at some stage.
type Kill = (Stage, Victim);

/// A round's kills in a create and in a destroy: from stage to stage it is the next one's turn.
fn kills_of(round: usize) -> (Vec<Kill>, Vec<Kill>) {
    let turns = CREATE.iter().chain(&DESTROY).enumerate();
    let mut kills = turns.map(|(turn, (stage, who))| (*stage, who[(round + turn) % who.len()]));
    (kills.by_ref().take(CREATE.len()).collect(), kills.collect())
}

#[test]
fn the_rounds_kill_everybody_at_every_stage() {
    let rounds: Vec<_> = (0..ROUNDS).map(kills_of).collect();
    for (half, (stage, who)) in
        CREATE.map(|row| (0, row)).into_iter().chain(DESTROY.map(|row| (1, row)))
    {
        for victim in who {
            let kills = |round: &(Vec<Kill>, Vec<Kill>)| [round.0.clone(), round.1.clone()];
            let is_killed =
                rounds.iter().any(|round| kills(round)[half].contains(&(stage, *victim)));
            assert!(is_killed, "{stage:?} {victim:?}");
        }
    }
}

/// A cluster and its present run.
struct Life<'a> {
    site: &'a mut Site,
    key: &'a Key,
    course: &'a str,
    cluster: String,
    run: String,
    /// Who was killed in this run so far.
    killed: Vec<Victim>,
}

/// What came of waiting for a stage.
enum Reached {
    /// The run is there.
    Yes,
    /// The run has succeeded, or is past it.
    Passed,
    /// The run has ended otherwise, because of an earlier kill.
    Ended,
}

impl<'a> Life<'a> {
    fn begin(site: &'a mut Site, key: &'a Key, course: &'a str) -> Self {
        let (cluster, run) = site.ask_for(key, course, "single");
        Self { site, key, course, cluster, run, killed: Vec::new() }
    }

    /// The create, cut off by these kills. The answer is what was not hit, because it passed too fast.
    fn create(&mut self, kills: &[Kill]) -> Vec<Kill> {
        let path = format!("/api/v1/clusters/{}/retry", self.cluster);
        let missed = self.go_through(kills, |life| {
            let again = life.site.must(life.key, "POST", &path, &Value::Null, 202);
            again["run"].as_str().expect("a run").to_owned()
        });
        let shown = self.site.show(self.key, &self.cluster);
        assert_eq!(shown["exists"]["nodes"].as_array().map(Vec::len), Some(1), "{shown}");
        assert_eq!(self.site.lab().machines().len(), 1);
        missed
    }

    /// The destroy, in the same way.
    fn destroy(mut self, kills: &[Kill]) -> Vec<Kill> {
        self.begin_run(self.site.ask_to_destroy(self.key, &self.cluster));
        let missed =
            self.go_through(kills, |life| life.site.ask_to_destroy(life.key, &life.cluster));
        let gone = self.site.get(self.key, &format!("/api/v1/runs/{}", self.run));
        assert_eq!(gone["receipt"]["vmids"], json!([19201]), "{gone}");
        assert_eq!(self.site.lab().machines().len(), 0);
        assert_eq!(self.site.get(self.key, "/api/v1/clusters"), json!([]));
        let quota = format!("/api/v1/environments/{}/quota", self.course);
        assert_eq!(self.site.get(self.key, &quota)["held"]["clusters"], 0);
        assert_eq!(self.site.processes(None), [], "processes are left");
        missed
    }

    /// Kills as told, brings the runs to their end, and answers what was not hit. `again` asks for another run after one that
    /// has failed.
    fn go_through(&mut self, kills: &[Kill], again: impl Fn(&Self) -> String) -> Vec<Kill> {
        let mut missed = Vec::new();
        for (stage, victim) in kills {
            loop {
                match self.reach(*stage, *victim) {
                    Reached::Yes if !self.kill(*victim) => {}
                    Reached::Yes => {
                        eprintln!("{victim:?} was killed: {stage}");
                        break;
                    }
                    Reached::Ended => self.begin_run(again(self)),
                    Reached::Passed => {
                        eprintln!("{victim:?} was not hit: {stage}");
                        // The outcome of a create is checked in a few milliseconds.
                        let moment = *stage == Stage::Verifying;
                        missed.extend((!moment).then_some((*stage, *victim)));
                        break;
                    }
                }
            }
        }
        while matches!(self.reach(Stage::End, Portal), Reached::Ended) {
            self.begin_run(again(self));
        }
        missed
    }

    fn begin_run(&mut self, run: String) {
        self.run = run;
        self.killed.clear();
    }

    fn state(&self) -> String {
        let run = self.site.get(self.key, &format!("/api/v1/runs/{}", self.run));
        run["state"].as_str().expect("a state").to_owned()
    }

    /// Waits until the run is at this stage, and approves its plan on the way there.
    fn reach(&self, stage: Stage, victim: Victim) -> Reached {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Asking the portal takes longer than some stages.
            for _ in 0..50 {
                let now = self.stage();
                if now == Some(stage) && self.lives(stage, victim) {
                    return Reached::Yes;
                }
                if now > Some(stage) {
                    return Reached::Passed;
                }
                // Not a synchronisation: it is looked at again until it is there.
                std::thread::sleep(Duration::from_millis(2));
            }
            let state = self.state();
            match state.as_str() {
                // Its log may not tell it: the portal was killed in that very moment.
                "awaiting_approval" if stage == Stage::Waiting => return Reached::Yes,
                "awaiting_approval" if stage > Stage::Waiting => {
                    self.site.approve(self.key, &self.run);
                }
                "succeeded" if stage == Stage::End => return Reached::Yes,
                "succeeded" => return Reached::Passed,
                "failed" | "needs_attention" => {
                    self.assert_excused(&state);
                    return Reached::Ended;
                }
                "cancelled" => panic!("nobody has cancelled it: {}", self.told()),
                _ => assert!(
                    Instant::now() < deadline,
                    "the run is stuck in {state}: {}",
                    self.told()
                ),
            }
        }
    }

    /// A run outlives a kill of the portal; only a kill of who works for it may end it.
    fn assert_excused(&self, state: &str) {
        let failure =
            self.site.get(self.key, &format!("/api/v1/runs/{}", self.run))["failure"].take();
        eprintln!("the run is {state}: {}", failure["code"]);
        let excused = self.killed.iter().any(|victim| *victim != Portal);
        assert!(excused, "it is {state} after {:?}: {failure}\n{}", self.killed, self.told());
    }

    fn told(&self) -> String {
        format!("{}\n{}", self.site.told(self.key, &self.run), self.site.log())
    }

    /// The stage that the run is in, as the portal's log and the provider's events say, without asking anybody.
    fn stage(&self) -> Option<Stage> {
        match self.site.last_state(&self.cluster, &self.run).as_str() {
            "planning" => Some(Stage::Planning),
            "awaiting_approval" => Some(Stage::Waiting),
            "verifying" => Some(Stage::Verifying),
            "applying" => {
                let events = self.site.events(&self.cluster, &self.run);
                let last = events.iter().rev().find(|event| event["status"] == "started")?;
                serde_json::from_value(last["phase"].clone()).ok().map(Stage::In)
            }
            "succeeded" => Some(Stage::End),
            _ => None,
        }
    }

    /// Whether those work who work at this stage, the victim above all.
    fn lives(&self, stage: Stage, victim: Victim) -> bool {
        let worker = match (stage, victim) {
            (_, Terraform) => TERRAFORM,
            (_, Provider) | (Stage::In(_), _) => PROVIDER,
            (Stage::Planning, _) => TERRAFORM,
            (Stage::Waiting | Stage::Verifying | Stage::End, _) => return true,
        };
        self.site.processes(Some(&self.run)).iter().any(|(_, name)| name == worker)
    }

    /// Kills, and starts the portal again; false if the victim had ended in this very moment.
    fn kill(&mut self, victim: Victim) -> bool {
        let portal = matches!(victim, Portal | Everything);
        if portal {
            self.site.kill();
        }
        let mut found = self.site.processes(Some(&self.run));
        found.retain(|(_, name)| match victim {
            Portal => false,
            Everything => true,
            Terraform => name == TERRAFORM,
            Provider => name == PROVIDER,
        });
        let mut hit = portal;
        for (pid, _) in found {
            let pid = Pid::from_raw(pid).expect("a process");
            hit |= kill_process(pid, Signal::KILL).is_ok();
        }
        if portal {
            self.site.start();
        }
        if hit {
            self.killed.push(victim);
        }
        hit
    }
}

/// The names of processes, as Linux keeps them.
const TERRAFORM: &str = "terraform";
const PROVIDER: &str = "terraform-provi";

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planning => f.write_str("planning"),
            Self::Waiting => f.write_str("waiting for approval"),
            Self::In(phase) => write!(f, "in {phase:?}"),
            Self::Verifying => f.write_str("verifying"),
            Self::End => f.write_str("succeeded"),
        }
    }
}
