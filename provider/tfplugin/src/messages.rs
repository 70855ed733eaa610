//! Every message of the framework's own is in the README's list.

use std::fs;
use std::path::Path;

/// The summaries in the sources: what stands before the first placeholder.
fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let is_test = path.components().any(|part| part.as_os_str() == "tests")
            || path.ends_with("tests.rs")
            || path.ends_with("messages.rs");
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        for call in code.split("Diag::error(").skip(1).filter(|_| !is_test) {
            let literal = call.trim_start_matches("format!(").trim_start();
            let Some(summary) = literal.strip_prefix('"') else { continue };
            let summary = summary.split('"').next().unwrap_or_default();
            let fixed = summary.split(['{', '}']).filter(|part| part.len() > 8);
            found.extend(fixed.map(|part| part.trim().to_owned()));
        }
    }
}

#[test]
fn every_message_is_in_the_list() {
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 15, "{found:?}");
    let list = include_str!("../README.md");
    found.retain(|part| !list.contains(part.as_str()));
    assert_eq!(found, Vec::<String>::new());
}
