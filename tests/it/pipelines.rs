//! The pipelines of `examples/pipelines`: their script steps, run as a runner would, against the lab.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use crate::{
    remote_state::{PostgreSql, mirror},
    world::{Needs, World, command, root, text, world},
};

const SYSTEMS: [&str; 3] = ["github", "gitlab", "forgejo"];
const JOBS: [&str; 5] = ["plan", "apply", "drift", "review-up", "review-down"];

/// One script step, and what its own environment adds.
#[derive(Clone)]
struct Step {
    script: String,
    env: Vec<(String, String)>,
}

/// A job's script steps. Steps that are another project's actions (`uses`) get the checkout, which is there.
fn steps(system: &str, job: &str) -> Vec<Step> {
    let file = root().join("examples/pipelines").join(system).join("kubesmith.yml");
    let text = fs::read_to_string(&file).expect("a pipeline");
    let pipeline = YamlLoader::load_from_str(&text).expect("YAML").remove(0);
    let steps: Vec<_> = if system == "gitlab" {
        let lines = pipeline[job]["script"].as_vec().expect("a script").iter();
        lines.map(|line| Step { script: scalar(line), env: Vec::new() }).collect()
    } else {
        let steps = pipeline["jobs"][job]["steps"].as_vec().expect("steps").iter();
        let shared = environment(&pipeline["env"]);
        let runs = steps.filter(|step| !step["run"].is_badvalue());
        runs.map(|step| Step {
            script: scalar(&step["run"]),
            env: [shared.clone(), environment(&step["env"])].concat(),
        })
        .collect()
    };
    assert!(!steps.is_empty(), "{system} has no script for {job}");
    steps
}

fn scalar(yaml: &Yaml) -> String {
    yaml.as_str().expect("a string").to_owned()
}

fn environment(yaml: &Yaml) -> Vec<(String, String)> {
    let pairs = yaml.as_hash().into_iter().flatten();
    pairs.map(|(name, value)| (scalar(name), scalar(value))).collect()
}

/// A runner inside the lab's network, with a checkout and a database for the states.
struct Runner<'w> {
    world: &'w World,
    checkout: PathBuf,
    settings: Vec<(String, String)>,
    comments: Arc<Mutex<Vec<(u64, String)>>>,
}

impl<'w> Runner<'w> {
    fn new(world: &'w World, server: &PostgreSql) -> Self {
        let checkout = world.folder().join("checkout");
        fs::create_dir(&checkout).expect("a folder");
        for part in ["examples", "modules"] {
            let copied = command("cp").arg("-r").arg(root().join(part)).arg(&checkout).status();
            assert!(copied.expect("cp").success());
        }
        // What a user's own Terraform would be told, without the owner: the project's variables name it.
        let told = world.workspace("told", "");
        let told = told.command(&[]);
        let told = told.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let utf8 = |text: &std::ffi::OsStr| text.to_str().expect("UTF-8").to_owned();
        let mut settings: Vec<_> = told.map(|(name, value)| (utf8(name), utf8(value))).collect();
        let comments = Arc::default();
        let api = serve_comments(world, Arc::clone(&comments));
        let mirror = mirror(world.folder());
        for (name, value) in [
            ("KUBESMITH_OWNER", "clusters"),
            ("PG_CONN_STR", &server.address()),
            ("TF_CLI_CONFIG_FILE", mirror.to_str().expect("UTF-8")),
            ("GITHUB_API_URL", &api),
            ("GITHUB_REPOSITORY", "dept/clusters"),
            ("GITHUB_REF", "refs/pull/7/merge"),
            ("GITHUB_STEP_SUMMARY", world.folder().join("summary.md").to_str().expect("UTF-8")),
        ] {
            settings.retain(|(known, _)| known != name);
            settings.push((name.to_owned(), value.to_owned()));
        }
        Self { world, checkout, settings, comments }
    }

    /// Runs a job: whether all its steps succeeded, and what they printed.
    fn run(&self, system: &str, job: &str) -> (bool, String) {
        let mut said = String::new();
        for step in steps(system, job) {
            let output = self.bash(system, &step).output().expect("bash");
            said += &text(&output);
            if !output.status.success() {
                return (false, said);
            }
        }
        (true, said)
    }

    fn must(&self, system: &str, job: &str) -> String {
        let (ok, said) = self.run(system, job);
        assert!(ok, "{job} on {system} failed:\n{said}");
        said
    }

    /// A step as its system starts it: the project's variables, the system's own, and the step's expressions resolved.
    fn bash(&self, system: &str, step: &Step) -> Command {
        let mut bash = self.world.inside("bash");
        bash.args(["-e", "-c", &step.script]).current_dir(self.checkout.join("examples/pipelines"));
        bash.envs(self.settings.iter().map(|(name, value)| (name, value)));
        if system == "gitlab" {
            let (_, api) = self.setting("GITHUB_API_URL");
            bash.env("CI_API_V4_URL", api)
                .env("CI_PROJECT_ID", "1")
                .env("CI_MERGE_REQUEST_IID", "7");
            bash.env("COMMENT_TOKEN", TOKEN);
        }
        for (name, value) in &step.env {
            bash.env(name, self.resolved(value));
        }
        bash
    }

    /// What an expression of a workflow stands for here.
    fn resolved(&self, expression: &str) -> String {
        let inner = expression.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
        let Some(inner) = inner.map(str::trim) else { return expression.to_owned() };
        match inner {
            "github.token" => TOKEN.to_owned(),
            "github.event.number" => "7".to_owned(),
            _ => {
                let name = inner.strip_prefix("vars.").or_else(|| inner.strip_prefix("secrets."));
                self.setting(name.unwrap_or_else(|| panic!("{expression} is unknown here")))
                    .1
                    .clone()
            }
        }
    }

    fn setting(&self, name: &str) -> &(String, String) {
        let mut settings = self.settings.iter();
        settings.find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name} is not set"))
    }

    fn comment(&self) -> String {
        let comments = self.comments.lock().expect("the comments");
        assert_eq!(comments.len(), 1, "one comment that is replaced: {comments:?}");
        comments[0].1.clone()
    }
}

#[test]
fn a_merge_request_is_planned_merged_watched_and_reviewed() {
    let Some(world) = world(Needs::Guests) else { return };
    let Some(server) = PostgreSql::start() else { return };
    let admin = world.workspace("admin", &crate::hcl::pool());
    admin.apply();
    let runner = Runner::new(&world, &server);

    // A plan that people can read stands under the request; what applies it says the same.
    runner.must("github", "plan");
    let planned = runner.comment();
    assert!(planned.contains("| create | `module.seminar.kubesmith_cluster.this` |"), "{planned}");
    assert!(planned.contains("nothing is destroyed"), "{planned}");
    runner.must("github", "apply");
    assert_eq!(world.machines().len(), 2);
    let summary = fs::read_to_string(world.folder().join("summary.md")).expect("a summary");
    assert_eq!(summary, planned);

    // The next plan takes the comment's place.
    runner.must("gitlab", "plan");
    assert!(runner.comment().contains("No changes"), "{}", runner.comment());

    // What somebody did behind our back is found at night, and repaired by the next merge.
    runner.must("gitlab", "drift");
    let (vmid, machine) = world.machines().pop().expect("a worker");
    world.stop_and_delete(machine["node"].as_str().expect("a node"), vmid);
    let (ok, said) = runner.run("github", "drift");
    assert!(!ok && said.contains("what exists is not what clusters says"), "{said}");
    runner.must("forgejo", "plan");
    assert!(runner.comment().contains("| change |"), "{}", runner.comment());
    runner.must("gitlab", "apply");
    runner.must("forgejo", "drift");

    // A review cluster comes and goes beside it.
    runner.must("forgejo", "review-up");
    assert_eq!(world.machines().len(), 3);
    runner.must("forgejo", "review-down");
    assert_eq!(world.machines().len(), 2);

    let mut destroy =
        Step { script: "terraform -chdir=clusters destroy -auto-approve".into(), env: vec![] };
    destroy.env.push(("TF_IN_AUTOMATION".into(), "1".into()));
    let output = runner.bash("", &destroy).output().expect("terraform");
    assert!(output.status.success(), "{}", text(&output));
    admin.destroy();
    world.assert_empty();
}

/// Jobs that were not run above have the very scripts of those that were.
#[test]
fn the_systems_run_the_same_scripts() {
    for job in JOBS {
        let scripts: BTreeSet<Vec<String>> = SYSTEMS
            .iter()
            .map(|system| {
                let steps = steps(system, job).into_iter();
                let scripts =
                    steps.map(|step| step.script.replace("CI_MERGE_REQUEST_IID", "NUMBER"));
                // GitLab has no page for a summary.
                scripts.filter(|script| !script.contains("GITHUB_STEP_SUMMARY")).collect()
            })
            .collect();
        assert_eq!(scripts.len(), 1, "{job}: {scripts:?}");
    }
}

#[test]
fn a_runner_is_told_what_it_lacks() {
    let script = root().join("examples/pipelines/kubesmith.sh");
    let run = |arguments: &[&str], path: &str| {
        let mut sh = command("/bin/sh");
        sh.arg(&script).args(arguments).env_clear().env("PATH", path);
        let output = sh.output().expect("sh");
        assert!(!output.status.success());
        text(&output)
    };
    let empty = tempfile::tempdir().expect("a folder");
    let real = command("sh").args(["-c", "command -v dirname"]).output().expect("sh");
    let real = String::from_utf8(real.stdout).expect("UTF-8");
    std::os::unix::fs::symlink(real.trim(), empty.path().join("dirname")).expect("a link");
    let bare = empty.path().to_str().expect("UTF-8");
    assert!(run(&["plan", "clusters"], bare).contains("terraform is not installed on this runner"));
    for program in ["terraform", "ansible-playbook", "ssh", "python3"] {
        std::os::unix::fs::symlink("/bin/true", empty.path().join(program)).expect("a link");
    }
    assert!(run(&["plan", "clusters"], bare).contains("KUBESMITH_ENDPOINT is not set"));
    assert!(run(&["up", "7; rm"], bare).contains("is not the number of a merge request"));
    assert!(run(&["deploy", "x"], bare).contains("there is no task \"deploy\""));
}

const TOKEN: &str = "token-of-the-pipeline";

/// The part of GitHub's, Forgejo's and GitLab's API that keeps a request's comments, inside the lab's network.
fn serve_comments(world: &World, comments: Arc<Mutex<Vec<(u64, String)>>>) -> String {
    let netns = fs::File::open(world.about("netns")).expect("the lab's network");
    let (send, bound) = std::sync::mpsc::channel();
    // A thread of its own, because it moves to another network and stays there.
    thread::spawn(move || {
        use std::os::fd::AsFd as _;
        rustix::thread::move_into_link_name_space(netns.as_fd(), None).expect("setns");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        send.send(listener.local_addr().expect("an address")).expect("the test listens");
        for stream in listener.incoming() {
            answer(stream.expect("a connection"), &comments);
        }
    });
    format!("http://{}", bound.recv().expect("an address"))
}

fn answer(mut stream: TcpStream, comments: &Mutex<Vec<(u64, String)>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).expect("a line"), 0, "{head}");
    }
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    assert_eq!(header("Authorization"), Some(format!("Bearer {TOKEN}").as_str()), "{head}");
    let length = header("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = sent["body"].as_str().unwrap_or_default().to_owned();

    let mut comments = comments.lock().expect("the comments");
    let (method, path) = head.split_once(' ').expect("a method");
    let path = path.split([' ', '?']).next().expect("a path");
    let last = path.rsplit('/').next().expect("a part");
    let answer = match (method, last.parse::<u64>()) {
        ("GET", Err(_)) => {
            comments.iter().map(|(id, body)| json!({ "id": id, "body": body })).collect()
        }
        ("POST", Err(_)) => {
            let id = comments.len() as u64 + 1;
            comments.push((id, text));
            json!({ "id": id })
        }
        ("PATCH" | "PUT", Ok(id)) => {
            let known = comments.iter_mut().find(|(known, _)| *known == id).expect("a comment");
            known.1 = text;
            json!({ "id": id })
        }
        _ => panic!("{method} {path}"),
    };
    let answer = answer.to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )
    .expect("an answer");
}
