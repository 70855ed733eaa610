//! `ephemeral "shelf_key"`.

use std::time::Duration;

use kubesmith_tfplugin::{Cx, EphemeralResource, Model, Result, Secret, Value};
use serde_json::json;

use crate::shelf::Shelf;

/// A key for a box, which is taken back when Terraform is done.
#[derive(Model)]
#[tf(type_name = "shelf_key", timeouts(open = "10s"))]
pub(crate) struct Key {
    /// The box that it opens.
    #[tf(required)]
    name: String,
    /// How long the key fits; it is prolonged before.
    #[tf(default = "1h")]
    fits: Duration,
    /// What opens the box.
    #[tf(computed)]
    code: Value<Secret<String>>,
}

pub(crate) struct Keys;

impl EphemeralResource for Keys {
    type Model = Key;
    type Client = Shelf;

    async fn open(&self, cx: &Cx<Shelf>, mut config: Key) -> Result<Key> {
        cx.client()?.put(&format!("{}.key", config.name), &json!({ "renewed": 0 }))?;
        cx.set_private("box", &config.name)?;
        cx.set_private("fits", &config.fits)?;
        cx.renew_after(config.fits);
        config.code = Secret::new(format!("opens {}", config.name)).into();
        Ok(config)
    }

    async fn renew(&self, cx: &Cx<Shelf>) -> Result<()> {
        let name: String = cx.private("box")?.unwrap_or_default();
        let renewed = cx.client()?.renewals(&name)? + 1;
        cx.client()?.put(&format!("{name}.key"), &json!({ "renewed": renewed }))?;
        cx.renew_after(cx.private("fits")?.unwrap_or_default());
        Ok(())
    }

    async fn close(&self, cx: &Cx<Shelf>) -> Result<()> {
        let name: String = cx.private("box")?.unwrap_or_default();
        cx.client()?.rename(&format!("{name}.key"), &format!("{name}.returned"))?;
        Ok(())
    }
}
