//! Where in a configuration or state a value lies, shown the way Terraform shows it.

use std::fmt;

/// One step from an object or collection to something inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// An attribute of an object.
    Attribute(String),
    /// An element of a list.
    Index(usize),
    /// An element of a map.
    Key(String),
}

/// The path of a value, for instance `control_plane.cores` or `leases[0].name`.
///
/// Made from text (`Path::from("leases[0].name")`) or step by step.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

impl Path {
    /// The whole object.
    pub fn root() -> Self {
        Self::default()
    }

    /// This path, then an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Self {
        self.then(Step::Attribute(name.to_owned()))
    }

    /// This path, then an element of a list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// This path, then an element of a map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The attribute of the whole object that this is in.
    pub(crate) fn outermost(&self) -> Option<Self> {
        self.0.first().map(|step| Self(vec![step.clone()]))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

/// Reads what [`Display`](fmt::Display) writes: `a.b[0]["key"]`.
impl From<&str> for Path {
    fn from(text: &str) -> Self {
        let mut path = Self::root();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix("[\"") {
                let (key, after) = inner.split_once("\"]").unwrap_or((inner, ""));
                path.0.push(Step::Key(key.to_owned()));
                rest = after;
            } else if let Some(inner) = rest.strip_prefix('[') {
                let (index, after) = inner.split_once(']').unwrap_or((inner, ""));
                match index.parse() {
                    Ok(index) => path.0.push(Step::Index(index)),
                    Err(_) => path.0.push(Step::Key(index.to_owned())),
                }
                rest = after;
            } else {
                let name = rest.strip_prefix('.').unwrap_or(rest);
                let end = name.find(['.', '[']).unwrap_or(name.len());
                path.0.push(Step::Attribute(name[..end].to_owned()));
                rest = &name[end..];
            }
        }
        path
    }
}

impl From<&Self> for Path {
    fn from(path: &Self) -> Self {
        path.clone()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if position == 0 => out.write_str(name)?,
                Step::Attribute(name) => write!(out, ".{name}")?,
                Step::Index(index) => write!(out, "[{index}]")?,
                Step::Key(key) => write!(out, "[\"{key}\"]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_what_they_write() {
        for text in ["", "name", "network.vlan", "leases[0].name", "labels[\"a.b\"]", "a[1][2].b"] {
            assert_eq!(Path::from(text).to_string(), text);
        }
        assert_eq!(Path::from("a[3]").steps(), [Step::Attribute("a".into()), Step::Index(3)]);
    }
}
