//! The two wrappers an author meets in a model: a computed value, and a secret one.

use std::fmt;

use zeroize::Zeroize;

use crate::diag::{Diag, Result};

/// A computed attribute: in a plan it may not be known yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value<T> {
    /// There is no value.
    #[default]
    Null,
    /// There will be one after apply.
    Unknown,
    /// This is the value.
    Known(T),
}

impl<T> Value<T> {
    /// The value, or an error that says it is missing.
    pub fn known(&self) -> Result<&T> {
        self.as_ref().ok_or_else(|| {
            Diag::error("A value is missing from the state")
                .detail("An attribute that the provider sets itself has no value yet.")
                .into()
        })
    }

    /// The value, if there is one.
    pub fn as_ref(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// The value itself, if there is one.
    pub fn into_known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// Is it only known after apply?
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Is there no value?
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<T> From<T> for Value<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl From<&str> for Value<String> {
    fn from(value: &str) -> Self {
        Self::Known(value.to_owned())
    }
}

impl<T> From<Option<T>> for Value<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Known)
    }
}

/// A value that is never shown: sensitive in the schema, hidden in `Debug`, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize = String>(T);

impl<T: Zeroize> Secret<T> {
    /// Hides a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(sensitive)")
    }
}
