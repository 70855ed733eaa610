//! The life of a resource, as a user's commands lead it.

use serde_json::Value as Json;

use super::core::{Core, Planned, Stored};
use super::rules::{Failure, Rule, Violation};
use super::value::Value;
use super::{Harness, compatible};

type Result<T> = std::result::Result<T, Failure>;

/// What a plan does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    NoOp,
    /// The object is made.
    Create,
    /// It is changed.
    Update,
    /// It is destroyed, and another is made.
    Replace,
    /// It is destroyed.
    Delete,
}

/// An object that exists, with what a state file holds of it.
#[derive(Debug, Clone)]
pub struct Instance {
    pub(crate) type_name: String,
    pub(crate) config: Value,
    pub(crate) stored: Stored,
}

impl Instance {
    /// Its state, as `terraform show -json` has it.
    pub fn state(&self) -> Json {
        self.stored.value.to_json()
    }
}

/// What one change will do; the plan of what is made where something is made.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) action: Action,
    pub(crate) planned: Planned,
}

impl Core {
    /// Validates and plans; a replacement is planned a second time, as something new.
    pub(crate) fn change(&self, type_name: &str, prior: &Stored, config: &Value) -> Result<Change> {
        if !config.is_null() {
            self.validate(type_name, config)?;
        }
        let planned = self.plan(type_name, prior, config)?;
        let action = match (prior.value.is_null(), config.is_null()) {
            (true, _) => Action::Create,
            (false, true) => Action::Delete,
            (false, false) if planned.value == prior.value => Action::NoOp,
            (false, false) if planned.replace.is_empty() => Action::Update,
            (false, false) => Action::Replace,
        };
        if action != Action::Replace {
            return Ok(Change { action, planned });
        }
        let fresh = Stored { value: Value::Null, private: planned.private };
        let again = self.plan(type_name, &fresh, config)?;
        Ok(Change { action, planned: Planned { replace: planned.replace, ..again } })
    }

    /// Plans once more with what has become known, as Terraform does just before it applies. The
    /// plan must still be the one that was approved.
    pub(crate) fn settle(
        &self,
        type_name: &str,
        prior: &Stored,
        approved: &Change,
        config: &Value,
    ) -> Result<Change> {
        const CALL: &str = "plan what has become known";
        let schema = self.resource(type_name)?;
        let replaces = approved.action == Action::Replace;
        // The old object of a replacement is gone by then.
        let prior = if replaces { &Stored::none() } else { prior };
        let last = self.change(type_name, prior, config)?;
        let expected = if replaces { Action::Create } else { approved.action };
        let faults = compatible::faults(schema, &approved.planned.value, &last.planned.value);
        let mut faults: Vec<_> =
            faults.into_iter().map(|fault| Violation { rule: Rule::FinalPlan, ..fault }).collect();
        let calmed = expected == Action::Update && last.action == Action::NoOp;
        if last.action != expected && !calmed {
            let said = format!("planned to {expected:?}, and then to {:?}", last.action);
            faults.push(Violation::new(Rule::FinalAction, "", said));
        }
        if faults.is_empty() { Ok(last) } else { Err(Failure::Broken(CALL, faults)) }
    }

    /// Does what was planned.
    pub(crate) fn carry_out(
        &self,
        type_name: &str,
        prior: &Stored,
        change: &Change,
        config: &Value,
    ) -> Result<Stored> {
        match change.action {
            Action::NoOp => Ok(prior.clone()),
            Action::Create | Action::Update | Action::Delete => {
                self.apply(type_name, &prior.value, &change.planned, config)
            }
            Action::Replace => {
                self.destroy(type_name, prior)?;
                self.apply(type_name, &Value::Null, &change.planned, config)
            }
        }
    }

    /// Destroys an object without looking whether it is gone.
    pub(crate) fn destroy(&self, type_name: &str, prior: &Stored) -> Result<()> {
        let planned = self.plan(type_name, prior, &Value::Null)?;
        self.apply(type_name, &prior.value, &planned, &Value::Null).map(drop)
    }

    /// What the next command finds: the state as the file has it, then as it is.
    pub(crate) fn refresh(&self, type_name: &str, stored: &Stored) -> Result<Option<Stored>> {
        let version = self.resource(type_name)?.version;
        let value = self.upgrade(type_name, version, &stored.value.to_string())?;
        if value != stored.value {
            let said = format!("{} was read from the file as {value}", stored.value);
            let fault = Violation::new(Rule::NoDrift, "", said);
            return Err(Failure::Broken("read the state", vec![fault]));
        }
        self.read(type_name, stored)
    }

    /// After an apply nothing is different, and nothing is to do: with and without a refresh.
    pub(crate) fn settled(
        &self,
        type_name: &str,
        stored: &Stored,
        config: &Value,
    ) -> Result<Stored> {
        const CALL: &str = "plan again after apply";
        let broken = |rule, path: &str, said: String| {
            Failure::Broken(CALL, vec![Violation::new(rule, path, said)])
        };
        let found = self.refresh(type_name, stored)?;
        let found = found.ok_or_else(|| {
            broken(Rule::NoDrift, "", "what was just made is not found".to_owned())
        })?;
        if let Some((path, before, after)) = difference(&stored.value, &found.value, "") {
            return Err(broken(
                Rule::NoDrift,
                &path,
                format!("was {before}, and is read as {after}"),
            ));
        }
        for (state, with) in [(stored, "without a refresh"), (&found, "with a refresh")] {
            let change = self.change(type_name, state, config)?;
            if change.action != Action::NoOp {
                let planned = &change.planned.value;
                let place = difference(&state.value, planned, "");
                let (path, before, after) = place.unwrap_or_default();
                let said =
                    format!("a plan {with} wants to {:?}: {before} to {after}", change.action);
                return Err(broken(Rule::EmptyPlan, &path, said));
            }
        }
        Ok(found)
    }
}

impl Harness {
    /// Makes an object: validate, plan, apply, read, and plans that must be empty.
    #[expect(clippy::needless_pass_by_value, reason = "literals are what one passes")]
    pub fn apply(&mut self, type_name: &str, config: Json) -> Result<Instance> {
        let config = self.config(type_name, &config)?;
        let mut instance =
            Instance { type_name: type_name.to_owned(), config, stored: Stored::none() };
        let config = instance.config.clone();
        self.bring(&mut instance, config)?;
        Ok(instance)
    }

    /// Changes an object to another configuration; says what that took.
    #[expect(clippy::needless_pass_by_value, reason = "literals are what one passes")]
    pub fn update(&mut self, instance: &mut Instance, config: Json) -> Result<Action> {
        let config = self.config(&instance.type_name, &config)?;
        let found = self.core.refresh(&instance.type_name, &instance.stored)?;
        instance.stored = found.unwrap_or_else(Stored::none);
        self.bring(instance, config)
    }

    fn bring(&mut self, instance: &mut Instance, config: Value) -> Result<Action> {
        let (core, type_name) = (&self.core, instance.type_name.as_str());
        let change = core.change(type_name, &instance.stored, &config)?;
        let last = core.settle(type_name, &instance.stored, &change, &config)?;
        // What happens is what was approved; how it ends is what was known last.
        let last = Change { action: change.action, ..last };
        let stored = core.carry_out(type_name, &instance.stored, &last, &config)?;
        instance.stored = core.settled(type_name, &stored, &config)?;
        instance.config = config;
        Ok(change.action)
    }

    /// What a plan for this configuration would do, with what it would plan.
    #[expect(clippy::needless_pass_by_value, reason = "literals are what one passes")]
    pub fn plan(
        &mut self,
        over: Option<&Instance>,
        type_name: &str,
        config: Json,
    ) -> Result<(Action, Json)> {
        let config = self.config(type_name, &config)?;
        let stored = over.map_or_else(Stored::none, |instance| instance.stored.clone());
        let change = self.core.change(type_name, &stored, &config)?;
        Ok((change.action, change.planned.value.to_json()))
    }

    /// What the next command finds of an object: `None` if it is gone.
    pub fn refresh(&mut self, instance: &Instance) -> Result<Option<Instance>> {
        let found = self.core.refresh(&instance.type_name, &instance.stored)?;
        Ok(found.map(|stored| Instance { stored, ..instance.clone() }))
    }

    /// An object from a state file that a provider of this schema version has written.
    #[expect(clippy::needless_pass_by_value, reason = "literals are what one passes")]
    pub fn stored(&mut self, type_name: &str, version: i64, state: Json) -> Result<Instance> {
        let value = self.core.upgrade(type_name, version, &state.to_string())?;
        let stored = Stored { value, private: Vec::new() };
        Ok(Instance { type_name: type_name.to_owned(), config: Value::Null, stored })
    }

    /// Imports an object that exists. What is found must be what was made, but for attributes that
    /// nothing remote remembers: these are named.
    pub fn import(&mut self, made: &Instance, id: &str, forgotten: &[&str]) -> Result<Instance> {
        const CALL: &str = "import the resource";
        let imported = self.core.import(&made.type_name, id)?;
        let found = self.core.refresh(&made.type_name, &imported)?.ok_or_else(|| {
            let said = "what was imported is not found when it is read".to_owned();
            Failure::Broken(CALL, vec![Violation::new(Rule::Import, "", said)])
        })?;
        let differences = made.stored.value.entries().filter_map(|(name, value)| {
            let path = format!(".{name}");
            let (path, before, after) = difference(value, found.value.attribute(name), &path)?;
            let said = format!("was made as {before}, and is imported as {after}");
            (!forgotten.contains(&name.as_str()))
                .then(|| Violation::new(Rule::ImportedAsMade, &path, said))
        });
        let differences: Vec<_> = differences.collect();
        if !differences.is_empty() {
            return Err(Failure::Broken(CALL, differences));
        }
        Ok(Instance { stored: found, ..made.clone() })
    }

    /// Destroys an object, and looks that it is gone.
    #[expect(clippy::needless_pass_by_value, reason = "it is gone afterwards")]
    pub fn destroy(&mut self, instance: Instance) -> Result<()> {
        let (core, type_name) = (&self.core, instance.type_name.as_str());
        core.destroy(type_name, &instance.stored)?;
        match core.read(type_name, &instance.stored) {
            Ok(Some(left)) => {
                let said = format!("it is still found after it was destroyed: {}", left.value);
                let fault = Violation::new(Rule::Gone, "", said);
                Err(Failure::Broken("read what was destroyed", vec![fault]))
            }
            // A refusal finds nothing either: with the object may have gone what it was kept in.
            Ok(None) | Err(Failure::Refused(..)) => Ok(()),
            Err(other) => Err(other),
        }
    }
}

/// The first place at which two values differ.
fn difference(before: &Value, after: &Value, path: &str) -> Option<(String, String, String)> {
    if before == after {
        return None;
    }
    let inside = match (before, after) {
        (Value::Map(ours), Value::Map(theirs)) if ours.keys().eq(theirs.keys()) => ours
            .iter()
            .find_map(|(key, value)| difference(value, &theirs[key], &format!("{path}.{key}"))),
        (Value::List(ours), Value::List(theirs)) if ours.len() == theirs.len() => {
            let pairs = ours.iter().zip(theirs).enumerate();
            pairs
                .into_iter()
                .find_map(|(index, (a, b))| difference(a, b, &format!("{path}[{index}]")))
        }
        _ => None,
    };
    inside.or_else(|| Some((path.to_owned(), before.to_string(), after.to_string())))
}
