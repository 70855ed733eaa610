//! Every part of a configuration may come from something that does not exist yet.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use serde_json::Value as Json;

use super::core::{Core, Stored};
use super::life::{Action, Instance};
use super::rules::{Failure, Rule, Violation};
use super::schema::{Attribute, Kind, Nesting, Object};
use super::value::{Promise, Type, Value};

/// Plans one configuration many times: any part of it is left out, or not known yet, and becomes
/// known before apply. Each plan must obey the rules, and each last plan must be the first one with
/// its unknown values filled in.
pub struct Unknowns<'a> {
    core: &'a Core,
    type_name: String,
    config: Json,
    over: Option<Stored>,
    cases: u32,
    apply: bool,
}

/// What was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Configurations.
    pub cases: u32,
    /// Those of them that had something unknown.
    pub unknown: u32,
    /// Those that the provider planned, once with the unknown parts and once without.
    pub planned: u32,
    /// Those that were also applied, read and destroyed.
    pub applied: u32,
}

/// What happens to one part of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It stays.
    Kept,
    /// It is left out.
    Dropped,
    /// It is not known at first.
    Unknown {
        not_null: bool,
        /// Does it turn out to be null?
        null: bool,
    },
}

/// A part of the configuration that can be unknown.
#[derive(Debug, Clone)]
struct Part {
    path: Vec<String>,
    /// May it be null?
    optional: bool,
    /// Is it written?
    written: bool,
}

impl<'a> Unknowns<'a> {
    pub(crate) fn new(core: &'a Core, type_name: &str, config: Json) -> Self {
        let type_name = type_name.to_owned();
        Self { core, type_name, config, over: None, cases: 100, apply: false }
    }

    /// Plans a change of this object instead of a new one.
    #[must_use]
    pub fn over(mut self, instance: &Instance) -> Self {
        self.over = Some(instance.stored.clone());
        self
    }

    /// How many configurations; 100 unless said otherwise.
    #[must_use]
    pub fn cases(mut self, cases: u32) -> Self {
        self.cases = cases;
        self
    }

    /// Applies each new object as well, and destroys it again.
    #[must_use]
    pub fn applied(mut self) -> Self {
        self.apply = true;
        self
    }

    /// Tries; the failure is the smallest one that was found.
    pub fn run(self) -> Result<Figures, Failure> {
        let schema = self.core.resource(&self.type_name)?;
        let config = Value::of_json(&self.config, &schema.kind(), &self.type_name);
        let config = config.map_err(Failure::Harness)?;
        let mut parts = Vec::new();
        find_parts(&schema.attributes, &config, &[], &mut parts);
        let fates: Vec<_> = parts.iter().map(fate).collect();

        let figures = RefCell::new(Figures::default());
        let failure = RefCell::new(None);
        let settings = Config { cases: self.cases, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(settings).run(&fates, |fates| {
            let tried = self.one(&config, &parts, &fates, &mut figures.borrow_mut());
            tried.map_err(|fault| {
                let reason = fault.to_string();
                failure.replace(Some(fault));
                TestCaseError::fail(reason)
            })
        });
        match outcome {
            Ok(()) => Ok(figures.into_inner()),
            Err(TestError::Abort(reason)) => Err(Failure::Harness(reason.to_string())),
            Err(TestError::Fail(_, fates)) => {
                let said = describe(&parts, &fates);
                Err(match failure.into_inner() {
                    Some(Failure::Broken(call, mut faults)) => {
                        for fault in &mut faults {
                            fault.said = format!("{} [with {said}]", fault.said);
                        }
                        Failure::Broken(call, faults)
                    }
                    other => Failure::Harness(format!("with {said}: {other:?}")),
                })
            }
        }
    }

    fn one(
        &self,
        config: &Value,
        parts: &[Part],
        fates: &[Fate],
        figures: &mut Figures,
    ) -> Result<(), Failure> {
        let (mut first, mut last) = (config.clone(), config.clone());
        // What is inside comes first, so that what is around it has the last word.
        for (part, fate) in parts.iter().zip(fates).rev() {
            let (now, later) = match fate {
                Fate::Kept => continue,
                Fate::Dropped => (Some(Value::Null), Some(Value::Null)),
                Fate::Unknown { not_null, null } => {
                    let promise = Promise { not_null: *not_null, ..Promise::default() };
                    (Some(Value::Unknown(promise)), null.then_some(Value::Null))
                }
            };
            put(&mut first, &part.path, now);
            put(&mut last, &part.path, later);
        }
        figures.cases += 1;
        figures.unknown += u32::from(!first.is_wholly_known());

        let (core, type_name) = (self.core, self.type_name.as_str());
        let prior = self.over.clone().unwrap_or_else(Stored::none);
        let approved = match core.change(type_name, &prior, &first) {
            Ok(approved) => approved,
            Err(Failure::Refused(call, messages)) => {
                // As it may, if it would do the same to whatever it turns out to be.
                return match core.change(type_name, &prior, &last) {
                    Ok(_) => {
                        let said = format!("was refused before it was known: {}", messages[0]);
                        let fault = Violation::new(Rule::UnknownIsValid, "", said);
                        Err(Failure::Broken(call, vec![fault]))
                    }
                    Err(Failure::Refused(..)) => Ok(()),
                    Err(other) => Err(other),
                };
            }
            Err(other) => return Err(other),
        };
        let settled = match core.settle(type_name, &prior, &approved, &last) {
            // What has become known may be wrong.
            Err(Failure::Refused(..)) => return Ok(()),
            other => other?,
        };
        figures.planned += 1;
        if self.apply && settled.action == Action::Create {
            match core.carry_out(type_name, &prior, &settled, &last) {
                Ok(stored) => {
                    let tried = core.settled(type_name, &stored, &last);
                    core.destroy(type_name, &stored)?;
                    tried?;
                    figures.applied += 1;
                }
                Err(Failure::Refused(..)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}

fn fate(part: &Part) -> BoxedStrategy<Fate> {
    let Part { optional, written, .. } = *part;
    let unknown = (any::<bool>(), any::<bool>()).prop_map(move |(not_null, null)| Fate::Unknown {
        not_null: not_null && written,
        null: null && optional && !(not_null && written),
    });
    if optional && written {
        prop_oneof![3 => Just(Fate::Kept), 1 => Just(Fate::Dropped), 2 => unknown].boxed()
    } else {
        prop_oneof![3 => Just(Fate::Kept), 1 => unknown].boxed()
    }
}

/// Every part of the configuration that somebody can write, what is around before what is inside.
fn find_parts(attributes: &[Attribute], config: &Value, path: &[String], found: &mut Vec<Part>) {
    for attribute in attributes.iter().filter(|one| one.required || one.optional) {
        let value = config.attribute(&attribute.name);
        let path = [path, std::slice::from_ref(&attribute.name)].concat();
        // An attribute that is not written can be there all the same, when it comes from elsewhere.
        found.push(Part {
            path: path.clone(),
            optional: attribute.optional,
            written: !value.is_null(),
        });
        match &attribute.kind {
            Kind::Plain(kind) => find_elements(kind, value, &path, found),
            Kind::Nested(nesting, nested) => find_objects(*nesting, nested, value, &path, found),
        }
    }
}

fn find_objects(
    nesting: Nesting,
    nested: &Object,
    value: &Value,
    path: &[String],
    found: &mut Vec<Part>,
) {
    let inside = |key: String| [path, &[key]].concat();
    match (nesting, value) {
        (Nesting::Single, Value::Map(_)) => find_parts(&nested.attributes, value, path, found),
        (Nesting::Map, _) => {
            for (key, item) in value.entries() {
                find_parts(&nested.attributes, item, &inside(key.clone()), found);
            }
        }
        _ => {
            for (index, item) in value.elements().iter().enumerate() {
                find_parts(&nested.attributes, item, &inside(index.to_string()), found);
            }
        }
    }
}

/// The elements of a plain collection.
fn find_elements(kind: &Type, value: &Value, path: &[String], found: &mut Vec<Part>) {
    let mut inside = |key: String| {
        found.push(Part { path: [path, &[key]].concat(), optional: false, written: true });
    };
    match (kind, value) {
        (Type::List(_) | Type::Set(_), _) => {
            (0..value.count()).for_each(|index| inside(index.to_string()));
        }
        (Type::Map(_), Value::Map(items)) => items.keys().cloned().for_each(inside),
        _ => {}
    }
}

/// Puts a value where the path leads; nowhere, if what is around it is not there.
fn put(value: &mut Value, path: &[String], new: Option<Value>) {
    let Some(new) = new else { return };
    let Some((step, rest)) = path.split_first() else {
        *value = new;
        return;
    };
    let inner = match value {
        Value::Map(items) => items.get_mut(step),
        Value::List(items) | Value::Set(items) => {
            step.parse().ok().and_then(|index: usize| items.get_mut(index))
        }
        _ => None,
    };
    if let Some(inner) = inner {
        put(inner, rest, Some(new));
    }
}

fn describe(parts: &[Part], fates: &[Fate]) -> String {
    let parts = parts.iter().zip(fates).filter_map(|(part, fate)| {
        let place = part.path.join(".");
        Some(match fate {
            Fate::Kept => return None,
            Fate::Dropped => format!("{place} left out"),
            Fate::Unknown { null: true, .. } => format!("{place} unknown and then null"),
            Fate::Unknown { not_null: true, .. } => format!("{place} unknown but not null"),
            Fate::Unknown { .. } => format!("{place} unknown"),
        })
    });
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { "everything as written".to_owned() } else { parts.join(", ") }
}
