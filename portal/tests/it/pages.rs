//! What pages say to whom: first steps, refused buttons with their reason, forms that come back.

use http::{Method, StatusCode};
use kubesmith_portal::quota::{Limit, Scope};
use kubesmith_portal::rights::{Level, Role};
use serde_json::json;
use sha2::Digest as _;

use crate::world::{Answer, Person, World};

/// A course with an instructor, two students, and a cluster of the first.
struct Course {
    world: World,
    lead: Person,
    sam: Person,
    kim: Person,
    environment: String,
}

impl Course {
    async fn new() -> Self {
        let world = World::new().await;
        let environment = world.environment("k8s-101").await;
        let lead = world.person("lena", Role::TeamLead).await;
        let sam = world.person("sam", Role::Developer).await;
        let kim = world.person("kim", Role::Developer).await;
        for (person, role) in
            [(&lead, Role::TeamLead), (&sam, Role::Developer), (&kim, Role::Developer)]
        {
            world.app.store.set_member(&environment, &person.id, role).await.expect("a member");
        }
        Self { world, lead, sam, kim, environment: environment.to_string() }
    }

    async fn ask_for(&self, name: &str, key: &str) -> Answer {
        let path = format!("/environments/{}/clusters", self.environment);
        let form = [("name", name), ("choice", "ubuntu/small"), ("key", key)];
        self.world.post_as(&self.sam.proof, &path, &form).await
    }
}

/// The page as it is read: without the escapes that HTML needs.
fn read(answer: &Answer) -> String {
    let escapes = [("&quot;", "\""), ("&#x27;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    escapes.iter().fold(answer.body.clone(), |text, (escape, letter)| text.replace(escape, letter))
}

fn run_of(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    answer.header("location").to_owned()
}

#[tokio::test]
async fn a_form_of_four_choices_becomes_one_cluster_and_a_plan_to_read() {
    let course = Course::new().await;
    let place = course.world.get_as(&course.sam.proof, "/clusters/new").await;
    let form = run_of(&place);
    assert_eq!(form, format!("/environments/{}/clusters/new", course.environment));
    let form = course.world.get_as(&course.sam.proof, &form).await;
    assert!(form.body.contains("3 machines, 6 cores, 12 GiB of memory"), "{}", form.body);

    let first = run_of(&course.ask_for("demo", "one").await);
    let again = run_of(&course.ask_for("demo", "one").await);
    assert_eq!(first, again, "sent twice, the form makes one cluster");
    let page = course.world.get_as(&course.sam.proof, &first).await;
    assert!(page.body.contains("Create demo") && page.body.contains("waiting for its turn"));
    let list = course.world.get_as(&course.sam.proof, "/clusters").await;
    assert_eq!(list.body.matches(">demo</a>").count(), 1, "{}", list.body);
    let others = course.world.get_as(&course.kim.proof, "/clusters").await;
    assert!(others.body.contains("No cluster yet") && !others.body.contains(">demo</a>"));
    let lead = course.world.get_as(&course.lead.proof, "/").await;
    assert!(lead.body.contains(">demo</a>"), "who leads a course sees its clusters");
    assert_eq!(course.world.get_as(&course.kim.proof, &first).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_list_is_narrowed_and_never_shows_more_than_one_may_see() {
    let course = Course::new().await;
    let world = &course.world;
    let admin = world.person("root", Role::Admin).await;
    let watcher = world.person_with("wanda", Role::Viewer, true).await;
    let theirs = course.environment.parse().expect("an id");
    let other = world.environment("other").await;
    for (name, environment, maker) in [
        ("alpha", &theirs, &course.sam),
        ("beta", &other, &course.sam),
        ("gamma", &theirs, &course.kim),
    ] {
        let cluster = world.cluster(name, environment, &maker.id).await;
        world.grant(&cluster, maker, Level::Own).await;
    }
    let everything: &[_] = &["gamma", "beta", "alpha"];
    let in_course = format!("?environment={}", course.environment);
    for (who, query, expected) in [
        (&admin, "", everything),
        (&watcher, "", everything),
        (&course.lead, "", &["gamma", "alpha"]),
        (&course.sam, "", &["beta", "alpha"]),
        (&course.kim, "", &["gamma"]),
        (&admin, "?q=+ALP", &["alpha"]),
        (&admin, "?q=sam", &["beta", "alpha"]),
        (&admin, "?q=sa", &[]),
        (&admin, in_course.as_str(), &["gamma", "alpha"]),
        (&admin, "?q=gamma&environment=other", &[]),
        (&course.kim, "?q=sam", &[]),
    ] {
        let page = world.get_as(&who.proof, &format!("/clusters{query}")).await;
        let shown: Vec<_> = page
            .body
            .split("href=\"/clusters/")
            .filter_map(|link| link.split_once("\">")?.1.split_once("</a>"))
            .map(|(name, _)| name)
            .filter(|name| everything.contains(name))
            .collect();
        assert_eq!(shown, expected, "{query}: {}", page.body);
        let nothing = page.body.contains("Nothing matches");
        assert_eq!(nothing, expected.is_empty(), "{query}: {}", page.body);
    }
    let brief = world.get_as(&course.kim.proof, "/api/v1/clusters").await.json();
    assert_eq!((&brief[0]["name"], brief.as_array().map(Vec::len)), (&json!("gamma"), Some(1)));
}

#[tokio::test]
async fn on_a_home_page_what_needs_somebody_comes_first() {
    let course = Course::new().await;
    for (number, state) in ["failed", "applying", "succeeded"].into_iter().enumerate() {
        run_of(&course.ask_for(&format!("demo-{number}"), &number.to_string()).await);
        let ended = if state == "applying" { "NULL" } else { "created_at" };
        course
            .world
            .execute(&format!(
                "UPDATE runs SET state = '{state}', finished_at = {ended} WHERE state = 'queued'"
            ))
            .await;
    }
    let page = course.world.get_as(&course.sam.proof, "/").await.body;
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}: {page}"));
    assert!(place(">demo-0</a>") < place(">demo-1</a>"), "what failed, then what moves: {page}");
    assert!(place(">demo-1</a>") < place(">demo-2</a>"), "what is well comes last: {page}");
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost() {
    let course = Course::new().await;
    let answer = course.ask_for("My <b>Cluster</b>", "one").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body.contains("id=\"name-error\""), "{}", answer.body);
    assert!(answer.body.contains("My &lt;b&gt;Cluster"), "{}", answer.body);
    assert!(
        answer.body.contains(
            "value=\"ubuntu/small\" required aria-describedby=\"choice-1-1-what\" checked"
        )
    );

    let limit = Limit { machines: Some(4), ..Limit::default() };
    course.world.app.store.set_limit(Scope::Person, "", limit).await.expect("set");
    run_of(&course.ask_for("first", "two").await);
    let refused = course.ask_for("second", "three").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("6 of 4 machines would be held"), "{}", refused.body);
    let form = format!("/environments/{}/clusters/new", course.environment);
    let form = course.world.get_as(&course.sam.proof, &form).await;
    assert!(form.body.contains("3 of 4"), "what is held stands beside the form: {}", form.body);
    assert!(form.body.contains("disabled"), "what does not fit can't be chosen");
}

#[tokio::test]
async fn a_refused_button_says_why() {
    let course = Course::new().await;
    let run = run_of(&course.ask_for("demo", "one").await);
    let answer = course.world.get_as(&course.sam.proof, "/api/v1/clusters").await;
    let id = answer.json()[0]["id"].as_str().expect("an id").parse().expect("an id");
    course.world.grant(&id, &course.kim, Level::View).await;
    let change = format!("/clusters/{id}/change");
    let page = course.world.get_as(&course.kim.proof, &change).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("This needs the right to edit this cluster; you may view it."));
    assert!(page.body.contains("This needs the right to own this cluster"), "{}", page.body);
    assert!(!page.body.contains("action=\"/clusters/"), "no form that would be refused");
    let page = course.world.get_as(&course.kim.proof, &run).await;
    assert!(page.body.contains("disabled"), "{}", page.body);

    let protect = format!("/clusters/{id}/protection");
    course.world.post_as(&course.sam.proof, &protect, &[("protected", "true")]).await;
    let page = course.world.get_as(&course.sam.proof, &change).await;
    assert!(page.body.contains("Take the protection away first"), "{}", page.body);
    let end = format!("/clusters/{id}/destroy");
    let refused = course.world.post_as(&course.sam.proof, &end, &[("name", "demo")]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    course.world.post_as(&course.sam.proof, &protect, &[("protected", "false")]).await;
    let refused = course.world.post_as(&course.sam.proof, &end, &[("name", "dem")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(read(&refused).contains("Type the cluster's name, demo, to destroy it."));
}

#[tokio::test]
async fn the_file_on_the_page_is_the_file_that_is_applied() {
    let course = Course::new().await;
    run_of(&course.ask_for("demo", "one").await);
    let answer = course.world.get_as(&course.sam.proof, "/api/v1/clusters").await;
    let id = answer.json()[0]["id"].as_str().expect("an id").to_owned();
    let file =
        course.world.get_as(&course.sam.proof, &format!("/api/v1/clusters/{id}/main.tf")).await;
    let page = course.world.get_as(&course.sam.proof, &format!("/clusters/{id}/hcl")).await;
    assert!(read(&page).contains(file.body.trim_end()), "{}", page.body);
}

#[tokio::test]
async fn limits_are_set_seen_and_taken_away() {
    let course = Course::new().await;
    let admin = course.world.person("root", Role::Admin).await;
    run_of(&course.ask_for("demo", "one").await);
    let set =
        async |form: &[(&str, &str)]| course.world.post_as(&admin.proof, "/limits", form).await;
    let wrong = set(&[("scope", "person"), ("of", "nobody"), ("cores", "-1")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong.body.contains("Nobody has this login.") && wrong.body.contains("Give a whole number")
    );
    set(&[("scope", "person"), ("of", "sam"), ("memory_gib", "16"), ("clusters", "2")]).await;
    let page = course.world.get_as(&admin.proof, "/limits").await;
    assert!(page.body.contains("12 / 16") && page.body.contains("1 / 2"), "{}", page.body);
    let home = course.world.get_as(&course.sam.proof, "/").await;
    assert!(home.body.contains("12 of 16 GiB"), "{}", home.body);
    set(&[("scope", "person"), ("of", "sam")]).await;
    let page = course.world.get_as(&admin.proof, "/limits").await;
    assert!(!page.body.contains("12 / 16"), "{}", page.body);
}

/// Whoever holds something or has a limit of their own has a row; the others would only make it longer.
#[tokio::test]
async fn the_table_of_limits_has_a_row_for_each_with_something_to_say() {
    let course = Course::new().await;
    let admin = course.world.person("root", Role::Admin).await;
    course.world.environment("idle").await;
    course.world.environment("limited").await;
    run_of(&course.ask_for("demo", "one").await);
    for form in [
        [("scope", "person"), ("of", ""), ("clusters", "2")],
        [("scope", "person"), ("of", "kim"), ("memory_gib", "16")],
        [("scope", "environment"), ("of", ""), ("cores", "40")],
        [("scope", "environment"), ("of", "limited"), ("machines", "9")],
        [("scope", "site"), ("of", ""), ("disk_gib", "900")],
    ] {
        let set = course.world.post_as(&admin.proof, "/limits", &form).await;
        assert_eq!(set.status, StatusCode::SEE_OTHER, "{}", set.body);
    }
    let page = course.world.get_as(&admin.proof, "/limits").await;
    let table = page.body.split("<tbody>").nth(1).and_then(|rest| rest.split("</tbody>").next());
    let rows: Vec<_> = table.expect("a table").split("</tr>").map(words).collect();
    assert_eq!(
        rows,
        [
            "Everybody together 1 3 6 12 60 / 900",
            "Each person, unless said otherwise 2 – – – –",
            "Each environment, unless said otherwise – – 40 – –",
            "Course k8s-101 k8s-101 1 3 6 / 40 12 60",
            "Course limited limited own limit 0 0 / 9 0 0 0",
            "kim of the tests kim own limit 0 0 0 0 / 16 0",
            "sam of the tests sam 1 / 2 3 6 12 60",
            "",
        ]
    );
}

/// What of a piece of a page is read: the words between its tags.
fn words(html: &str) -> String {
    let texts = html.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
    texts.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn an_administrator_is_told_what_to_do_first() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let home = world.get_as(&admin.proof, "/").await;
    assert!(home.body.contains("/environments/new") && !home.body.contains("/people/new"));
    world.environment("k8s-101").await;
    let home = world.get_as(&admin.proof, "/").await;
    assert!(home.body.contains("/people/new") && !home.body.contains("href=\"/environments/new"));
    world.person("sam", Role::Developer).await;
    assert!(world.get_as(&admin.proof, "/").await.body.contains("Set limits"));
}

/// The policy forbids it, and a browser would silently leave it out.
#[tokio::test]
async fn no_page_has_a_script_or_style_inside() {
    let course = Course::new().await;
    let admin = course.world.person("root", Role::Admin).await;
    let run = run_of(&course.ask_for("demo", "one").await);
    let list =
        course.world.json_as(&admin.proof, Method::GET, "/api/v1/clusters", &json!({})).await;
    let id = list.json()[0]["id"].as_str().expect("an id").to_owned();
    for path in [
        "/".to_owned(),
        "/clusters".to_owned(),
        format!("/environments/{}/clusters/new", course.environment),
        format!("/clusters/{id}"),
        format!("/clusters/{id}/runs"),
        format!("/clusters/{id}/hcl"),
        format!("/clusters/{id}/change"),
        format!("/clusters/{id}/sharing"),
        run,
        "/limits".to_owned(),
        "/nothing".to_owned(),
    ] {
        let body = course.world.get_as(&admin.proof, &path).await.body;
        assert!(body.contains("<main"), "{path}: {body}");
        for inline in [" style=", "<style", " onclick=", " hx-on", "javascript:", "<script>"] {
            assert!(!body.contains(inline), "{path} has {inline}");
        }
    }
}

/// What others made lies here as they published it.
#[test]
fn vendored_files_are_what_their_table_says() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let table: toml::Table =
        toml::from_str(&std::fs::read_to_string(folder.join("vendor.toml")).expect("a table"))
            .expect("TOML");
    let mut named = Vec::new();
    for file in table["file"].as_array().expect("files") {
        let text = |key: &str| file[key].as_str().unwrap_or_else(|| panic!("{key}")).to_owned();
        let bytes = std::fs::read(folder.join(text("name"))).expect("a file");
        let hash = sha2::Sha256::digest(&bytes);
        assert_eq!(hex::encode(hash), text("sha256"), "{}", text("name"));
        assert!(!text("version").is_empty() && !text("licence").is_empty());
        named.push(text("name"));
    }
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        assert!(
            name.rsplit_once('.').is_none_or(|(_, ending)| ending != "js") || named.contains(&name),
            "{name} has no row"
        );
    }
}
