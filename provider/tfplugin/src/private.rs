//! What a provider keeps beside an object without showing it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::diag::{Diag, Result};

/// JSON values by name. Terraform stores them in the state, in clear, and hands them back.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Private(BTreeMap<String, Value>);

impl Private {
    /// Reads what Terraform kept. What another framework wrote there in its own form is left
    /// behind: it means nothing here.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        serde_json::from_slice(bytes).map(Self).unwrap_or_else(|_| {
            tracing::warn!("the private data of an object is not ours: starting without");
            Self::default()
        })
    }

    /// Writes it; nothing at all when there is nothing.
    pub(crate) fn encode(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        serde_json::to_vec(&self.0).expect("a map of JSON values is JSON")
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        T::deserialize(value).map(Some).map_err(|fault| {
            Diag::error("The private data of the object cannot be read")
                .detail(format!("{name:?}: {fault}. Another version of the provider wrote it."))
                .into()
        })
    }

    pub(crate) fn set(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        match serde_json::to_value(value)? {
            Value::Null => self.0.remove(name),
            value => self.0.insert(name.to_owned(), value),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_nothing_is_no_bytes() {
        let mut private = Private::default();
        private.set("etag", &"x7").unwrap();
        private.set("count", &3).unwrap();
        let mut again = Private::decode(&private.encode());
        assert_eq!(again, private);
        assert_eq!(again.get::<String>("etag").unwrap().as_deref(), Some("x7"));
        assert_eq!(again.get::<u8>("none").unwrap(), None);
        assert!(again.get::<u8>("etag").is_err());
        again.set("etag", &()).unwrap();
        again.set("count", &None::<u8>).unwrap();
        assert_eq!(again.encode(), b"");
        for bytes in [&b""[..], b"\x00gob", b"[1]"] {
            assert_eq!(Private::decode(bytes), Private::default());
        }
    }
}
