//! What is promised of a value that is not known yet.
//!
//! Terraform uses it in the plan: `id != null` and `startswith(url, "https://")` have an answer
//! before the object exists.

use std::cmp::Ordering;

use crate::dynamic::Dyn;
use crate::number::Number;

/// Promises about a value that is only known after apply.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Promises {
    pub(crate) not_null: bool,
    /// Rare, so apart: an unknown value stays small.
    more: Option<Box<More>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct More {
    pub(crate) prefix: Option<String>,
    pub(crate) least: Option<Bound>,
    pub(crate) most: Option<Bound>,
    pub(crate) shortest: Option<u64>,
    pub(crate) longest: Option<u64>,
}

/// A limit of a number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    pub(crate) number: Number,
    /// May it be this number itself?
    pub(crate) inclusive: bool,
}

impl Promises {
    /// Nothing is promised.
    pub const NONE: Self = Self { not_null: false, more: None };

    /// There will be a value.
    pub const NOT_NULL: Self = Self { not_null: true, more: None };

    /// And it will begin with this text.
    #[must_use]
    pub fn prefix(self, text: impl Into<String>) -> Self {
        self.with(|more| more.prefix = Some(text.into()))
    }

    /// And it will be this number or a greater one.
    #[must_use]
    pub fn at_least(self, number: impl Into<Number>) -> Self {
        let bound = Bound { number: number.into(), inclusive: true };
        self.with(|more| more.least = Some(bound))
    }

    /// And it will be this number or a smaller one.
    #[must_use]
    pub fn at_most(self, number: impl Into<Number>) -> Self {
        let bound = Bound { number: number.into(), inclusive: true };
        self.with(|more| more.most = Some(bound))
    }

    /// And it will have so many elements at least.
    #[must_use]
    pub fn elements_at_least(self, count: u64) -> Self {
        self.with(|more| more.shortest = Some(count))
    }

    /// And it will have so many elements at most.
    #[must_use]
    pub fn elements_at_most(self, count: u64) -> Self {
        self.with(|more| more.longest = Some(count))
    }

    /// Is there one?
    pub(crate) fn more(&self) -> Option<&More> {
        self.more.as_deref()
    }

    pub(crate) fn with(mut self, set: impl FnOnce(&mut More)) -> Self {
        set(self.more.get_or_insert_default());
        self
    }

    /// Why this value breaks the promises, if it does. What is unknown in it is not looked at.
    pub(crate) fn broken_by(&self, value: &Dyn) -> Option<String> {
        if value.is_null() {
            return self.not_null.then(|| "it will have a value, but it has none".to_owned());
        }
        let more = self.more()?;
        match value {
            Dyn::String(text) => {
                let prefix = more.prefix.as_ref().filter(|prefix| !text.starts_with(*prefix))?;
                Some(format!("it will begin with {prefix:?}, but it does not"))
            }
            Dyn::Number(number) => {
                let is_beyond = |bound: &Bound, far: Ordering| match number.compare(&bound.number) {
                    Some(Ordering::Equal) => !bound.inclusive,
                    Some(order) => order == far,
                    None => false,
                };
                let least = more.least.as_ref().filter(|bound| is_beyond(bound, Ordering::Less));
                let most = more.most.as_ref().filter(|bound| is_beyond(bound, Ordering::Greater));
                least
                    .map(|bound| format!("it will not be below {}, but it is", bound.number))
                    .or_else(|| {
                        most.map(|bound| {
                            format!("it will not be above {}, but it is", bound.number)
                        })
                    })
            }
            Dyn::List(_) | Dyn::Map(_) => {
                let count = match value {
                    Dyn::Map(items) => items.len(),
                    other => other.items().len(),
                };
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                let few = more.shortest.filter(|least| count < *least);
                let many = more.longest.filter(|most| count > *most);
                few.map(|least| {
                    format!("it will have at least {least} elements, but it has {count}")
                })
                .or_else(|| {
                    many.map(|most| {
                        format!("it will have at most {most} elements, but it has {count}")
                    })
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_kept_or_broken() {
        let number = |text: &str| Dyn::Number(Number::parse(text).unwrap());
        let open = Promises::NOT_NULL.with(|more| {
            more.least = Some(Bound { number: 1_i64.into(), inclusive: false });
        });
        let list = |count| Dyn::List(vec![Dyn::Bool(true); count]);
        for (promises, value, is_kept) in [
            (Promises::NONE, Dyn::Null, true),
            (Promises::NOT_NULL, Dyn::Null, false),
            (Promises::NOT_NULL, Dyn::from(""), true),
            (Promises::NOT_NULL.prefix("https://"), Dyn::from("https://x"), true),
            (Promises::NOT_NULL.prefix("https://"), Dyn::from("http://x"), false),
            (Promises::NOT_NULL.at_least(1_i64), number("1.0"), true),
            (Promises::NOT_NULL.at_least(1_i64), number("0.99999999999999999999"), false),
            (Promises::NOT_NULL.at_most(10_i64), number("1e1"), true),
            (Promises::NOT_NULL.at_most(10_i64), number("10.5"), false),
            (open.clone(), number("1"), false),
            (open, number("1.1"), true),
            (Promises::NOT_NULL.elements_at_least(2), list(1), false),
            (Promises::NOT_NULL.elements_at_least(2).elements_at_most(3), list(3), true),
            (Promises::NOT_NULL.elements_at_most(3), list(4), false),
        ] {
            let broken = promises.broken_by(&value);
            assert_eq!(broken.is_none(), is_kept, "{promises:?} {value:?} {broken:?}");
        }
    }
}
