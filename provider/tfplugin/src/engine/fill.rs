//! From the plan and what the author returned to the new state.
//!
//! The new state is the plan with its unknowns filled in. A known value that came back changed
//! is an error of ours, which names it: Terraform would only say that the provider is broken,
//! and a value it cannot decode would lose the object from the state.

use crate::diag::{Diag, Diags};
use crate::dynamic::Dyn;
use crate::engine::plan::{means_the_same, with_write_only};
use crate::engine::same;
use crate::path::Path;
use crate::promises::Promises;
use crate::schema::{Attribute, Kind, Nesting, Schema, Type};

/// The state after an operation that succeeded.
pub(crate) fn fill(schema: &Schema, planned: &Dyn, model: &Dyn) -> (Dyn, Diags) {
    let mut filler = Filler { diags: Diags::none(), sensitive: false };
    let state = filler.object(schema, planned, model, &Path::root());
    // Elements that were not planned come as the author wrote them, maybe with such values.
    let state = with_write_only(schema, &state, &Dyn::Null);
    (state.without_unknowns(), filler.diags)
}

/// The state after a read, or after an operation that failed half-way: what the author says,
/// spelled as it was before where that means the same.
pub(crate) fn settle(schema: &Schema, before: &Dyn, model: &Dyn) -> Dyn {
    fill(schema, before, model).0
}

struct Filler {
    diags: Diags,
    /// Are we inside something whose value must not be shown?
    sensitive: bool,
}

impl Filler {
    fn object(&mut self, schema: &Schema, planned: &Dyn, model: &Dyn, path: &Path) -> Dyn {
        let attributes = schema.attributes.iter().map(|attribute| {
            let planned = planned.attribute(attribute.name);
            let path = path.attribute(attribute.name);
            let value = if attribute.framework {
                planned.clone()
            } else if attribute.write_only {
                Dyn::Null
            } else {
                let outer = self.sensitive;
                self.sensitive |= attribute.sensitive;
                let value =
                    self.attribute(attribute, planned, model.attribute(attribute.name), &path);
                self.sensitive = outer;
                value
            };
            (attribute.name.to_owned(), value)
        });
        Dyn::Map(attributes.collect())
    }

    fn attribute(&mut self, attribute: &Attribute, planned: &Dyn, model: &Dyn, path: &Path) -> Dyn {
        match &attribute.kind {
            Kind::Plain(kind) => {
                if means_the_same(attribute, planned, model) {
                    planned.clone()
                } else {
                    self.value(kind, planned, model, path)
                }
            }
            Kind::Nested(nesting, nested) => self.nested(*nesting, nested, planned, model, path),
        }
    }

    fn nested(
        &mut self,
        nesting: Nesting,
        schema: &Schema,
        planned: &Dyn,
        model: &Dyn,
        path: &Path,
    ) -> Dyn {
        match (nesting, planned, model) {
            (Nesting::Single, Dyn::Map(_), Dyn::Map(_)) => {
                self.object(schema, planned, model, path)
            }
            (Nesting::List, Dyn::List(ours), Dyn::List(theirs)) => {
                if ours.len() != theirs.len() {
                    self.changed(planned, model, path);
                }
                let items = theirs.iter().enumerate().map(|(index, item)| match ours.get(index) {
                    Some(planned) => {
                        self.nested(Nesting::Single, schema, planned, item, &path.index(index))
                    }
                    None => item.clone(),
                });
                Dyn::List(items.collect())
            }
            (Nesting::Map, Dyn::Map(ours), Dyn::Map(theirs)) => {
                if !ours.keys().eq(theirs.keys()) {
                    self.changed(planned, model, path);
                }
                let items = theirs.iter().map(|(key, item)| {
                    let item = match ours.get(key) {
                        Some(planned) => {
                            self.nested(Nesting::Single, schema, planned, item, &path.key(key))
                        }
                        None => item.clone(),
                    };
                    (key.clone(), item)
                });
                Dyn::Map(items.collect())
            }
            (Nesting::Set, Dyn::List(ours), Dyn::List(theirs)) => {
                self.set(schema, ours, theirs, path)
            }
            _ => self.leaf(planned, model, path),
        }
    }

    /// Every planned element must have become one of the new ones. Which one, only its value says.
    fn set(&mut self, schema: &Schema, ours: &[Dyn], theirs: &[Dyn], path: &Path) -> Dyn {
        let mut left: Vec<_> = theirs.iter().collect();
        let mut items = Vec::with_capacity(theirs.len());
        // What is known best first: it fits the fewest.
        let mut ours: Vec<_> = ours.iter().collect();
        ours.sort_by_key(|planned| planned.unknown_parts());
        for planned in &ours {
            let found = left.iter().enumerate().find_map(|(place, model)| {
                let mut attempt = Self { diags: Diags::none(), sensitive: self.sensitive };
                let item = attempt.nested(Nesting::Single, schema, planned, model, path);
                attempt.diags.is_empty().then_some((place, item))
            });
            if let Some((place, item)) = found {
                left.swap_remove(place);
                items.push(item);
            }
        }
        if items.len() < ours.len() || !left.is_empty() {
            let ours = ours.into_iter().cloned().collect();
            self.changed(&Dyn::List(ours), &Dyn::List(theirs.to_vec()), path);
            items.extend(left.into_iter().cloned());
        }
        Dyn::List(items)
    }

    /// A value without schema of its own; its parts may be unknown.
    fn value(&mut self, kind: &Type, planned: &Dyn, model: &Dyn, path: &Path) -> Dyn {
        match (kind, planned, model) {
            _ if model.is_wholly_known() && same(kind, planned, model) => planned.clone(),
            (Type::List(kind), Dyn::List(ours), Dyn::List(theirs))
                if ours.len() == theirs.len() =>
            {
                let items = ours.iter().zip(theirs).enumerate().map(|(index, (planned, model))| {
                    self.value(kind, planned, model, &path.index(index))
                });
                Dyn::List(items.collect())
            }
            (Type::Map(kind), Dyn::Map(ours), Dyn::Map(theirs))
                if ours.keys().eq(theirs.keys()) =>
            {
                let items = ours.iter().map(|(key, planned)| {
                    let value = self.value(kind, planned, model.attribute(key), &path.key(key));
                    (key.clone(), value)
                });
                Dyn::Map(items.collect())
            }
            (Type::Object(kinds), Dyn::Map(_), Dyn::Map(_)) => {
                let items = kinds.iter().map(|(name, kind)| {
                    let (planned, model) = (planned.attribute(name), model.attribute(name));
                    (name.clone(), self.value(kind, planned, model, &path.attribute(name)))
                });
                Dyn::Map(items.collect())
            }
            // Which element of a set an unknown one became, nobody can say.
            (Type::Set(_), Dyn::List(_), Dyn::List(_)) if !planned.is_wholly_known() => {
                self.leaf(&Dyn::Unknown(Promises::NOT_NULL), model, path)
            }
            _ => self.leaf(planned, model, path),
        }
    }

    fn leaf(&mut self, planned: &Dyn, model: &Dyn, path: &Path) -> Dyn {
        match planned {
            _ if !model.is_wholly_known() => {
                self.fault(path, "The provider has not said what it is.");
            }
            Dyn::Unknown(promises) => {
                if let Some(reason) = promises.broken_by(model) {
                    self.broken(path, &reason);
                }
            }
            _ if planned == model => {}
            _ => self.changed(planned, model, path),
        }
        model.clone()
    }

    fn changed(&mut self, planned: &Dyn, model: &Dyn, path: &Path) {
        if self.sensitive {
            self.fault(
                path,
                "It is not what was planned. The values are sensitive, so they are not shown.",
            );
        } else {
            self.fault(
                path,
                &format!("Planned was {}, but it became {}.", show(planned), show(model)),
            );
        }
    }

    fn broken(&mut self, path: &Path, reason: &str) {
        let reason = if self.sensitive {
            "The plan promised something of it that is not so. The value is sensitive, so it is \
             not shown."
                .to_owned()
        } else {
            format!("The plan promised that {reason}.")
        };
        self.fault(path, &reason);
    }

    fn fault(&mut self, path: &Path, reason: &str) {
        self.diags.push(
            Diag::error(format!("Unexpected value for {path}"))
                .detail(format!("{reason} This is a fault of the provider; please report it."))
                .at(path),
        );
    }
}

/// A value for a message; long ones only by their kind.
fn show(value: &Dyn) -> String {
    match value {
        Dyn::Bool(value) => value.to_string(),
        Dyn::Number(number) => number.to_string(),
        Dyn::String(text) if text.len() <= 80 => format!("{text:?}"),
        Dyn::String(text) => format!("a string of {} bytes", text.len()),
        Dyn::List(items) => format!("a list of {}", items.len()),
        Dyn::Map(items) => {
            format!("an object with {}", items.keys().cloned().collect::<Vec<_>>().join(", "))
        }
        Dyn::Null | Dyn::Unknown(_) => value.kind_name().to_owned(),
    }
}
