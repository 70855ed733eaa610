//! The registry's pages in `docs/` are what the schema says.

use std::fs;
use std::path::Path;

use kubesmith_tfplugin::docs;

use crate::provider::{Kubesmith, environment};

/// `KUBESMITH_WRITE_DOCS=1 cargo test -p terraform-provider-kubesmith pages` writes them anew.
#[test]
fn they_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let example = |path: &str| fs::read_to_string(folder.join("examples").join(path)).ok();
    let pages = docs::pages(&Kubesmith, "kubesmith", example);
    for page in pages.iter().filter(|page| page.path != "index.md") {
        assert!(page.text.contains("## Example Usage"), "{} has no example", page.path);
    }
    if environment("KUBESMITH_WRITE_DOCS").is_some() {
        docs::write(&pages, &folder).unwrap();
    }
    assert_eq!(docs::check(&pages, &folder).unwrap(), Vec::<String>::new(), "write them anew");
}
