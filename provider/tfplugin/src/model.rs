//! Structs that are a schema: what `#[derive(Model)]` implements.

use std::fmt::Display;

use crate::attribute::{AttributeType, invalid};
use crate::diag::{Diags, Result};
use crate::dynamic::Dyn;
use crate::path::Path;
use crate::schema::Schema;

/// A struct whose fields are attributes. Implemented by `#[derive(Model)]` alone.
///
/// A schema that Terraform would refuse, or a type that cannot hold what may come, does not
/// compile:
///
/// ```compile_fail
/// # use kubesmith_tfplugin::Model;
/// /// A note.
/// #[derive(Model)]
/// struct Note {
///     /// May be null, which a String cannot say.
///     #[tf(optional)]
///     text: String,
/// }
/// ```
///
/// ```compile_fail
/// # use kubesmith_tfplugin::{Model, Value};
/// /// A note.
/// #[derive(Model)]
/// struct Note {
///     /// Who should set it?
///     #[tf(required, computed)]
///     text: Value<String>,
/// }
/// ```
///
/// ```compile_fail
/// # use kubesmith_tfplugin::Model;
/// /// A note.
/// #[derive(Model)]
/// struct Note {
///     #[tf(required)] // without a doc comment
///     text: String,
/// }
/// ```
pub trait Model: Sized + Send + Sync + 'static {
    /// The schema.
    fn schema() -> Schema;

    /// Reads an object.
    fn decode(value: &Dyn, path: &Path) -> Result<Self>;

    /// Writes the object.
    fn encode(&self) -> Dyn;
}

/// A [`Model`] with a `type_name`: one that can be a resource.
pub trait ResourceModel: Model {
    /// The resource's name in HCL.
    const TYPE_NAME: &'static str;
}

/// Reads the attributes of one object and gathers every fault, not only the first.
#[doc(hidden)]
#[derive(Debug)]
pub struct Fields<'a> {
    value: &'a Dyn,
    path: &'a Path,
    faults: Diags,
}

impl<'a> Fields<'a> {
    /// Starts to read an object.
    pub fn of(value: &'a Dyn, path: &'a Path) -> Result<Self> {
        match value {
            Dyn::Map(_) => Ok(Self { value, path, faults: Diags::none() }),
            other => {
                Err(invalid(path, format!("It must be an object, but is {}.", other.kind_name())))
            }
        }
    }

    /// One attribute.
    pub fn read<T: AttributeType>(&mut self, name: &str) -> Option<T> {
        match T::decode(self.value.attribute(name), &self.path.attribute(name)) {
            Ok(value) => Some(value),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }

    /// What was wrong.
    pub fn into_faults(self) -> Diags {
        self.faults
    }
}

/// Runs an author's `validate = f` on a value that is there and wholly known.
#[doc(hidden)]
pub fn validate_with<T: AttributeType, E: Display>(
    value: &Dyn,
    path: &Path,
    diags: &mut Diags,
    validate: impl Fn(&T) -> std::result::Result<(), E>,
) {
    if value.is_null() || !value.is_wholly_known() {
        return;
    }
    if let Ok(typed) = T::decode(value, path)
        && let Err(reason) = validate(&typed)
    {
        diags.extend(invalid(path, reason.to_string()));
    }
}
