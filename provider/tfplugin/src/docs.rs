//! Registry pages, written from the schema: what the pages say is what the provider does.
//!
//! The form is the one that the Terraform and `OpenTofu` registries show best. A test that calls
//! [`check`] keeps the committed pages true:
//!
//! ```no_run
//! # use kubesmith_tfplugin::{Provider, docs};
//! # fn pages_are_up_to_date(provider: &impl Provider) {
//! let example = |path: &str| std::fs::read_to_string(format!("examples/{path}")).ok();
//! let pages = docs::pages(provider, "wall", example);
//! assert_eq!(docs::check(&pages, "docs".as_ref()).unwrap(), Vec::<String>::new());
//! # }
//! ```

mod function;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::engine::Shape;
use crate::provider::Provider;
use crate::schema::Schema;
use function::function_page;
use schema::write_schema;

/// The folders of a documentation, each with pages of one kind.
const FOLDERS: [&str; 4] = ["resources", "data-sources", "ephemeral-resources", "functions"];

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where it lies in the folder `docs`.
    pub path: String,
    /// Markdown, with the registry's front matter.
    pub text: String,
}

/// All pages of a provider.
///
/// `example` finds examples by their usual paths: `provider/provider.tf`,
/// `resources/NAME/resource.tf`, `resources/NAME/import.sh`, `data-sources/NAME/data-source.tf`,
/// `ephemeral-resources/NAME/ephemeral-resource.tf` and `functions/NAME/function.tf`.
pub fn pages<P: Provider>(
    provider: &P,
    name: &str,
    example: impl Fn(&str) -> Option<String>,
) -> Vec<Page> {
    let prefix = format!("{name}_");
    let page = |folder: &str, kind: &str, type_name: &str, schema: &Schema| {
        let file = kind.to_lowercase().replace(' ', "-");
        let example = |file: &str| example(&format!("{folder}/{type_name}/{file}"));
        let mut text = head(&format!("{type_name} {kind} - {name}"), summary(schema));
        let _ = write!(text, "\n# {type_name} ({kind})\n\n{}\n", schema.description);
        text.push_str(&usage(example(&format!("{file}.tf"))));
        write_schema(&mut text, schema);
        if let Some(command) = example("import.sh") {
            let _ = write!(text, "\n## Import\n\n```shell\n{}\n```\n", command.trim());
        }
        Page {
            path: format!("{folder}/{}.md", type_name.strip_prefix(&prefix).unwrap_or(type_name)),
            text,
        }
    };

    let block = Shape::of_provider::<P::Config>().schema;
    let mut index = head(&format!("{name} Provider"), summary(&block));
    let _ = write!(index, "\n# {name} Provider\n\n{}\n", block.description);
    index.push_str(&usage(example("provider/provider.tf")));
    write_schema(&mut index, &block);
    let mut pages = vec![Page { path: "index.md".to_owned(), text: index }];

    let [resources, sources, ephemerals, functions] = FOLDERS;
    for one in provider.resources().0 {
        pages.push(page(resources, "Resource", one.type_name(), &one.shape().schema));
    }
    for one in provider.data_sources().0 {
        pages.push(page(sources, "Data Source", one.type_name(), &one.shape().schema));
    }
    for one in provider.ephemeral_resources().0 {
        pages.push(page(ephemerals, "Ephemeral Resource", one.type_name(), &one.shape().schema));
    }
    for one in provider.functions().0 {
        let usage = usage(example(&format!("{functions}/{}/function.tf", one.name)));
        pages.push(Page {
            path: format!("{functions}/{}.md", one.name),
            text: function_page(name, one.name, &one.signature, &usage),
        });
    }
    pages
}

/// Compares the pages with the folder that should have them: what differs, is missing, or should
/// not be there.
pub fn check(pages: &[Page], folder: &Path) -> io::Result<Vec<String>> {
    let mut faults = Vec::new();
    for path in strangers(pages, folder)? {
        faults.push(format!("{path} should not be there"));
    }
    for Page { path, text } in pages {
        match std::fs::read_to_string(folder.join(path)) {
            Ok(found) if found == *text => {}
            Ok(_) => faults.push(format!("{path} differs")),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                faults.push(format!("{path} is missing"));
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(faults)
}

/// Writes the pages into a folder, and removes pages of things that the provider does not have.
/// Guides and other files stay.
pub fn write(pages: &[Page], folder: &Path) -> io::Result<()> {
    for path in strangers(pages, folder)? {
        std::fs::remove_file(folder.join(path))?;
    }
    for Page { path, text } in pages {
        let file = folder.join(path);
        std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
        std::fs::write(file, text)?;
    }
    Ok(())
}

/// Pages in our folders that are none of these.
fn strangers(pages: &[Page], folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for kind in FOLDERS {
        let Ok(entries) = std::fs::read_dir(folder.join(kind)) else { continue };
        for entry in entries {
            let file = entry?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let path = format!("{kind}/{name}");
            let is_page = file.extension().is_some_and(|extension| extension == "md");
            if is_page && pages.iter().all(|page| page.path != path) {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

fn head(title: &str, summary: &str) -> String {
    format!("---\npage_title: \"{title}\"\nsubcategory: \"\"\ndescription: |-\n  {summary}\n---\n")
}

fn summary(schema: &Schema) -> &str {
    schema.description.split("\n\n").next().unwrap_or_default()
}

fn usage(example: Option<String>) -> String {
    example
        .map(|text| format!("\n## Example Usage\n\n```terraform\n{}\n```\n", text.trim()))
        .unwrap_or_default()
}
