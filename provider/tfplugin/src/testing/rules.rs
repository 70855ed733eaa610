//! The rules that Terraform holds a provider to, and how a breach of one is told.

use std::fmt;

/// A rule for providers.
///
/// The first group are Terraform's own: it stops with "Provider produced …" when one is broken. The
/// second group are manners that no Terraform checks and every user feels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A schema is sound: types, names and flags go together.
    Schema,
    /// An answer has the type of the schema: every attribute, and no other.
    Shape,
    /// The exemption for providers older than these rules is not claimed.
    NoExemption,
    /// What is configured is planned, or what was there before.
    PlannedAsConfigured,
    /// An attribute that is not computed and not configured stays null.
    NothingInvented,
    /// What is configured is planned to exist, and what is not is not.
    PlannedToExist,
    /// A plan has as many elements as the configuration, under the same keys.
    PlannedElements,
    /// A nested object that is configured is not planned as unknown.
    PlannedKnown,
    /// A write-only value is in no plan and in no state.
    WriteOnly,
    /// What requires replacement exists in the state or in the plan.
    ReplacePath,
    /// A plan's known values stay when more becomes known.
    FinalPlan,
    /// What was planned to happen happens.
    FinalAction,
    /// What was known in the plan comes back from apply unchanged.
    AppliedAsPlanned,
    /// Elements neither vanish nor appear in apply.
    AppliedElements,
    /// After apply an object exists exactly if that was planned.
    AppliedExistence,
    /// What was promised of an unknown value is kept.
    Promise,
    /// Nothing is unknown after apply, read, import or upgrade.
    Known,
    /// An import finds one object, of the type that was asked for.
    Import,
    /// "Later" is only answered to who said that it may be.
    Deferral,
    /// An object's identity never changes.
    Identity,

    /// The same question has the same answer: a plan depends on nothing but what it is given.
    PureFunction,
    /// After apply there is nothing to do, with and without a refresh.
    EmptyPlan,
    /// Reading what was just made finds it as it was made.
    NoDrift,
    /// What is imported is what was made.
    ImportedAsMade,
    /// What was destroyed is not found again.
    Gone,
    /// A valid configuration stays valid while parts of it are not known yet.
    UnknownIsValid,
    /// No message shows a sensitive value.
    Secrecy,
    /// A message points at an attribute that there is.
    MessagePath,
}

impl Rule {
    /// What the rule says of a value in Terraform's own words, where it checks the rule itself.
    pub fn words(self) -> Option<&'static str> {
        Some(match self {
            Self::PlannedAsConfigured => "does not match config value",
            Self::NothingInvented => "for a non-computed attribute",
            Self::PlannedToExist => "planned for",
            Self::PlannedElements => "disagrees with count in config",
            Self::PlannedKnown => "planned unknown for configured value",
            Self::WriteOnly => "write-only attribute",
            Self::ReplacePath => "non-existent attribute path",
            Self::FinalPlan => "inconsistent final plan",
            Self::AppliedAsPlanned => "but now",
            Self::AppliedExistence => "but now absent",
            Self::Promise => "does not conform to planning placeholder",
            Self::Shape => "is required",
            Self::Known => "unknown",
            _ => return None,
        })
    }
}

/// A breach of a rule: which, where, and what was said against what.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// Where: `.size`, `.contents[0].count`; empty for the object as a whole.
    pub path: String,
    /// What is wrong, with both values unless they are sensitive.
    pub said: String,
}

impl Violation {
    pub(crate) fn new(rule: Rule, path: &str, said: impl Into<String>) -> Self {
        Self { rule, path: path.to_owned(), said: said.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, path, said } = self;
        let place = if path.is_empty() { "the object" } else { path };
        write!(out, "{place}: {said} (rule {rule:?})")
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// What a provider said to its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Does it stop Terraform?
    pub is_error: bool,
    /// The headline.
    pub summary: String,
    /// The text below it.
    pub detail: String,
    /// The attribute it points at.
    pub path: Option<String>,
}

impl fmt::Display for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_error, summary, detail, path } = self;
        let kind = if *is_error { "Error" } else { "Warning" };
        write!(out, "{kind}: {summary}")?;
        if let Some(path) = path {
            write!(out, " at {path}")?;
        }
        if detail.is_empty() { Ok(()) } else { write!(out, ": {detail}") }
    }
}

/// Why a life did not go on.
pub enum Failure {
    /// The provider broke rules, while Terraform was doing this.
    Broken(&'static str, Vec<Violation>),
    /// The provider refused, as it may: these are its errors.
    Refused(&'static str, Vec<Message>),
    /// The provider was not reached, or the test asked for something impossible.
    Harness(String),
}

impl Failure {
    /// The broken rules and where, if that was the reason.
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::Broken(_, violations) => violations,
            _ => &[],
        }
    }

    /// The provider's errors, if it refused.
    pub fn messages(&self) -> &[Message] {
        match self {
            Self::Refused(_, messages) => messages,
            _ => &[],
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(call, violations) => {
                write!(out, "the provider broke Terraform's rules in {call}:")?;
                violations.iter().try_for_each(|violation| write!(out, "\n  {violation}"))
            }
            Self::Refused(call, messages) => {
                write!(out, "the provider refused to {call}:")?;
                messages.iter().try_for_each(|message| write!(out, "\n  {message}"))
            }
            Self::Harness(reason) => out.write_str(reason),
        }
    }
}

/// What `unwrap` in a test shows.
impl fmt::Debug for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::error::Error for Failure {}
