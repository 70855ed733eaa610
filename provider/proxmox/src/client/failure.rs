//! What is wrong when a request has no good answer: it was refused, or nobody knows what became of it.

use std::collections::BTreeMap;
use std::error::Error as StdError;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::error::{Class, Error};
use crate::{tls, wire};

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    errors: Option<BTreeMap<String, Value>>,
}

pub(super) fn refused(status: u16, reason: &str, body: &str) -> Error {
    let Refusal { message, errors } = serde_json::from_str(body).unwrap_or_default();
    let parameters = errors.unwrap_or_default().into_iter();
    let parameters = parameters
        .filter_map(|(name, text)| Some((name, wire::scalar(&text)?.trim().to_owned())))
        .collect();
    Error::answered(status, reason, message.as_deref(), parameters)
}

/// No answer: was the request sent?
pub(super) fn transport(endpoint: &Url, error: &reqwest::Error) -> Error {
    if let Some((class, message)) = find_rustls(error).and_then(tls::refusal) {
        return Error::local(class, format!("{endpoint}: {message}"));
    }
    let cause = root_cause(error);
    if error.is_connect() || error.is_builder() {
        Error::local(Class::NotDelivered, format!("cannot reach {endpoint}: {cause}"))
    } else {
        let lost =
            Error::local(Class::UnknownOutcome, format!("no answer from {endpoint}: {cause}"));
        if error.is_timeout() { lost } else { lost.cut() }
    }
}

/// The causes of an error, itself first. An `io::Error` keeps its own cause behind a door of its own.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    fn next<'a>(error: &&'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
        let error: &'a (dyn StdError + 'static) = *error;
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    }
    std::iter::successors(Some(error), next)
}

fn find_rustls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|error| error.downcast_ref())
}

pub(super) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().expect("an error is its own first cause").to_string()
}
