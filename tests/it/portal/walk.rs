//! A course from its first link to its last receipt, in a real browser.

mod stage;

use std::{fs, time::Duration};

use serde_json::Value;

use self::stage::Stage;
use super::browser::Browser;
use crate::world::lab_tool;

const PASSWORD: &str = "correct horse battery";
/// A cluster of the lab is made in well under a minute; a machine that is busy takes longer.
const MADE: Duration = Duration::from_mins(8);

#[tokio::test(flavor = "multi_thread")]
async fn a_course_from_its_first_link_to_its_last_receipt() {
    let Some(stage) = Stage::open() else { return };
    let Some(mut browser) = Browser::open(stage.about("url")).await else { return stage.close() };
    let browser = &mut browser;
    let links = an_administrator_sets_up_a_course(browser, stage.about("link")).await;
    let cluster = a_student_makes_a_cluster(browser, &links.sam).await;
    a_kubeconfig_opens_one_namespace(browser, &stage, &cluster).await;
    another_student_sees_nothing(browser, &links.kim, &cluster).await;
    the_instructor_scales_it(browser, &links.lena, &cluster).await;
    the_student_cannot_destroy_it(browser, &cluster).await;
    the_instructor_can(browser, &stage, &cluster).await;
    the_log_tells_it_all(browser).await;
    browser.close().await;
    browser.assert_no_barriers();
    stage.close();
}

/// One-time links of the course's people.
struct Links {
    lena: String,
    sam: String,
    kim: String,
}

async fn an_administrator_sets_up_a_course(browser: &mut Browser, link: &str) -> Links {
    browser.go(link).await;
    browser.look("first-link").await;
    browser.fill("Login", "root").await;
    browser.fill("Name", "Rosa Root").await;
    set_password(browser, "Begin").await;
    browser.see("Three steps").await;
    browser.look("home-first").await;

    browser.click("Make an environment").await;
    browser.fill("Name", "k8s-101").await;
    browser.fill("Title", "Kubernetes for beginners").await;
    browser.fill("Address pool", "lab").await;
    browser.fill("VLAN", "119").await;
    browser.look("environment-new").await;
    browser.click("Make environment").await;
    browser.see("Now add the people who lead it").await;
    let environment = browser.path().await;

    let lena = invite(
        browser,
        "lena",
        "Lena Lead",
        "Team lead: owns the clusters of environments they lead (an instructor)",
    )
    .await;
    browser.look("person-link").await;
    let student = "Developer: makes clusters of their own (a student)";
    let sam = invite(browser, "sam", "Sam Student", student).await;
    let kim = invite(browser, "kim", "Kim Student", student).await;
    browser.go("/people").await;
    browser.look("people").await;
    browser.click("Sam Student").await;
    browser.look("person").await;

    browser.go(&environment).await;
    for (login, name, role) in [
        ("lena", "Lena Lead", "Team lead: owns all clusters here"),
        ("sam", "Sam Student", "Developer: makes clusters"),
        ("kim", "Kim Student", "Developer: makes clusters"),
    ] {
        browser.fill("Login", login).await;
        browser.choose("As", role).await;
        browser.click("Add").await;
        browser.see(&format!("{name} is a")).await;
    }
    browser.look("environment").await;

    browser.go("/limits").await;
    browser.fill("Clusters", "2").await;
    browser.fill("Machines", "6").await;
    browser.fill("Memory, GiB", "32").await;
    browser.click("Save").await;
    browser.see("Saved.").await;
    browser.look("limits").await;
    browser.go("/environments").await;
    browser.look("environments").await;
    sign_out(browser).await;
    Links { lena, sam, kim }
}

async fn invite(browser: &Browser, login: &str, name: &str, role: &str) -> String {
    browser.go("/people/new").await;
    browser.fill("Login", login).await;
    browser.fill("Name", name).await;
    browser.choose("Role", role).await;
    browser.click("Invite").await;
    browser.value("Link").await
}

async fn set_password(browser: &Browser, button: &str) {
    browser.fill("Password", PASSWORD).await;
    browser.fill("The same again", PASSWORD).await;
    browser.click(button).await;
}

async fn a_student_makes_a_cluster(browser: &mut Browser, link: &str) -> String {
    browser.go(link).await;
    set_password(browser, "Set password").await;
    browser.see("Make your first cluster").await;
    browser.look("home-empty").await;

    browser.click("New cluster").await;
    browser.fill("Name", "My Cluster").await;
    browser.click("Show the plan").await;
    browser.see("Use 1 to 40 lower-case letters").await;
    browser.look("cluster-new-wrong").await;
    browser.fill("Name", "demo").await;
    browser.tick("Small").await;
    browser.look("cluster-new").await;
    browser.click("Show the plan").await;

    // From here to the end nothing is loaded anew: what changes, changes by itself.
    browser.see("Create demo").await;
    browser.script("window.still = true").await;
    browser.see_within("What will happen", MADE).await;
    assert_eq!(browser.script("return window.still").await, true, "the plan came by itself");
    browser.see("2 machines, 4 cores, 8 GiB of memory").await;
    browser.see("nothing is deleted").await;
    browser.click("The file that is applied").await;
    browser.see("which applies exactly this file").await;
    browser.look("plan").await;
    browser.click("Approve").await;
    browser.see("Approved.").await;
    browser.script("window.still = true").await;
    browser.see_within("Machines", MADE).await;
    browser.see_within("steps so far", MADE).await;
    browser.look("run-live").await;
    browser.see_within("everything is as it was wanted", MADE).await;
    assert_eq!(browser.script("return window.still").await, true, "the page was not loaded anew");
    browser.look("run-succeeded").await;

    browser.click("Open the cluster").await;
    browser.see("demo-cp-1").await;
    browser.look("cluster").await;
    let cluster = browser.path().await;
    for tab in ["runs", "hcl", "change", "sharing"] {
        browser.go(&format!("{cluster}/{tab}")).await;
        browser.look(&format!("cluster-{tab}")).await;
    }
    browser.go("/").await;
    browser.see("ready").await;
    browser.look("home").await;
    browser.go("/clusters").await;
    browser.look("clusters").await;
    browser.go("/profile").await;
    browser.look("profile").await;
    cluster
}

async fn a_kubeconfig_opens_one_namespace(browser: &mut Browser, stage: &Stage, cluster: &str) {
    browser.go(&format!("{cluster}/namespaces")).await;
    browser.fill("Name", "team-blue").await;
    browser.look("cluster-namespaces").await;
    browser.click("Make the namespace").await;
    browser.see("Now get a kubeconfig for it.").await;
    browser.look("cluster-access").await;
    browser.click("Get the kubeconfig").await;
    browser.see("First five minutes").await;
    browser.look("kubeconfig").await;
    let file = stage.folder.path().join("kubeconfig");
    fs::write(&file, browser.content("#kubeconfig").await).expect("written");
    let file = file.to_str().expect("UTF-8");
    let kubectl = lab_tool("kubectl").expect("it is installed");
    let kubectl = kubectl.to_str().expect("UTF-8");
    let kubectl =
        |arguments: &[&str]| stage.inside(kubectl, &[&["--kubeconfig", file], arguments].concat());
    for own in [&["create", "configmap", "hello", "--from-literal=a=b"][..], &["get", "configmaps"]]
    {
        let (may, said) = kubectl(own);
        assert!(may, "{own:?}: {said}");
    }
    for foreign in [
        &["get", "configmaps", "-n", "kube-system"][..],
        &["get", "configmaps", "-A"],
        &["get", "nodes"],
    ] {
        let (may, said) = kubectl(foreign);
        assert!(!may && said.contains("Forbidden"), "{foreign:?}: {said}");
    }
}

async fn another_student_sees_nothing(browser: &mut Browser, link: &str, cluster: &str) {
    sign_out(browser).await;
    browser.go(link).await;
    set_password(browser, "Set password").await;
    browser.see("Hello, Kim Student").await;
    assert!(!browser.text().await.contains("demo"), "nothing of it on the other student's page");
    for page in ["", "/change", "/access", "/runs"] {
        browser.go(&format!("{cluster}{page}")).await;
        browser.see("Not found").await;
    }
    browser.look("not-found").await;
    sign_out(browser).await;
}

async fn the_instructor_scales_it(browser: &mut Browser, link: &str, cluster: &str) {
    browser.go(link).await;
    set_password(browser, "Set password").await;
    browser.click("demo").await;
    browser.go(&format!("{cluster}/change")).await;
    browser.fill("How many", "2").await;
    browser.click("Show the plan").await;
    browser.see_within("What will happen", MADE).await;
    browser.look("plan-change").await;
    browser.click("Approve").await;
    browser.see_within("everything is as it was wanted", MADE).await;
    browser.go(cluster).await;
    browser.see("demo-worker-2").await;

    // It becomes the course's: its maker may use it, and no more.
    browser.go(&format!("{cluster}/sharing")).await;
    browser.fill("Login", "sam").await;
    browser.choose("May", "Use: namespaces, kubeconfigs").await;
    browser.click("Share").await;
    browser.see("may use this cluster").await;
    sign_out(browser).await;
}

async fn the_student_cannot_destroy_it(browser: &mut Browser, cluster: &str) {
    sign_in(browser, "sam").await;
    browser.go(&format!("{cluster}/change")).await;
    browser.see("This needs the right to own this cluster; you may use it.").await;
    browser.look("cluster-change-refused").await;
    // Not only is there no button: the request itself is refused.
    let refused = format!(
        "return fetch('{cluster}/destroy', {{method: 'POST', body: new URLSearchParams({{name: 'demo'}})}}).then(answer => answer.status)"
    );
    assert_eq!(browser.script(&refused).await, 403);
    browser.go("/").await;
    sign_out(browser).await;
}

async fn the_instructor_can(browser: &mut Browser, stage: &Stage, cluster: &str) {
    sign_in(browser, "lena").await;
    let ledger = stage.ledger();
    assert!(ledger.contains(&owner(cluster)), "it stands in the ledger: {ledger}");
    browser.go(&format!("{cluster}/change")).await;
    browser.fill("Type demo to go on", "dem").await;
    browser.click("Plan its end").await;
    browser.see("Type the cluster's name, demo, to destroy it.").await;
    browser.fill("Type demo to go on", "demo").await;
    browser.click("Plan its end").await;
    browser.see_within("Everything is destroyed", MADE).await;
    browser.look("plan-destroy").await;
    browser.click("Approve and destroy").await;
    browser.see_within("Receipt", MADE).await;
    browser.see("nothing is left").await;
    browser.look("receipt").await;

    browser.go(cluster).await;
    browser.see("This cluster is gone").await;
    browser.look("cluster-gone").await;
    browser.go("/clusters").await;
    assert!(!browser.text().await.contains("demo"), "gone from the list");
    let machines = stage.proxmox("/cluster/resources?type=vm");
    let left = machines.as_array().expect("a list").iter();
    let left: Vec<_> = left
        .filter(|row| row["name"].as_str().is_some_and(|name| name.starts_with("demo")))
        .collect();
    assert!(left.is_empty(), "gone from Proxmox: {left:?}");
    let ledger = stage.ledger();
    assert!(!ledger.contains(&owner(cluster)), "gone from the ledger: {ledger}");
    sign_out(browser).await;
}

async fn the_log_tells_it_all(browser: &mut Browser) {
    sign_in(browser, "root").await;
    browser.go("/audit").await;
    browser.look("audit").await;
    let told = browser.script("return fetch('/audit.jsonl').then(answer => answer.text())").await;
    let told = told.as_str().expect("a text").lines();
    let told: Vec<Value> = told.map(|line| serde_json::from_str(line).expect("a row")).collect();
    let is_told = |login: &str, action: &str, result: &str| {
        let found = told
            .iter()
            .any(|row| row["login"] == login && row["action"] == action && row["result"] == result);
        assert!(found, "{login} {action} {result} is not told: {told:#?}");
    };
    is_told("root", "sign_in", "done");
    is_told("root", "create_environment", "done");
    is_told("root", "change_people", "done");
    is_told("root", "change_members", "done");
    is_told("root", "change_limits", "done");
    is_told("sam", "create_cluster", "failed");
    is_told("sam", "create_cluster", "done");
    is_told("sam", "change_cluster", "done");
    is_told("sam", "change_namespaces", "done");
    is_told("sam", "issue_kubeconfig", "done");
    is_told("lena", "change_cluster", "done");
    is_told("lena", "share_cluster", "done");
    is_told("sam", "destroy_cluster", "refused");
    is_told("lena", "destroy_cluster", "done");
}

/// What the cluster's machines and addresses are stamped with.
fn owner(cluster: &str) -> String {
    cluster.rsplit('/').next().expect("an id").to_lowercase()
}

async fn sign_out(browser: &Browser) {
    browser.click("Sign out").await;
    browser.see("Sign in").await;
}

async fn sign_in(browser: &Browser, login: &str) {
    browser.go("/sign-in").await;
    browser.fill("Login", login).await;
    browser.fill("Password", PASSWORD).await;
    browser.click("Sign in").await;
    browser.see("Hello").await;
}
