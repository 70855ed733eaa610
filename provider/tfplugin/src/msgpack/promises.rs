//! The promises about an unknown value, within its extension: a map with numbers as keys.

use super::decode::{Head, MAX_DEPTH, Reader};
use super::encode::{write_integer, write_length, write_number, write_text};
use crate::number::Number;
use crate::promises::{Bound, Promises};

const IS_NULL: i64 = 1;
const PREFIX: i64 = 2;
const LEAST: i64 = 3;
const MOST: i64 = 4;
const SHORTEST: i64 = 5;
const LONGEST: i64 = 6;

/// Terraform ignores more than this, and so do we.
const MOST_BYTES: usize = 1024;
/// A promise about the beginning is true for a shorter beginning as well.
const MOST_PREFIX: usize = 256;

/// Reads them. What cannot be read is no promise: the value is unknown all the same.
pub(super) fn read(body: &[u8]) -> Promises {
    if body.len() > MOST_BYTES {
        return Promises::NONE;
    }
    parse(&mut Reader::new(body)).unwrap_or_default()
}

fn parse(reader: &mut Reader<'_>) -> Option<Promises> {
    let Head::Map(count) = reader.head()? else { return None };
    let mut promises = Promises::NONE;
    for _ in 0..count {
        let Head::Number(key) = reader.head()? else { return None };
        match key.as_i64() {
            Some(IS_NULL) => match reader.head()? {
                Head::Bool(is_null) => promises.not_null = !is_null,
                _ => return None,
            },
            Some(PREFIX) => {
                let Head::Text(length) = reader.head()? else { return None };
                let text = String::from_utf8(reader.take(length)?.to_vec()).ok()?;
                promises = promises.prefix(text);
            }
            Some(key @ (LEAST | MOST)) => {
                let bound = bound(reader)?;
                promises = promises.with(|more| match key {
                    LEAST => more.least = Some(bound),
                    _ => more.most = Some(bound),
                });
            }
            Some(key @ (SHORTEST | LONGEST)) => {
                let Head::Number(count) = reader.head()? else { return None };
                let count = count.as_u64()?;
                promises = promises.with(|more| match key {
                    SHORTEST => more.shortest = Some(count),
                    _ => more.longest = Some(count),
                });
            }
            // What a later Terraform may promise.
            _ => reader.skip(MAX_DEPTH)?,
        }
    }
    Some(promises)
}

fn bound(reader: &mut Reader<'_>) -> Option<Bound> {
    let Head::Array(2) = reader.head()? else { return None };
    let number = match reader.head()? {
        Head::Number(number) => number,
        Head::Text(length) => Number::parse(std::str::from_utf8(reader.take(length)?).ok()?)?,
        _ => return None,
    };
    let Head::Bool(inclusive) = reader.head()? else { return None };
    Some(Bound { number, inclusive })
}

/// Writes them. One that would not fit is left out: promising less is never wrong.
pub(super) fn write(promises: &Promises) -> Vec<u8> {
    let mut pairs = Vec::new();
    let mut put = |key: i64, write: &dyn Fn(&mut Vec<u8>)| {
        let mut pair = Vec::new();
        write_integer(&mut pair, key);
        write(&mut pair);
        if pair.len() <= MOST_PREFIX + 8 {
            pairs.push(pair);
        }
    };
    if promises.not_null {
        put(IS_NULL, &|out| out.push(0xc2));
    }
    if let Some(more) = promises.more() {
        if let Some(prefix) = &more.prefix {
            let end = prefix.floor_char_boundary(MOST_PREFIX);
            put(PREFIX, &|out| write_text(out, &prefix[..end]));
        }
        for (key, bound) in [(LEAST, &more.least), (MOST, &more.most)] {
            let Some(bound) = bound else { continue };
            put(key, &|out| {
                write_length(out, 2, [0x90, 0xdc, 0xdd]);
                write_number(out, &bound.number);
                out.push(if bound.inclusive { 0xc3 } else { 0xc2 });
            });
        }
        for (key, count) in [(SHORTEST, more.shortest), (LONGEST, more.longest)] {
            let Some(count) = count.and_then(|count| i64::try_from(count).ok()) else { continue };
            put(key, &|out| write_integer(out, count));
        }
    }
    let mut body = Vec::new();
    write_length(&mut body, pairs.len(), [0x80, 0xde, 0xdf]);
    body.extend(pairs.concat());
    body
}
