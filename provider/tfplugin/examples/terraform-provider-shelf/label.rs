//! `provider::shelf::label`.

use kubesmith_tfplugin::{Arguments, Diag, Function, Result};

/// Joins words into a label.
///
/// Nothing else is written on a box than what such a label says.
#[derive(Arguments)]
#[tf(name = "label")]
pub(crate) struct Label {
    /// Goes between the words; null is a space.
    separator: Option<String>,
    /// The words.
    #[tf(variadic)]
    words: Vec<String>,
}

impl Function for Label {
    type Output = String;

    fn call(self) -> Result<String> {
        if let Some(place) = self.words.iter().position(String::is_empty) {
            let diag = Diag::error("A word is empty").detail("Leave it out.");
            return Err(diag.at(format!("words[{place}]").as_str()).into());
        }
        Ok(self.words.join(self.separator.as_deref().unwrap_or(" ")))
    }
}
