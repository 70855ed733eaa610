//! Terraform's side of the wire: strict where the framework's own decoder is lenient.

use rmpv::Value as Raw;
use serde_json::Value as Json;

use super::value::{Promise, Type, Value};
use crate::Number;
use crate::wire::tfplugin6::DynamicValue;

/// Reads an answer as Terraform does: an object has all attributes of its type, and no others.
pub(crate) fn decode(value: Option<&DynamicValue>, kind: &Type) -> Result<Value, String> {
    let Some(value) = value else { return Ok(Value::Null) };
    if value.msgpack.is_empty() {
        return if value.json.is_empty() {
            Ok(Value::Null)
        } else {
            Err("the answer is JSON, which Terraform does not take everywhere".to_owned())
        };
    }
    let mut bytes = &value.msgpack[..];
    let raw = rmpv::decode::read_value(&mut bytes).map_err(|fault| fault.to_string())?;
    if !bytes.is_empty() {
        return Err(format!("{} bytes follow the value", bytes.len()));
    }
    read(&raw, kind, "")
}

fn read(raw: &Raw, kind: &Type, path: &str) -> Result<Value, String> {
    let wrong = || format!("{path}: {raw} is no {}", kind.to_json());
    let array = || raw.as_array().ok_or_else(wrong);
    let items = |kind: &Type| {
        let items = array()?.iter().enumerate();
        items
            .map(|(index, item)| read(item, kind, &format!("{path}[{index}]")))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match (raw, kind) {
        (Raw::Nil, _) => Value::Null,
        (Raw::Ext(code, body), _) => Value::Unknown(promise(*code, body)),
        (Raw::String(text), Type::String) => {
            Value::String(text.as_str().ok_or_else(|| format!("{path}: no UTF-8"))?.to_owned())
        }
        (Raw::Boolean(value), Type::Bool) => Value::Bool(*value),
        (_, Type::Number) => Value::Number(number(raw).ok_or_else(wrong)?),
        (_, Type::List(kind)) => Value::List(items(kind)?),
        (_, Type::Set(kind)) => Value::set(items(kind)?),
        (_, Type::Tuple(kinds)) => {
            let values = array()?;
            if values.len() != kinds.len() {
                return Err(format!("{path}: a tuple of {} has {}", kinds.len(), values.len()));
            }
            let values = values.iter().zip(kinds).enumerate();
            let values =
                values.map(|(index, (item, kind))| read(item, kind, &format!("{path}[{index}]")));
            Value::List(values.collect::<Result<_, _>>()?)
        }
        (Raw::Map(pairs), Type::Map(kind)) => {
            let pairs = pairs.iter().map(|(key, item)| {
                let key = key.as_str().ok_or_else(wrong)?;
                Ok((key.to_owned(), read(item, kind, &format!("{path}[{key:?}]"))?))
            });
            Value::Map(pairs.collect::<Result<_, String>>()?)
        }
        (Raw::Map(pairs), Type::Object(kinds)) => {
            if pairs.len() != kinds.len() {
                let (wanted, given) = (kinds.len(), pairs.len());
                return Err(format!(
                    "{path}: an object with {wanted} attributes is required ({given} given)"
                ));
            }
            let pairs = pairs.iter().map(|(name, item)| {
                let name = name.as_str().ok_or_else(wrong)?;
                let path = format!("{path}.{name}");
                let kind = kinds.get(name).ok_or(format!("{path}: unsupported attribute"))?;
                Ok((name.to_owned(), read(item, kind, &path)?))
            });
            Value::Map(pairs.collect::<Result<_, String>>()?)
        }
        (Raw::Array(pair), Type::Dynamic) => {
            let [kind, value] = &pair[..] else { return Err(wrong()) };
            let text = kind.as_slice().or(kind.as_str().map(str::as_bytes)).ok_or_else(wrong)?;
            let json: Json = serde_json::from_slice(text).map_err(|fault| fault.to_string())?;
            let kind = Type::parse(&json).ok_or_else(wrong)?;
            let value = read(value, &kind, path)?;
            Value::Dynamic(kind, Box::new(value))
        }
        _ => return Err(wrong()),
    })
}

fn number(raw: &Raw) -> Option<Number> {
    match raw {
        Raw::Integer(whole) => {
            whole.as_i64().map(Number::from).or(whole.as_u64().map(Number::from))
        }
        Raw::F32(value) if !value.is_nan() => Some(f64::from(*value).into()),
        Raw::F64(value) if !value.is_nan() => Some((*value).into()),
        Raw::String(text) => Number::parse(text.as_str()?),
        _ => None,
    }
}

/// The extension of an unknown value with promises about it.
const REFINED: i8 = 12;

fn promise(code: i8, mut body: &[u8]) -> Promise {
    let mut promise = Promise::default();
    if code != REFINED {
        return promise;
    }
    let Ok(Raw::Map(pairs)) = rmpv::decode::read_value(&mut body) else { return promise };
    for (key, value) in &pairs {
        match key.as_u64() {
            Some(1) => promise.not_null = value.as_bool() == Some(false),
            Some(2) => value.as_str().unwrap_or_default().clone_into(&mut promise.prefix),
            Some(5) => promise.length.0 = value.as_u64(),
            Some(6) => promise.length.1 = value.as_u64(),
            _ => {}
        }
    }
    promise
}

/// Writes a value as Terraform would.
pub(crate) fn encode(value: &Value, kind: &Type) -> DynamicValue {
    let mut msgpack = Vec::new();
    rmpv::encode::write_value(&mut msgpack, &raw(value, kind))
        .expect("writing into memory does not fail");
    DynamicValue { msgpack, json: Vec::new() }
}

fn raw(value: &Value, kind: &Type) -> Raw {
    let text = |text: &str| Raw::String(text.into());
    match (value, kind) {
        (Value::Null, _) => Raw::Nil,
        (Value::Unknown(promise), _) if promise.not_null => {
            Raw::Ext(REFINED, vec![0x81, 0x01, 0xc2])
        }
        (Value::Unknown(_), _) => Raw::Ext(0, vec![0]),
        (Value::Dynamic(kind, value), _) => {
            Raw::Array(vec![Raw::Binary(kind.to_json().to_string().into()), raw(value, kind)])
        }
        (Value::Bool(value), _) => Raw::Boolean(*value),
        (Value::String(value), _) => text(value),
        (Value::Number(number), _) => match number.as_i64() {
            Some(whole) => whole.into(),
            // Exact in binary, or else in digits.
            None if number.as_f64().is_infinite() || exact(number) => Raw::F64(number.as_f64()),
            None => text(&number.to_string()),
        },
        (Value::List(items), Type::Tuple(kinds)) => {
            Raw::Array(items.iter().zip(kinds).map(|(item, kind)| raw(item, kind)).collect())
        }
        (Value::List(items) | Value::Set(items), Type::List(kind) | Type::Set(kind)) => {
            Raw::Array(items.iter().map(|item| raw(item, kind)).collect())
        }
        (Value::Map(items), Type::Map(kind)) => {
            Raw::Map(items.iter().map(|(key, item)| (text(key), raw(item, kind))).collect())
        }
        (Value::Map(items), Type::Object(kinds)) => {
            let attributes = kinds.iter();
            let attributes = attributes.map(|(name, kind)| {
                (text(name), raw(items.get(name).unwrap_or(&Value::Null), kind))
            });
            Raw::Map(attributes.collect())
        }
        (other, kind) => panic!("{other} was made for another type than {}", kind.to_json()),
    }
}

/// Is the number a fraction that a float holds exactly? Its decimal digits are then few.
fn exact(number: &Number) -> bool {
    let float = number.as_f64();
    let halves = float * 1024.0;
    halves.fract() == 0.0 && halves.abs() < 9e15 && float.to_string() == number.to_string()
}
