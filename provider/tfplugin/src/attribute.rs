//! The Rust types that may be attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use zeroize::Zeroize;

use crate::diag::{Diag, Diags, Result};
use crate::duration;
use crate::dynamic::{Dyn, UNKNOWN};
use crate::number::Number;
use crate::path::Path;
use crate::schema::{Kind, Type};
use crate::value::{Secret, Value};

/// A Rust type that can be an attribute.
///
/// Done for the usual types here, for nested models by `#[derive(Model)]`, for other types that
/// have `FromStr` and `Display` by [`string_leaf!`](crate::string_leaf) or [`Text`](crate::Text).
pub trait AttributeType: Sized + Send + Sync + 'static {
    /// Is the value hidden whatever the attribute says?
    const SENSITIVE: bool = false;

    /// The Terraform type.
    fn kind() -> Kind;

    /// Reads a value; the error names the path.
    fn decode(value: &Dyn, path: &Path) -> Result<Self>;

    /// Writes the value.
    fn encode(&self) -> Dyn;

    /// Finds what is wrong with a written value; what is unknown or null is left alone.
    fn check(value: &Dyn, path: &Path, diags: &mut Diags) {
        if !value.is_null()
            && value.is_wholly_known()
            && let Err(faults) = Self::decode(value, path)
        {
            diags.extend(faults);
        }
    }
}

/// The error for a value that its type does not take.
pub(crate) fn invalid(path: &Path, reason: impl Into<String>) -> Diags {
    Diag::error(format!("Invalid value for {path}")).detail(reason).at(path).into()
}

fn unexpected(value: &Dyn, wanted: &str, path: &Path) -> Diags {
    let reason = match value {
        Dyn::Null => format!("It must be {wanted}, and must not be null."),
        other => format!("It must be {wanted}, but is {}.", other.kind_name()),
    };
    invalid(path, reason)
}

impl AttributeType for String {
    fn kind() -> Kind {
        Kind::Plain(Type::String)
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        match value {
            Dyn::String(text) => Ok(text.clone()),
            other => Err(unexpected(other, "a string", path)),
        }
    }

    fn encode(&self) -> Dyn {
        Dyn::String(self.clone())
    }
}

impl AttributeType for bool {
    fn kind() -> Kind {
        Kind::Plain(Type::Bool)
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        match value {
            Dyn::Bool(value) => Ok(*value),
            other => Err(unexpected(other, "a boolean", path)),
        }
    }

    fn encode(&self) -> Dyn {
        Dyn::Bool(*self)
    }
}

impl AttributeType for Number {
    fn kind() -> Kind {
        Kind::Plain(Type::Number)
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        match value {
            Dyn::Number(number) => Ok(number.clone()),
            other => Err(unexpected(other, "a number", path)),
        }
    }

    fn encode(&self) -> Dyn {
        Dyn::Number(self.clone())
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl AttributeType for $type {
            fn kind() -> Kind {
                Kind::Plain(Type::Number)
            }

            fn decode(value: &Dyn, path: &Path) -> Result<Self> {
                let number = Number::decode(value, path)?;
                let signed = number.as_i64().and_then(|whole| whole.try_into().ok());
                signed.or_else(|| number.as_u64().and_then(|whole| whole.try_into().ok())).ok_or_else(|| {
                    let (least, most) = (Self::MIN, Self::MAX);
                    invalid(path, format!("{number} is no whole number from {least} to {most}."))
                })
            }

            fn encode(&self) -> Dyn {
                Dyn::Number(Number::from(Wide::from(*self)))
            }
        }
    )*};
}

/// Any whole number we take; `From` keeps the conversions lossless.
enum Wide {
    Signed(i64),
    Unsigned(u64),
}

macro_rules! widen {
    ($variant:ident: $($type:ty),*) => {$(
        impl From<$type> for Wide {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

widen!(Signed: i64, i32, i16);
widen!(Unsigned: u64, u32, u16, u8);
whole_numbers!(i64, i32, i16, u64, u32, u16, u8);

impl From<Wide> for Number {
    fn from(value: Wide) -> Self {
        match value {
            Wide::Signed(value) => value.into(),
            Wide::Unsigned(value) => value.into(),
        }
    }
}

impl AttributeType for f64 {
    fn kind() -> Kind {
        Kind::Plain(Type::Number)
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        Ok(Number::decode(value, path)?.as_f64())
    }

    fn encode(&self) -> Dyn {
        Dyn::Number(Number::from(*self))
    }
}

impl AttributeType for Duration {
    fn kind() -> Kind {
        Kind::Plain(Type::String)
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        let text = String::decode(value, path)?;
        duration::parse(&text).map_err(|reason| invalid(path, reason))
    }

    fn encode(&self) -> Dyn {
        Dyn::String(duration::format(*self))
    }
}

crate::string_leaf!(IpAddr, Ipv4Addr, Ipv6Addr);

impl<T: AttributeType + Zeroize> AttributeType for Secret<T> {
    const SENSITIVE: bool = true;

    fn kind() -> Kind {
        T::kind()
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        T::decode(value, path)
            .map(Self::new)
            .map_err(|_| invalid(path, "The value is sensitive, so the reason is not shown."))
    }

    fn encode(&self) -> Dyn {
        self.expose().encode()
    }
}

impl<T: AttributeType> AttributeType for Option<T> {
    const SENSITIVE: bool = T::SENSITIVE;

    fn kind() -> Kind {
        T::kind()
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        if value.is_null() { Ok(None) } else { T::decode(value, path).map(Some) }
    }

    fn encode(&self) -> Dyn {
        self.as_ref().map_or(Dyn::Null, T::encode)
    }

    fn check(value: &Dyn, path: &Path, diags: &mut Diags) {
        T::check(value, path, diags);
    }
}

impl<T: AttributeType> AttributeType for Value<T> {
    const SENSITIVE: bool = T::SENSITIVE;

    fn kind() -> Kind {
        T::kind()
    }

    /// A collection with unknown elements is unknown as a whole.
    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        if value.is_null() {
            Ok(Self::Null)
        } else if value.is_unknown() {
            Ok(Self::Unknown)
        } else {
            match T::decode(value, path) {
                Err(_) if !value.is_wholly_known() => Ok(Self::Unknown),
                decoded => decoded.map(Self::Known),
            }
        }
    }

    fn encode(&self) -> Dyn {
        match self {
            Self::Null => Dyn::Null,
            Self::Unknown => UNKNOWN,
            Self::Known(value) => value.encode(),
        }
    }

    fn check(value: &Dyn, path: &Path, diags: &mut Diags) {
        T::check(value, path, diags);
    }
}

impl<T: AttributeType> AttributeType for Box<T> {
    const SENSITIVE: bool = T::SENSITIVE;

    fn kind() -> Kind {
        T::kind()
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        T::decode(value, path).map(Self::new)
    }

    fn encode(&self) -> Dyn {
        T::encode(self)
    }

    fn check(value: &Dyn, path: &Path, diags: &mut Diags) {
        T::check(value, path, diags);
    }
}

impl<T: AttributeType> AttributeType for Vec<T> {
    const SENSITIVE: bool = T::SENSITIVE;

    fn kind() -> Kind {
        T::kind().list()
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        let Dyn::List(items) = value else { return Err(unexpected(value, "a list", path)) };
        items.iter().enumerate().map(|(index, item)| T::decode(item, &path.index(index))).collect()
    }

    fn encode(&self) -> Dyn {
        Dyn::List(self.iter().map(T::encode).collect())
    }

    fn check(value: &Dyn, path: &Path, diags: &mut Diags) {
        check_items::<T>(value, path, diags);
    }
}

impl<T: AttributeType + Ord> AttributeType for BTreeSet<T> {
    const SENSITIVE: bool = T::SENSITIVE;

    fn kind() -> Kind {
        T::kind().set()
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        let Dyn::List(items) = value else { return Err(unexpected(value, "a set", path)) };
        items.iter().map(|item| T::decode(item, path)).collect()
    }

    fn encode(&self) -> Dyn {
        Dyn::List(self.iter().map(T::encode).collect())
    }

    fn check(value: &Dyn, path: &Path, diags: &mut Diags) {
        // A set's elements have no address: the message is about the whole set.
        for item in value.items() {
            check_item::<T>(item, path, diags);
        }
    }
}

impl<T: AttributeType> AttributeType for BTreeMap<String, T> {
    const SENSITIVE: bool = T::SENSITIVE;

    fn kind() -> Kind {
        T::kind().map()
    }

    fn decode(value: &Dyn, path: &Path) -> Result<Self> {
        let Dyn::Map(items) = value else { return Err(unexpected(value, "a map", path)) };
        let decode = |(key, item): (&String, &Dyn)| {
            T::decode(item, &path.key(key)).map(|item| (key.clone(), item))
        };
        items.iter().map(decode).collect()
    }

    fn encode(&self) -> Dyn {
        Dyn::Map(self.iter().map(|(key, item)| (key.clone(), item.encode())).collect())
    }

    fn check(value: &Dyn, path: &Path, diags: &mut Diags) {
        if let Dyn::Map(items) = value {
            for (key, item) in items {
                check_item::<T>(item, &path.key(key), diags);
            }
        }
    }
}

fn check_items<T: AttributeType>(value: &Dyn, path: &Path, diags: &mut Diags) {
    for (index, item) in value.items().iter().enumerate() {
        check_item::<T>(item, &path.index(index), diags);
    }
}

/// An element may be null only where its type can be.
fn check_item<T: AttributeType>(item: &Dyn, path: &Path, diags: &mut Diags) {
    if item.is_null() {
        diags.extend(T::decode(item, path).err().unwrap_or_default());
    } else {
        T::check(item, path, diags);
    }
}
