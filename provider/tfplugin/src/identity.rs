//! What tells one object from all others of its kind.

use crate::attribute::AttributeType;
use crate::diag::Result;
use crate::dynamic::Dyn;
use crate::path::Path;

/// The identity of an object: the values of the attributes that say `identity`.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity(pub(crate) Dyn);

impl Identity {
    /// One of its attributes.
    pub fn get<T: AttributeType>(&self, name: &str) -> Result<T> {
        T::decode(self.0.attribute(name), &Path::root().attribute(name))
    }

    /// Its value, if it is a single attribute of this type.
    pub(crate) fn only<T: AttributeType>(&self) -> Option<T> {
        match &self.0 {
            Dyn::Map(items) if items.len() == 1 => {
                items.values().next().and_then(|value| T::decode(value, &Path::root()).ok())
            }
            _ => None,
        }
    }
}
