//! A provider of boxes on a shelf: each box is a JSON file in a directory.
//!
//! It shows every feature of the crate in little code, and the tests run the real Terraform
//! with it. The label of a box can ask for trouble (`fail-late`, `panic-late`, `slow`, …).

mod box_lookup;
mod boxes;
mod key;
mod label;
mod shelf;

use std::process::ExitCode;

use kubesmith_tfplugin::{
    DataSources, Diag, EphemeralResources, Functions, Model, Provider, Resources, Result, Secret,
    serve,
};
use shelf::Shelf;

fn main() -> ExitCode {
    serve("registry.terraform.io/example/shelf", ShelfProvider)
}

struct ShelfProvider;

/// Boxes on a shelf.
#[derive(Model)]
struct Config {
    /// The directory that is the shelf. Can be set with `SHELF_DIRECTORY`.
    #[tf(optional)]
    directory: Option<String>,
    /// The password of the shelf.
    #[tf(optional)]
    password: Option<Secret<String>>,
    /// How many boxes fit.
    #[tf(default = 100)]
    capacity: u32,
}

impl Provider for ShelfProvider {
    type Config = Config;
    type Client = Shelf;

    async fn configure(&self, terraform_version: &str, config: Config) -> Result<Shelf> {
        tracing::info!(terraform_version, "configured");
        if config.password.is_some_and(|password| password.expose() == "wrong") {
            return Err(Diag::error("Wrong password").at("password").into());
        }
        let directory = config.directory.or_else(|| std::env::var("SHELF_DIRECTORY").ok());
        let directory = directory.ok_or_else(|| {
            Diag::error("No shelf").detail("Set directory or SHELF_DIRECTORY.").at("directory")
        })?;
        Ok(Shelf::new(directory.into(), config.capacity))
    }

    fn resources(&self) -> Resources<Shelf> {
        Resources::new().with(boxes::Boxes)
    }

    fn data_sources(&self) -> DataSources<Shelf> {
        DataSources::new().with(box_lookup::BoxLookup)
    }

    fn ephemeral_resources(&self) -> EphemeralResources<Shelf> {
        EphemeralResources::new().with(key::Keys)
    }

    fn functions(&self) -> Functions {
        Functions::new().with::<label::Label>()
    }
}
