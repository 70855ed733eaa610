//! Numbers of any size and precision, kept in the form they came in.
//!
//! Terraform computes with 512 bits. A number that passes through `f64` comes back changed, and
//! Terraform then calls the plan invalid; so nothing here is ever converted unless asked.

use std::cmp::Ordering;
use std::fmt;

/// A number as Terraform sent it.
#[derive(Debug, Clone)]
pub struct Number(Form);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FormRef<'a> {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
}

#[derive(Debug, Clone)]
enum Form {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

impl Number {
    /// Reads a decimal number, with or without fraction and exponent.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(value) = text.parse::<i64>() {
            return Some(value.into());
        }
        Decimal::parse(text).map(|_| Self(Form::Text(text.to_owned())))
    }

    /// The number, if it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.whole()?.parse().ok()
    }

    /// The number, if it is whole and fits.
    pub fn as_u64(&self) -> Option<u64> {
        self.whole()?.parse().ok()
    }

    /// The nearest floating point number.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Form::Float(value) => *value,
            _ => self.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// Which of the two is greater; `None` if one is no number or infinite.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        let (ours, theirs) = (self.to_string(), other.to_string());
        Some(Decimal::parse(&ours)?.compare(&Decimal::parse(&theirs)?))
    }

    pub(crate) fn form(&self) -> FormRef<'_> {
        match &self.0 {
            Form::Signed(value) => FormRef::Signed(*value),
            Form::Unsigned(value) => FormRef::Unsigned(*value),
            Form::Float(value) => FormRef::Float(*value),
            Form::Text(text) => FormRef::Text(text),
        }
    }

    /// Plain digits, if the number is whole and not absurdly long.
    fn whole(&self) -> Option<String> {
        let decimal = Decimal::parse(&self.to_string())?;
        if decimal.exponent < 0 || decimal.exponent > 20 {
            return None;
        }
        let zeros = "0".repeat(usize::try_from(decimal.exponent).ok()?);
        let sign = if decimal.negative { "-" } else { "" };
        Some(format!("{sign}{}{zeros}", decimal.digits))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Signed(value) => value.fmt(out),
            Form::Unsigned(value) => value.fmt(out),
            Form::Float(value) => value.fmt(out),
            Form::Text(text) => out.write_str(text),
        }
    }
}

/// Equal as decimal numbers: `5`, `5.0` and `"5e0"` are one.
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.to_string(), other.to_string());
        ours == theirs || Decimal::parse(&ours).is_some_and(|a| Some(a) == Decimal::parse(&theirs))
    }
}

impl Eq for Number {}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Form::Signed(value))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self(Form::Unsigned(value)), Self::from)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self(Form::Float(value))
    }
}

/// `digits * 10^exponent`, digits without zeros at either end.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn compare(&self, other: &Self) -> Ordering {
        let sign = |decimal: &Self| match (decimal.negative, decimal.digits.as_str()) {
            (_, "0") => 0,
            (true, _) => -1,
            (false, _) => 1,
        };
        // How far the first digit is from the point.
        let order = |decimal: &Self| {
            let digits = i64::try_from(decimal.digits.len()).unwrap_or(i64::MAX);
            decimal.exponent.saturating_add(digits)
        };
        let sizes = order(self).cmp(&order(other)).then_with(|| self.digits.cmp(&other.digits));
        match (sign(self), sign(other)) {
            (0, 0) => Ordering::Equal,
            (1, 1) => sizes,
            (-1, -1) => sizes.reverse(),
            (ours, theirs) => ours.cmp(&theirs),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let stripped = all.trim_start_matches('0');
        let digits = stripped.trim_end_matches('0');
        if digits.is_empty() {
            return Some(Self { negative: false, digits: "0".to_owned(), exponent: 0 });
        }
        let shift = i64::try_from(stripped.len() - digits.len()).ok()?
            - i64::try_from(fraction.len()).ok()?;
        let exponent = exponent.checked_add(shift)?;
        Some(Self { negative, digits: digits.to_owned(), exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value_not_by_form() {
        for (a, b) in
            [("5", "5.0"), ("1200", "1.2e3"), ("0.10", "0.1"), ("-0", "0"), ("1e-2", ".01")]
        {
            assert_eq!(Number::parse(a), Number::parse(b), "{a} {b}");
        }
        assert_eq!(Number::from(0.1), Number::parse("0.1").unwrap());
        assert_ne!(Number::parse("18446744073709551617"), Number::parse("18446744073709551616"));
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        let ordered =
            ["-1e3", "-2", "-1.5", "-0.001", "0", "1e-9", "0.5", "0.55", "5", "49", "1e2"];
        for (place, one) in ordered.iter().enumerate() {
            for (other_place, other) in ordered.iter().enumerate() {
                let [one, other] = [one, other].map(|text| Number::parse(text).unwrap());
                assert_eq!(one.compare(&other), Some(place.cmp(&other_place)), "{one} {other}");
            }
        }
        assert_eq!(Number::from(f64::INFINITY).compare(&Number::from(1_i64)), None);
    }

    #[test]
    fn whole_numbers_do_not_lose_digits() {
        assert_eq!(
            Number::parse("9007199254740993").unwrap().as_i64(),
            Some(9_007_199_254_740_993)
        );
        assert_eq!(Number::parse("18446744073709551615").unwrap().as_u64(), Some(u64::MAX));
        assert_eq!(Number::parse("18446744073709551616").unwrap().as_u64(), None);
        assert_eq!(Number::parse("5e2").unwrap().as_i64(), Some(500));
        assert_eq!(Number::parse("5.5").unwrap().as_i64(), None);
        assert!(Number::parse("five").is_none() && Number::parse("").is_none());
    }
}
