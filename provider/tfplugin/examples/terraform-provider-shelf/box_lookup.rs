//! `data "shelf_box"`.

use kubesmith_tfplugin::{Cx, DataSource, Diag, Model, Result, Value};

use crate::shelf::Shelf;

/// Looks at a box that somebody else put on the shelf.
#[derive(Model)]
#[tf(type_name = "shelf_box", timeouts(read = "10s"))]
pub(crate) struct FoundBox {
    /// Its name.
    #[tf(required)]
    name: String,
    /// What is written on it.
    #[tf(computed)]
    label: Value<String>,
    /// What to take for the label of a box without one.
    #[tf(default = "blank")]
    fallback: String,
}

pub(crate) struct BoxLookup;

impl DataSource for BoxLookup {
    type Model = FoundBox;
    type Client = Shelf;

    async fn read(&self, cx: &Cx<Shelf>, mut config: FoundBox) -> Result<FoundBox> {
        let Some(found) = cx.client()?.find(&config.name)? else {
            let diag = Diag::error(format!("There is no box {:?}", config.name));
            return Err(diag.detail("It is not on the shelf.").at("name").into());
        };
        let label = found["label"].as_str().filter(|label| !label.is_empty());
        config.label = label.unwrap_or(&config.fallback).into();
        Ok(config)
    }
}
