//! Bytes that anybody may have made, and what must hold whatever they say. The seeds are tested here,
//! the rest is found by fuzzing.

use crate::dynamic::Dyn;
use crate::engine::{conforms, same};
use crate::schema::Type;
use crate::{json, msgpack};

/// A value as Terraform sends it: the first byte chooses the type.
pub fn msgpack(bytes: &[u8]) {
    let Some((kind, bytes)) = typed(bytes) else { return };
    if let Ok(value) = msgpack::decode(bytes, &kind) {
        survives(&kind, &value);
    }
}

/// A value as it stands in a state file: the first byte chooses the type.
pub fn state(bytes: &[u8]) {
    let Some((kind, bytes)) = typed(bytes) else { return };
    if let Ok(value) = json::decode(bytes, &kind) {
        assert!(value.is_wholly_known());
        survives(&kind, &value);
    }
}

/// What was read is of its type, and is the same when it is written and read again.
fn survives(kind: &Type, value: &Dyn) {
    assert!(conforms(kind, value), "{value:?} is no {kind:?}");
    let again = msgpack::decode(&msgpack::encode(value, kind), kind).expect("what we wrote");
    assert!(same(kind, value, &again), "{value:?} became {again:?}");
}

fn typed(bytes: &[u8]) -> Option<(Type, &[u8])> {
    let (choice, bytes) = bytes.split_first()?;
    let object = |attributes: &[(&str, Type)]| {
        let attributes = attributes.iter();
        Type::Object(attributes.map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect())
    };
    let inner = object(&[("a", Type::Number), ("b", Type::Map(Box::new(Type::Bool)))]);
    let kind = match choice % 8 {
        0 => Type::String,
        1 => Type::Number,
        2 => Type::Bool,
        3 => Type::List(Box::new(Type::Number)),
        4 => Type::Set(Box::new(Type::String)),
        5 => Type::Map(Box::new(Type::List(Box::new(Type::String)))),
        6 => inner,
        _ => object(&[
            ("items", Type::List(Box::new(inner.clone()))),
            ("named", Type::Map(Box::new(inner.clone()))),
            ("one", inner.clone()),
            ("set", Type::Set(Box::new(inner))),
            ("text", Type::String),
        ]),
    };
    Some((kind, bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_are_harmless() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds");
        for (kind, check) in [("msgpack", super::msgpack as fn(&[u8])), ("state", super::state)] {
            let mut count = 0;
            for seed in std::fs::read_dir(format!("{seeds}/{kind}")).unwrap() {
                check(&std::fs::read(seed.unwrap().path()).unwrap());
                count += 1;
            }
            assert!(count > 3, "the seeds of {kind} are missing");
        }
    }
}
