//! The API against its own description: schemathesis asks whatever the document allows, and whatever it does not.

use super::site::Site;
use crate::world::{lab_tool, text};

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[test]
fn no_request_is_answered_with_a_server_error_or_an_undocumented_status() {
    let Some(site) = Site::open() else { return };
    let Some(schemathesis) = lab_tool("schemathesis") else { return };
    let admin = site.bootstrap();
    // Something to find: a course and a cluster whose plan nobody approves.
    let course = site.course(&admin, "algorithms");
    let (cluster, first) = site.ask_for(&admin, &course, "single");
    site.wait_for(&admin, &first, &["awaiting_approval"]);
    let known = format!(
        r#"[parameters]
"path.environment" = "{course}"
"path.cluster" = "{cluster}"
"path.run" = "{first}"
"#
    );
    std::fs::write(site.lab().folder().join("schemathesis.toml"), known).expect("written");
    let mut run = site.lab().inside(schemathesis.to_str().expect("UTF-8"));
    run.current_dir(site.lab().folder());
    run.args(["run", "http://127.0.0.1:8080/api/v1/openapi.json", "--no-color"]);
    run.arg("-H").arg(format!("Authorization: Bearer {}", admin.0));
    run.args(["--checks", CHECKS, "--max-examples", "20", "--generation-deterministic"]);
    run.args(["--suppress-health-check", "all"]);
    // What would take the key away that asks.
    run.args(["--exclude-path-regex", "^/api/v1/keys"]);
    let output = run.output().expect("schemathesis");
    println!("{}", text(&output));
    assert!(output.status.success(), "{}\n{}", text(&output), site.log());
    // Whoever asked could ask to the end.
    site.get(&admin, "/api/v1/me");
}
