//! Writing.

use crate::dynamic::Dyn;
use crate::msgpack::{REFINED, UNKNOWN, promises};
use crate::number::{FormRef, Number};
use crate::promises::Promises;
use crate::schema::Type;

/// Writes a value of a type. What does not fit the type is written as null, so that Terraform
/// can always read the answer; [`conform`](crate::engine::conform) has complained before.
pub(crate) fn encode(value: &Dyn, kind: &Type) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, value, kind);
    out
}

fn write(out: &mut Vec<u8>, value: &Dyn, kind: &Type) {
    match (value, kind) {
        (Dyn::Unknown(promises), _) if *promises == Promises::NONE => {
            out.extend([0xd4, UNKNOWN.cast_unsigned(), 0x00]);
        }
        (Dyn::Unknown(promises), _) => write_extension(out, REFINED, &promises::write(promises)),
        (Dyn::Bool(value), Type::Bool) => out.push(if *value { 0xc3 } else { 0xc2 }),
        (Dyn::Number(number), Type::Number) => write_number(out, number),
        (Dyn::String(text), Type::String) => write_text(out, text),
        (Dyn::List(items), Type::List(item) | Type::Set(item)) => {
            write_length(out, items.len(), [0x90, 0xdc, 0xdd]);
            for value in items {
                write(out, value, item);
            }
        }
        (Dyn::Map(items), Type::Map(item)) => {
            write_length(out, items.len(), [0x80, 0xde, 0xdf]);
            for (key, value) in items {
                write_text(out, key);
                write(out, value, item);
            }
        }
        (Dyn::Map(_), Type::Object(attributes)) => {
            write_length(out, attributes.len(), [0x80, 0xde, 0xdf]);
            for (name, kind) in attributes {
                write_text(out, name);
                write(out, value.attribute(name), kind);
            }
        }
        _ => out.push(0xc0),
    }
}

fn write_extension(out: &mut Vec<u8>, code: i8, body: &[u8]) {
    if let Ok(length) = u8::try_from(body.len()) {
        out.extend([0xc7, length]);
    } else {
        out.push(0xc8);
        out.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    }
    out.push(code.cast_unsigned());
    out.extend(body);
}

/// A length of a collection: within the first byte, in 16 bits, in 32 bits.
pub(super) fn write_length(out: &mut Vec<u8>, length: usize, [short, medium, long]: [u8; 3]) {
    if let (Ok(small), true) = (u8::try_from(length), length < 16) {
        out.push(short | small);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(medium);
        out.extend(length.to_be_bytes());
    } else {
        out.push(long);
        out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }
}

pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    match (u8::try_from(text.len()), u16::try_from(text.len())) {
        (Ok(length), _) if length < 32 => out.push(0xa0 | length),
        (Ok(length), _) => out.extend([0xd9, length]),
        (Err(_), Ok(length)) => {
            out.push(0xda);
            out.extend(length.to_be_bytes());
        }
        (Err(_), Err(_)) => {
            out.push(0xdb);
            out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend(text.as_bytes());
}

/// Terraform takes integers of 64 bits, floats that are exact, and decimal text for the rest.
pub(super) fn write_number(out: &mut Vec<u8>, number: &Number) {
    if let Some(whole) = number.as_i64() {
        write_integer(out, whole);
        return;
    }
    match number.form() {
        FormRef::Float(value) if value.is_nan() => out.push(0xc0),
        // Not exact in binary does not matter: Terraform compares the shortest decimal text.
        FormRef::Float(value) => {
            out.push(0xcb);
            out.extend(value.to_be_bytes());
        }
        FormRef::Signed(_) | FormRef::Unsigned(_) | FormRef::Text(_) => {
            write_text(out, &number.to_string());
        }
    }
}

pub(super) fn write_integer(out: &mut Vec<u8>, value: i64) {
    if let Ok(small) = u8::try_from(value) {
        if small < 0x80 {
            out.push(small);
        } else {
            out.extend([0xcc, small]);
        }
    } else if let Ok(small) = i8::try_from(value) {
        if small >= -32 {
            out.push(small.cast_unsigned());
        } else {
            out.extend([0xd0, small.cast_unsigned()]);
        }
    } else if let Ok(value) = u16::try_from(value) {
        out.push(0xcd);
        out.extend(value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xd1);
        out.extend(value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(0xce);
        out.extend(value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xd2);
        out.extend(value.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend(value.to_be_bytes());
    }
}
