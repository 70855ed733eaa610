//! The list of messages that users find in the registry is whole: every message of the code is in it and no other,
//! and each one stands in an assertion of the test that its row names.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::code::{is_test, messages};
use crate::tidy::tracked;
use crate::world::root;

const LIST: &str = "provider/docs/guides/errors.md";
/// The list of the framework's own messages, which ours repeats.
const FRAMEWORK: &str = "provider/tfplugin/README.md";

/// A row of the list: the message, its cause and way out, and the file with the test that produces it.
struct Row {
    message: String,
    cells: Vec<String>,
}

/// The rows of tables with this many cells after the message.
fn rows(text: &str, cells: usize) -> Vec<Row> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows =
        rows.map(|row| format!("`{row}").split(" | ").map(str::to_owned).collect::<Vec<_>>());
    let rows = rows.map(|mut row| Row { message: bare(&row.remove(0)), cells: row });
    rows.filter(|row| row.cells.len() == cells).collect()
}

/// Out of its code span, which has two backticks and blanks where the message has some of its own.
fn bare(cell: &str) -> String {
    match cell.strip_prefix("`` ").and_then(|cell| cell.strip_suffix(" ``")) {
        Some(inner) => inner.to_owned(),
        None => cell.trim_matches('`').to_owned(),
    }
}

fn listed() -> String {
    std::fs::read_to_string(root().join(LIST)).expect(LIST)
}

#[test]
fn the_list_has_every_message_of_the_code_and_no_other() {
    let code = messages(&tracked(".rs"));
    assert!(code.len() > 100, "{code:#?}");
    let rows = rows(&listed(), 3);
    let listed: BTreeSet<_> = rows.iter().map(|row| row.message.as_str()).collect();
    assert_eq!(listed.len(), rows.len(), "a message is in the list twice");
    let missing: Vec<_> = code.iter().filter(|(text, _)| !listed.contains(text.as_str())).collect();
    assert!(missing.is_empty(), "{LIST} lacks: {missing:#?}");
    let dead: Vec<_> = listed.iter().filter(|text| !code.contains_key(**text)).collect();
    assert!(dead.is_empty(), "nothing says this any more: {dead:#?}");
    for row in &rows {
        assert!(row.cells.iter().all(|cell| !cell.is_empty()), "{}: an empty cell", row.message);
    }
}

#[test]
fn every_message_is_in_an_assertion_of_the_test_that_its_row_names() {
    let mut tests = BTreeMap::new();
    let mut faults = Vec::new();
    for row in &rows(&listed(), 3) {
        let path = row.cells[2].trim_matches('`').to_owned();
        let said: &BTreeSet<String> = tests.entry(path.clone()).or_insert_with(|| asserted(&path));
        if !said.iter().any(|text| shows(text, &row.message)) {
            faults.push(format!("{path}: {}", row.message));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_frameworks_own_messages_are_in_the_list() {
    let framework = std::fs::read_to_string(root().join(FRAMEWORK)).expect(FRAMEWORK);
    let framework = rows(&framework, 2);
    assert!(framework.len() > 10);
    let list = listed();
    let ours = rows(&list, 2);
    let text = |row: &Row| format!("{} | {}", row.message, row.cells.join(" | "));
    assert_eq!(
        ours.iter().map(text).collect::<Vec<_>>(),
        framework.iter().map(text).collect::<Vec<_>>()
    );
}

/// Whether a text in a test is this message, or enough of it to be no other.
fn shows(text: &str, message: &str) -> bool {
    let (text, message) = (text.to_lowercase(), message.to_lowercase());
    let fixed = message.split('…').map(|part| part.trim_matches([' ', ',', ':', '`']));
    let longest = fixed.max_by_key(|part| part.len()).unwrap_or_default();
    text.contains(longest) || (text.len() > 20 && longest.contains(text.trim()))
}

/// Every text in the tests of a file, snapshots included.
fn asserted(path: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut texts = Texts { inside: path.contains("tests"), found: BTreeSet::new() };
    texts.visit_file(&file);
    texts.found
}

/// Collects the texts of tests: of the whole file, or of its modules of tests.
struct Texts {
    inside: bool,
    found: BTreeSet<String>,
}

impl Texts {
    fn add(&mut self, text: &syn::LitStr) {
        if self.inside {
            // Snapshots are wrapped at the width of a line, too.
            self.found.insert(text.value().split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    fn add_all(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.add_all(group.stream()),
                other => {
                    if let Ok(text) = syn::parse2::<syn::LitStr>(other.into()) {
                        self.add(&text);
                    }
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let before = self.inside;
        self.inside |= module.attrs.iter().any(is_test);
        visit::visit_item_mod(self, module);
        self.inside = before;
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.add(text);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.add_all(call.tokens.clone());
    }
}
