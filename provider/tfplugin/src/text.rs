//! Types of other crates as string attributes.

use std::fmt::{self, Display};
use std::ops::Deref;
use std::str::FromStr;

use crate::attribute::{AttributeType, invalid};
use crate::diag::Result;
use crate::dynamic::Dyn;
use crate::path::Path;
use crate::schema::{Kind, Type};

/// Makes types of your own crate, with `FromStr` and `Display`, string attributes.
///
/// What `FromStr` says is wrong is shown at the attribute when Terraform validates. A value
/// that only looks different (`010` for `10`) is not a change: what the user wrote is kept.
/// For types of other crates there is [`Text`].
#[macro_export]
macro_rules! string_leaf {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::AttributeType for $type {
            fn kind() -> $crate::schema::Kind {
                $crate::schema::Kind::Plain($crate::schema::Type::String)
            }

            fn decode(value: &$crate::Dyn, path: &$crate::Path) -> $crate::Result<Self> {
                $crate::text::decode_text(value, path)
            }

            fn encode(&self) -> $crate::Dyn {
                $crate::Dyn::String(self.to_string())
            }
        }
    )+};
}

/// A string attribute that is parsed: any type with `FromStr` and `Display`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<T>(pub T);

impl<T> Deref for Text<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Text<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Display> Display for Text<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl<T> AttributeType for Text<T>
where
    T: FromStr<Err: Display> + Display + Send + Sync + 'static,
{
    fn kind() -> Kind {
        Kind::Plain(Type::String)
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        decode_text(value, path).map(Self)
    }

    fn encode(&self) -> Dyn {
        Dyn::String(self.0.to_string())
    }
}

/// What [`string_leaf!`](crate::string_leaf) calls.
#[doc(hidden)]
pub fn decode_text<T: FromStr<Err: Display>>(value: &Dyn, path: &Path) -> Result<T> {
    let text = String::decode(value, path)?;
    text.parse().map_err(|reason: T::Err| invalid(path, reason.to_string()))
}
