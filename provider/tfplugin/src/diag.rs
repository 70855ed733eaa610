//! What Terraform shows a person: errors and warnings, each at a place in the configuration.

use std::error::Error;
use std::fmt::Write as _;

use crate::path::Path;

/// The result of everything a provider author writes.
pub type Result<T> = std::result::Result<T, Diags>;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Stops the operation.
    Error,
    /// Is shown, and the operation goes on.
    Warning,
}

/// One error or warning. Neither text may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Diag {
    /// How bad it is.
    pub severity: Severity,
    /// One short line, without a full stop. Empty: the framework writes "Unable to create …".
    pub summary: String,
    /// What happened and what to do next.
    pub detail: String,
    /// The attribute it is about; Terraform underlines it.
    pub path: Option<Path>,
}

impl Diag {
    /// An error with this one-line summary.
    pub fn error(summary: impl Into<String>) -> Self {
        Self::new(Severity::Error, summary.into())
    }

    /// A warning with this one-line summary.
    pub fn warning(summary: impl Into<String>) -> Self {
        Self::new(Severity::Warning, summary.into())
    }

    /// An error whose detail is the whole chain of causes; the framework writes the summary.
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Some libraries print their source in their own Display: do not say it twice.
            if !detail.ends_with(&cause_text) {
                let _ = write!(detail, ": {cause_text}");
            }
            source = cause.source();
        }
        Self::error(String::new()).detail(detail)
    }

    /// Says more.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Names the attribute it is about.
    pub fn at(mut self, path: impl Into<Path>) -> Self {
        self.path = Some(path.into());
        self
    }

    fn new(severity: Severity, summary: String) -> Self {
        Self { severity, summary, detail: String::new(), path: None }
    }
}

/// The errors and warnings of an operation: the error type of [`Result`].
///
/// `?` turns every [`std::error::Error`] into one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Diags(Vec<Diag>);

impl Diags {
    /// Nothing to say.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diag: Diag) {
        self.0.push(diag);
    }

    /// Adds all of these.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Diag>) {
        self.0.extend(others);
    }

    /// Is any of them an error?
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diag| diag.severity == Severity::Error)
    }

    /// Are there none at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at each.
    pub fn iter(&self) -> std::slice::Iter<'_, Diag> {
        self.0.iter()
    }

    /// `value`, unless there is an error among these.
    pub fn into_result<T>(self, value: T) -> Result<T> {
        if self.has_errors() { Err(self) } else { Ok(value) }
    }

    /// Gives the errors without a summary this one.
    pub(crate) fn summarise(mut self, summary: &str) -> Self {
        for diag in self.0.iter_mut().filter(|diag| diag.summary.is_empty()) {
            summary.clone_into(&mut diag.summary);
        }
        self
    }
}

impl IntoIterator for Diags {
    type Item = Diag;
    type IntoIter = std::vec::IntoIter<Diag>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diags {
    type Item = &'a Diag;
    type IntoIter = std::slice::Iter<'a, Diag>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Diag> for Diags {
    fn from_iter<I: IntoIterator<Item = Diag>>(diags: I) -> Self {
        Self(diags.into_iter().collect())
    }
}

impl From<Diag> for Diags {
    fn from(diag: Diag) -> Self {
        Self(vec![diag])
    }
}

impl<E: Error + 'static> From<E> for Diags {
    fn from(error: E) -> Self {
        Diag::from_error(&error).into()
    }
}
