//! Reading.

use std::collections::BTreeMap;

use crate::attribute::invalid;
use crate::diag::{Diags, Result};
use crate::dynamic::Dyn;
use crate::msgpack::{REFINED, promises};
use crate::number::{FormRef, Number};
use crate::path::Path;
use crate::promises::Promises;
use crate::schema::Type;

/// How deep a value that is skipped may be.
pub(super) const MAX_DEPTH: u32 = 64;

/// Reads a value of a type, and nothing after it.
pub(crate) fn decode(bytes: &[u8], kind: &Type) -> Result<Dyn> {
    let mut reader = Reader::new(bytes);
    let value = reader.value(kind, &Path::root())?;
    if reader.rest.is_empty() { Ok(value) } else { Err(fault(&Path::root(), "bytes follow it")) }
}

fn fault(path: &Path, reason: &str) -> Diags {
    invalid(path, format!("Terraform sent a value that cannot be read: {reason}."))
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// The head of one encoded value.
pub(super) enum Head {
    Nil,
    Bool(bool),
    Number(Number),
    /// Text or bytes of this length.
    Text(usize),
    /// This many elements.
    Array(usize),
    /// This many pairs.
    Map(usize),
    /// An extension of this code and length.
    Extension(i8, usize),
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn value(&mut self, kind: &Type, path: &Path) -> Result<Dyn> {
        let head = self.head().ok_or_else(|| fault(path, "it is cut short"))?;
        match (head, kind) {
            (Head::Nil, _) => Ok(Dyn::Null),
            (Head::Extension(code, length), _) => {
                let body = self.take(length).ok_or_else(|| fault(path, "it is cut short"))?;
                Ok(Dyn::Unknown(if code == REFINED {
                    promises::read(body)
                } else {
                    Promises::NONE
                }))
            }
            (Head::Bool(value), Type::Bool) => Ok(Dyn::Bool(value)),
            (Head::Number(number), Type::Number) => match number.form() {
                FormRef::Float(value) if value.is_nan() => Err(fault(path, "it is no number")),
                _ => Ok(Dyn::Number(number)),
            },
            (Head::Text(length), Type::Number) => {
                let text = self.text(length, path)?;
                let number = Number::parse(&text);
                number.map(Dyn::Number).ok_or_else(|| fault(path, "it is no number"))
            }
            (Head::Text(length), Type::String) => self.text(length, path).map(Dyn::String),
            (Head::Array(length), Type::List(item) | Type::Set(item)) => {
                let mut items = Vec::new();
                for index in 0..length {
                    items.push(self.value(item, &path.index(index))?);
                }
                Ok(Dyn::List(items))
            }
            (Head::Map(length), Type::Map(item)) => {
                let mut items = BTreeMap::new();
                for _ in 0..length {
                    let key = self.key(path)?;
                    let value = self.value(item, &path.key(&key))?;
                    items.insert(key, value);
                }
                Ok(Dyn::Map(items))
            }
            (Head::Map(length), Type::Object(attributes)) => {
                let mut items: BTreeMap<_, _> =
                    attributes.keys().map(|name| (name.clone(), Dyn::Null)).collect();
                for _ in 0..length {
                    let name = self.key(path)?;
                    let Some(kind) = attributes.get(&name) else {
                        self.skip(MAX_DEPTH).ok_or_else(|| fault(path, "it is cut short"))?;
                        continue;
                    };
                    let value = self.value(kind, &path.attribute(&name))?;
                    items.insert(name, value);
                }
                Ok(Dyn::Map(items))
            }
            _ => Err(fault(path, "it is of another type than the schema says")),
        }
    }

    fn key(&mut self, path: &Path) -> Result<String> {
        match self.head() {
            Some(Head::Text(length)) => self.text(length, path),
            _ => Err(fault(path, "a key is no text")),
        }
    }

    fn text(&mut self, length: usize, path: &Path) -> Result<String> {
        let bytes = self.take(length).ok_or_else(|| fault(path, "it is cut short"))?;
        String::from_utf8(bytes.to_vec()).map_err(|_| fault(path, "it is no UTF-8"))
    }

    pub(super) fn head(&mut self) -> Option<Head> {
        let first = self.byte()?;
        Some(match first {
            0x00..=0x7f => Head::Number(i64::from(first).into()),
            0x80..=0x8f => Head::Map(usize::from(first & 0x0f)),
            0x90..=0x9f => Head::Array(usize::from(first & 0x0f)),
            0xa0..=0xbf => Head::Text(usize::from(first & 0x1f)),
            0xc0 => Head::Nil,
            0xc1 => return None,
            0xc2 => Head::Bool(false),
            0xc3 => Head::Bool(true),
            0xc4 | 0xd9 => Head::Text(self.length(1)?),
            0xc5 | 0xda => Head::Text(self.length(2)?),
            0xc6 | 0xdb => Head::Text(self.length(4)?),
            0xc7 => self.extension(1)?,
            0xc8 => self.extension(2)?,
            0xc9 => self.extension(4)?,
            0xca => Head::Number(f64::from(f32::from_be_bytes(self.array()?)).into()),
            0xcb => Head::Number(f64::from_be_bytes(self.array()?).into()),
            0xcc => Head::Number(i64::from(self.byte()?).into()),
            0xcd => Head::Number(i64::from(u16::from_be_bytes(self.array()?)).into()),
            0xce => Head::Number(i64::from(u32::from_be_bytes(self.array()?)).into()),
            0xcf => Head::Number(u64::from_be_bytes(self.array()?).into()),
            0xd0 => Head::Number(i64::from(self.byte()?.cast_signed()).into()),
            0xd1 => Head::Number(i64::from(i16::from_be_bytes(self.array()?)).into()),
            0xd2 => Head::Number(i64::from(i32::from_be_bytes(self.array()?)).into()),
            0xd3 => Head::Number(i64::from_be_bytes(self.array()?).into()),
            0xd4..=0xd8 => {
                let length = 1 << (first - 0xd4);
                Head::Extension(self.byte()?.cast_signed(), length)
            }
            0xdc => Head::Array(self.length(2)?),
            0xdd => Head::Array(self.length(4)?),
            0xde => Head::Map(self.length(2)?),
            0xdf => Head::Map(self.length(4)?),
            0xe0..=0xff => Head::Number(i64::from(first.cast_signed()).into()),
        })
    }

    fn extension(&mut self, width: usize) -> Option<Head> {
        let length = self.length(width)?;
        Some(Head::Extension(self.byte()?.cast_signed(), length))
    }

    /// Steps over a value of any type.
    pub(super) fn skip(&mut self, depth: u32) -> Option<()> {
        let deeper = depth.checked_sub(1)?;
        let (length, per_element) = match self.head()? {
            Head::Nil | Head::Bool(_) | Head::Number(_) => (0, 0),
            Head::Text(length) | Head::Extension(_, length) => {
                self.take(length)?;
                (0, 0)
            }
            Head::Array(length) => (length, 1),
            Head::Map(length) => (length, 2),
        };
        for _ in 0..length {
            for _ in 0..per_element {
                self.skip(deeper)?;
            }
        }
        Some(())
    }

    fn length(&mut self, width: usize) -> Option<usize> {
        Some(self.take(width)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}
