//! `shelf_box`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use kubesmith_tfplugin::{
    Cx, Diag, Diags, Model, Moved, Number, Plan, Resource, Result, Secret, Text, Value,
};
use serde_json::json;

use crate::shelf::Shelf;

/// A box.
///
/// It stands on the shelf until it is destroyed.
#[derive(Model)]
#[tf(type_name = "shelf_box", version = 2, timeouts(create = "1m", update = "1m", delete = "30s"))]
pub(crate) struct Box {
    /// Identifier of the box.
    #[tf(computed, keep, not_null)]
    id: Value<String>,
    /// Its name.
    #[tf(required, replace, identity, validate = lower_case)]
    name: String,
    /// What is written on it.
    #[tf(default = "plain")]
    label: String,
    /// How heavy it is.
    #[tf(optional)]
    weight: Option<Number>,
    /// Where its owner can be reached.
    #[tf(optional)]
    owner: Option<IpAddr>,
    /// When to look at it again.
    #[tf(default = "1h")]
    reminder: Duration,
    /// On what floor it stands.
    #[tf(optional, computed)]
    floor: Value<i64>,
    /// What is in it.
    #[tf(default = Vec::new())]
    contents: Vec<Item>,
    /// The lock on it.
    #[tf(optional)]
    lock: Option<Lock>,
    /// Words to find it by.
    #[tf(optional)]
    words: Option<BTreeSet<String>>,
    /// A note that is put inside, where nobody sees it from outside.
    #[tf(optional, write_only)]
    note_wo: Option<Secret<String>>,
    /// The number of the note. Another number puts the note inside anew.
    #[tf(optional)]
    note_wo_version: Option<i64>,
    /// Stickers on it.
    #[tf(optional)]
    stickers: Option<BTreeSet<Sticker>>,
    /// Remarks, by who made them.
    #[tf(optional)]
    remarks: Option<BTreeMap<String, Remark>>,
    /// How often it was changed, and when last.
    #[tf(computed)]
    changes: Value<Vec<Change>>,
    /// The receipt.
    #[tf(computed, keep, prefix = "receipt ")]
    receipt: Value<Secret<String>>,
}

/// A thing in a box.
#[derive(Model)]
pub(crate) struct Item {
    /// What it is.
    #[tf(required)]
    what: String,
    /// How many there are.
    #[tf(default = 1)]
    count: u16,
}

/// A sticker.
#[derive(Model, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sticker {
    /// What it says.
    #[tf(required)]
    text: String,
    /// Its colour.
    #[tf(default = "white")]
    colour: String,
    /// Its number, which it has as long as it is on the box.
    #[tf(computed, keep, not_null)]
    number: Value<u32>,
}

/// A lock.
#[derive(Model)]
pub(crate) struct Lock {
    /// What opens it.
    #[tf(required)]
    code: Secret<String>,
    /// How it works; a lock cannot be exchanged.
    #[tf(default = "key", replace)]
    kind: String,
    /// Its number.
    #[tf(computed, keep)]
    serial: Value<String>,
}

/// A remark.
#[derive(Model)]
pub(crate) struct Remark {
    /// What was said.
    #[tf(required)]
    text: Text<char>,
}

/// A change of a box.
#[derive(Model)]
#[tf(computed)]
pub(crate) struct Change {
    /// Its number.
    number: u32,
    /// What was written on the box.
    label: String,
}

pub(crate) struct Boxes;

impl Resource for Boxes {
    type Model = Box;
    type Client = Shelf;

    async fn create(&self, cx: &Cx<Shelf>, mut plan: Box) -> Result<Box> {
        let shelf = cx.client()?;
        if plan.label == "fail-early" {
            return Err(Diag::error("The shelf is full").detail("Make room first.").into());
        }
        plan.id = plan.name.as_str().into();
        plan.receipt = Secret::new(format!("receipt for {}", plan.name)).into();
        shelf.put(&plan.name, &json!({ "label": "unfinished" }))?;
        cx.checkpoint(&plan);
        match plan.label.as_str() {
            "fail-late" => Err(Diag::error("The box fell down").into()),
            "panic-late" => panic!("the box exploded"),
            "slow" => {
                cx.cancelled().await;
                Err(Diag::error("Interrupted").detail("The box is half made.").into())
            }
            "stubborn" => std::future::pending().await,
            _ => {
                while plan.label == "patient" && shelf.renewals(&plan.name)? < 2 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                plan.finish(1);
                plan.store(shelf)?;
                cx.set_private("made_by", &"create")?;
                if plan.label == "wrong" {
                    plan.label.push_str(" turn");
                }
                Ok(plan)
            }
        }
    }

    async fn read(&self, cx: &Cx<Shelf>, mut state: Box) -> Result<Option<Box>> {
        let Some(found) = cx.client()?.find(&state.name)? else { return Ok(None) };
        // Something to keep beside the object: how often it was looked at.
        cx.set_private("looks", &(cx.private::<u32>("looks")?.unwrap_or(0) + 1))?;
        found["label"].as_str().unwrap_or_default().clone_into(&mut state.label);
        Ok(Some(state))
    }

    async fn update(&self, cx: &Cx<Shelf>, prior: Box, mut plan: Box) -> Result<Box> {
        if plan.label == "fail-update" {
            return Err(Diag::error("The label does not stick").at("label").into());
        }
        let count = prior.changes.known()?.len();
        plan.finish(u32::try_from(count)? + 1);
        tracing::info!(
            looks = cx.private::<u32>("looks")?,
            made_by = cx.private::<String>("made_by")?,
            planned = cx.private::<bool>("planned")?,
            "what is known of the box"
        );
        plan.store(cx.client()?)?;
        Ok(plan)
    }

    async fn delete(&self, cx: &Cx<Shelf>, state: Box) -> Result<()> {
        Ok(cx.client()?.remove(&state.name)?)
    }

    async fn import(&self, cx: &Cx<Shelf>, id: &str) -> Result<Option<Box>> {
        let Some(found) = cx.client()?.find(id)? else { return Ok(None) };
        let mut one = Box {
            id: id.into(),
            name: id.to_owned(),
            label: found["label"].as_str().unwrap_or_default().to_owned(),
            weight: None,
            owner: None,
            reminder: Duration::from_hours(1),
            floor: Value::Unknown,
            contents: Vec::new(),
            lock: None,
            words: None,
            stickers: None,
            note_wo: None,
            note_wo_version: None,
            remarks: None,
            changes: Value::Unknown,
            receipt: Secret::new(format!("receipt for {id}")).into(),
        };
        one.finish(1);
        Ok(Some(one))
    }

    async fn plan(&self, cx: &Cx<Shelf>, plan: &mut Plan<Box>) -> Result<()> {
        if plan.is_destroy() {
            if plan.before::<String>("label").as_ref().is_some_and(|label| label == "precious") {
                cx.warn(Diag::warning("A precious box will be destroyed"));
            }
            return Ok(());
        }
        cx.set_private("planned", &true)?;
        // A box that gets more than twice as full has to be a new one.
        let count = |value: Value<Vec<Item>>| value.into_known().map(|items| items.len());
        if let (Some(before), Some(after)) =
            (count(plan.before("contents")), count(plan.get("contents")))
            && after > 2 * before.max(1)
        {
            plan.replace("contents");
        }
        // Ground floor for what is heavy: known before apply.
        if let Value::Known(weight) = plan.get::<Number>("weight")
            && weight.as_f64() > 100.0
            && plan.config::<i64>("floor").is_null()
        {
            plan.set("floor", 0);
        }
        if cx.configured_client().is_some_and(|shelf| shelf.capacity == 0) {
            plan.diag(Diag::warning("The shelf has no room").at("name"));
        }
        Ok(())
    }

    fn validate(&self, config: &Box, diags: &mut Diags) {
        if config.label == config.name {
            diags.push(Diag::error("The label says nothing new").at("label"));
        }
    }

    fn upgrade(&self, version: i64, mut state: serde_json::Value) -> Result<serde_json::Value> {
        match version {
            // Version 0 called the label a heading, version 1 a title.
            0 => state["title"] = state["heading"].take(),
            _ => state["label"] = state["title"].take(),
        }
        Ok(state)
    }

    fn moved(&self, source: &Moved<'_>) -> Result<Option<serde_json::Value>> {
        if source.type_name != "shelf_chest" {
            return Ok(None);
        }
        let name = &source.state["owner"];
        Ok(Some(json!({
            "id": name, "name": name, "label": "chest", "receipt": "lost", "floor": 1, "changes": [],
        })))
    }
}

impl Box {
    /// Sets what only the shelf knows.
    fn finish(&mut self, changes: u32) {
        let change = |number| Change { number, label: self.label.clone() };
        self.changes = (1..=changes).map(change).collect::<Vec<_>>().into();
        if self.floor.is_unknown() {
            self.floor = Value::Known(1);
        }
        let stickers = self.stickers.take().map(|stickers| {
            let used = stickers.iter().filter_map(|one| one.number.as_ref().copied()).max();
            let mut numbers = used.unwrap_or(0) + 1..;
            let number = |mut one: Sticker| {
                if one.number.is_unknown() {
                    one.number = numbers.next().into();
                }
                one
            };
            stickers.into_iter().map(number).collect()
        });
        self.stickers = stickers;
        if let Some(lock) = &mut self.lock {
            lock.serial = format!("{}-{}", self.name, lock.kind).into();
        }
    }

    fn store(&self, shelf: &Shelf) -> std::io::Result<()> {
        let mut content = json!({ "label": self.label, "items": self.contents.len() });
        if let Some(note) = &self.note_wo {
            content["note"] = note.expose().as_str().into();
        }
        shelf.put(&self.name, &content)
    }
}

fn lower_case(name: &String) -> std::result::Result<(), String> {
    if name.chars().any(char::is_uppercase) {
        return Err(format!("{name:?} has capital letters."));
    }
    Ok(())
}
