//! The plan as a resource's plan hook sees and changes it.

use std::fmt;
use std::marker::PhantomData;

use crate::attribute::AttributeType;
use crate::diag::{Diag, Diags};
use crate::dynamic::{Dyn, UNKNOWN};
use crate::engine::{Planned, conforms, same};
use crate::model::Model;
use crate::path::{Path, Step};
use crate::promises::Promises;
use crate::schema::{Kind, Nesting, Type};
use crate::value::Value;

/// The plan of one object: what was, what the user wrote, what will be.
pub struct Plan<M> {
    config: Dyn,
    prior: Dyn,
    planned: Planned,
    diags: Diags,
    model: PhantomData<fn() -> M>,
}

/// Values may be secret, so they are not shown.
impl<M> fmt::Debug for Plan<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Plan").field("replace", &self.planned.replace).finish_non_exhaustive()
    }
}

impl<M: Model> Plan<M> {
    pub(crate) fn new(config: Dyn, prior: Dyn, planned: Planned) -> Self {
        Self { config, prior, planned, diags: Diags::none(), model: PhantomData }
    }

    /// Will the object be made?
    pub fn is_create(&self) -> bool {
        self.prior.is_null()
    }

    /// Will the object be removed?
    pub fn is_destroy(&self) -> bool {
        self.planned.value.is_null()
    }

    /// Does anything change, or is something to be replaced?
    pub fn is_change(&self) -> bool {
        !same(&object_type::<M>(), &self.prior, &self.planned.value)
    }

    /// The state before; `None` for a create.
    pub fn prior(&self) -> Option<M> {
        M::decode(&self.prior, &Path::root()).ok()
    }

    /// The planned object; `None` for a destroy, and while something the user wrote is unknown.
    pub fn planned(&self) -> Option<M> {
        M::decode(&self.planned.value, &Path::root()).ok()
    }

    /// A planned value.
    pub fn get<T: AttributeType>(&self, path: impl Into<Path>) -> Value<T> {
        read(&self.planned.value, &path.into())
    }

    /// What the user wrote.
    pub fn config<T: AttributeType>(&self, path: impl Into<Path>) -> Value<T> {
        read(&self.config, &path.into())
    }

    /// The value before.
    pub fn before<T: AttributeType>(&self, path: impl Into<Path>) -> Value<T> {
        read(&self.prior, &path.into())
    }

    /// Will this value change (or may it, being unknown)? Always false for create and destroy.
    pub fn changes(&self, path: impl Into<Path>) -> bool {
        let path = path.into();
        if self.is_create() || self.is_destroy() {
            return false;
        }
        let before = lookup(&self.prior, path.steps()).unwrap_or(&Dyn::Null);
        let after = lookup(&self.planned.value, path.steps()).unwrap_or(&Dyn::Null);
        type_at(&object_type::<M>(), path.steps()).is_none_or(|kind| !same(kind, before, after))
    }

    /// Plans this value. Only computed attributes that the user did not write can be planned.
    #[expect(clippy::needless_pass_by_value, reason = "literals are what one sets")]
    pub fn set(&mut self, path: impl Into<Path>, value: impl AttributeType) {
        self.put(&path.into(), value.encode());
    }

    /// Plans that this computed value is only known after apply.
    pub fn set_unknown(&mut self, path: impl Into<Path>) {
        self.put(&path.into(), UNKNOWN);
    }

    /// Plans that this computed value is only known after apply, and promises something of it.
    /// Terraform can answer more questions in the plan then; a promise that is not kept is an
    /// error.
    pub fn promise(&mut self, path: impl Into<Path>, promises: Promises) {
        self.put(&path.into(), Dyn::Unknown(promises));
    }

    /// What is promised of a planned value that is not known yet: by the provider, or by
    /// Terraform of what the user wrote.
    pub fn promises(&self, path: impl Into<Path>) -> Option<Promises> {
        match lookup(&self.planned.value, path.into().steps())? {
            Dyn::Unknown(promises) => Some(promises.clone()),
            _ => None,
        }
    }

    /// Plans a replacement because this attribute changes.
    pub fn replace(&mut self, path: impl Into<Path>) {
        self.planned.replace.push(path.into());
    }

    /// Shows a warning or an error with the plan.
    pub fn diag(&mut self, diag: Diag) {
        self.diags.push(diag);
    }

    pub(crate) fn into_parts(self) -> (Planned, Diags) {
        (self.planned, self.diags)
    }

    fn put(&mut self, path: &Path, value: Dyn) {
        let fits =
            type_at(&object_type::<M>(), path.steps()).is_some_and(|kind| conforms(kind, &value));
        let written = lookup(&self.config, path.steps()).is_some_and(|value| !value.is_null());
        match lookup_mut(&mut self.planned.value, path.steps()) {
            Some(place) if fits && !written => *place = value,
            _ => self.diags.push(
                Diag::error(format!("The provider cannot plan {path}"))
                    .detail(
                        "The attribute is written in the configuration, is of another type, or \
                         does not exist. This is a fault of the provider; please report it.",
                    )
                    .at(path),
            ),
        }
    }
}

fn object_type<M: Model>() -> Type {
    Kind::Nested(Nesting::Single, M::schema()).as_type()
}

fn type_at<'a>(kind: &'a Type, steps: &[Step]) -> Option<&'a Type> {
    let Some((step, rest)) = steps.split_first() else { return Some(kind) };
    let inner = match (kind, step) {
        (Type::Object(attributes), Step::Attribute(name)) => attributes.get(name)?,
        (Type::List(item), Step::Index(_)) | (Type::Map(item), Step::Key(_)) => item,
        _ => return None,
    };
    type_at(inner, rest)
}

fn read<T: AttributeType>(object: &Dyn, path: &Path) -> Value<T> {
    let value = lookup(object, path.steps()).unwrap_or(&Dyn::Null);
    // A whole that is unknown makes its parts unknown; a type that does not fit is the author's
    // mistake, which no user should see as a null.
    Value::<T>::decode(value, path)
        .unwrap_or_else(|faults| panic!("{path} was read as another type: {faults:?}"))
}

fn lookup<'a>(value: &'a Dyn, steps: &[Step]) -> Option<&'a Dyn> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match (value, step) {
        (Dyn::Unknown(_), _) => Some(value),
        (Dyn::Map(items), Step::Attribute(name) | Step::Key(name)) => {
            lookup(items.get(name)?, rest)
        }
        (Dyn::List(items), Step::Index(index)) => lookup(items.get(*index)?, rest),
        _ => None,
    }
}

fn lookup_mut<'a>(value: &'a mut Dyn, steps: &[Step]) -> Option<&'a mut Dyn> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match (value, step) {
        (Dyn::Map(items), Step::Attribute(name) | Step::Key(name)) => {
            lookup_mut(items.get_mut(name)?, rest)
        }
        (Dyn::List(items), Step::Index(index)) => lookup_mut(items.get_mut(*index)?, rest),
        _ => None,
    }
}
