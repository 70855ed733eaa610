use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{decode, encode};
use crate::dynamic::Dyn;
use crate::number::Number;
use crate::promises::{Bound, More, Promises};
use crate::schema::Type;

fn object(attributes: &[(&str, Type)]) -> Type {
    Type::Object(attributes.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect())
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

/// The forms that Terraform was seen to send.
#[test]
fn captured_bytes_are_read_and_written_again() {
    let number = |text: &str| Dyn::Number(Number::parse(text).unwrap());
    let golden = [
        ("c0", Type::String, Dyn::Null),
        ("d4 00 00", Type::String, Dyn::Unknown(Promises::NONE)),
        ("c7 03 0c 81 01 c2", Type::String, Dyn::Unknown(Promises::NOT_NULL)),
        ("a5 64 65 6d 6f 31", Type::String, Dyn::from("demo1")),
        ("c3", Type::Bool, Dyn::Bool(true)),
        ("02", Type::Number, number("2")),
        ("e0", Type::Number, number("-32")),
        ("cd 10 00", Type::Number, number("4096")),
        ("cb 3f e0 00 00 00 00 00 00", Type::Number, Dyn::Number(0.5.into())),
        ("a3 30 2e 31", Type::Number, number("0.1")),
        (
            "b4 31 38 34 34 36 37 34 34 30 37 33 37 30 39 35 35 31 36 31 37",
            Type::Number,
            number("18446744073709551617"),
        ),
        ("92 a1 61 c0", Type::List(Box::new(Type::String)), Dyn::List(vec!["a".into(), Dyn::Null])),
        (
            "82 a1 61 01 a1 62 c2",
            object(&[("a", Type::Number), ("b", Type::Bool)]),
            Dyn::object([("a", number("1")), ("b", Dyn::Bool(false))]),
        ),
    ];
    for (hex, kind, value) in golden {
        assert_eq!(decode(&bytes(hex), &kind).unwrap(), value, "{hex}");
        assert_eq!(encode(&value, &kind), bytes(hex), "{hex}");
    }
}

#[test]
fn other_spellings_of_the_same_value_are_read() {
    let read = |hex: &str, kind: &Type| decode(&bytes(hex), kind).unwrap();
    for hex in ["05", "cc 05", "cd 00 05", "d3 00 00 00 00 00 00 00 05", "ca 40 a0 00 00", "a1 35"]
    {
        assert_eq!(read(hex, &Type::Number), Dyn::Number(5_i64.into()), "{hex}");
    }
    // A prefix and a length beside "not null"; an extension nobody knows.
    let prefixed = "c7 0c 0c 82 01 c2 02 a7 68 74 74 70 73 3a 2f";
    assert_eq!(read(prefixed, &Type::String), Dyn::Unknown(Promises::NOT_NULL.prefix("https:/")));
    // Limits of a number and of a length; a promise of a kind that is not known yet.
    let limited = "c7 11 0c 85 01 c2 03 92 01 c3 04 92 a1 39 c2 05 02 09 a1 78";
    let promises = Promises::NOT_NULL.at_least(1_i64).elements_at_least(2).with(|more| {
        more.most = Some(Bound { number: 9_i64.into(), inclusive: false });
    });
    assert_eq!(read(limited, &Type::Number), Dyn::Unknown(promises));
    // What cannot be read is no promise.
    for broken in ["c7 02 0c 81 01", "c7 01 0c c0", "c7 03 0c 81 02 c2", "c7 03 0c 81 a1 78"] {
        assert_eq!(read(broken, &Type::String), Dyn::Unknown(Promises::NONE), "{broken}");
    }
    assert_eq!(read("d5 63 00 00", &Type::String), Dyn::Unknown(Promises::NONE));
    // An attribute that the schema does not have is skipped, one that is missing is null.
    let kind = object(&[("a", Type::Number), ("b", Type::Bool)]);
    assert_eq!(
        read("82 a1 61 01 a1 7a 92 81 a0 c0 c4 01 00", &kind),
        Dyn::object([("a", Dyn::Number(1_i64.into())), ("b", Dyn::Null)])
    );
}

#[test]
fn a_fault_names_its_place() {
    let kind = Type::List(Box::new(object(&[("cores", Type::Number)])));
    let faults = decode(&bytes("91 81 a5 63 6f 72 65 73 c3"), &kind).unwrap_err();
    assert_eq!(faults.iter().next().unwrap().path.as_ref().unwrap().to_string(), "[0].cores");
}

#[test]
fn hostile_bytes_are_errors() {
    let list = Type::List(Box::new(Type::String));
    // Lengths far beyond what is there.
    for hex in ["dd ff ff ff ff", "db ff ff ff ff", "c9 ff ff ff ff 0c", "df ff ff ff ff", "c1", ""]
    {
        assert!(decode(&bytes(hex), &list).is_err(), "{hex}");
    }
    // An unknown attribute nested deeper than any stack.
    let mut deep = bytes("81 a1 7a");
    deep.extend(std::iter::repeat_n(0x91, 1_000_000));
    assert!(decode(&deep, &object(&[])).is_err());
    assert!(decode(&bytes("c0 c0"), &list).is_err());
    // Not a number.
    for hex in ["cb 7f f8 00 00 00 00 00 00", "ca 7f c0 00 00"] {
        assert!(decode(&bytes(hex), &Type::Number).is_err(), "{hex}");
    }
}

fn promises() -> impl Strategy<Value = Promises> {
    let number = prop_oneof![
        any::<i64>().prop_map(Number::from),
        "-?[1-9][0-9]{20,40}".prop_map(|text| Number::parse(&text).unwrap()),
    ];
    let bound = prop::option::of(
        (number, any::<bool>()).prop_map(|(number, inclusive)| Bound { number, inclusive }),
    );
    let count = || prop::option::of(0..=u64::from(u32::MAX));
    (any::<bool>(), prop::option::of(".{0,60}"), bound.clone(), bound, count(), count()).prop_map(
        |(not_null, prefix, least, most, shortest, longest)| {
            let promises = if not_null { Promises::NOT_NULL } else { Promises::NONE };
            if (&prefix, &least, &most, shortest, longest) == (&None, &None, &None, None, None) {
                return promises;
            }
            promises.with(|more| *more = More { prefix, least, most, shortest, longest })
        },
    )
}

/// A beginning is cut to what Terraform takes, within no letter.
#[test]
fn a_long_prefix_is_shortened() {
    let long = "ä".repeat(200);
    let sent = encode(&Dyn::Unknown(Promises::NOT_NULL.prefix(format!("x{long}"))), &Type::String);
    let read = decode(&sent, &Type::String).unwrap();
    let kept = format!("x{}", "ä".repeat(127));
    assert_eq!(read, Dyn::Unknown(Promises::NOT_NULL.prefix(kept)));
}

/// Any type, and any value of it.
pub(crate) fn typed() -> impl Strategy<Value = (Type, Dyn)> {
    let leaf = prop_oneof![
        any::<String>().prop_map(|text| (Type::String, Dyn::String(text))),
        any::<bool>().prop_map(|value| (Type::Bool, Dyn::Bool(value))),
        any::<i64>().prop_map(|value| (Type::Number, Dyn::Number(value.into()))),
        any::<u64>().prop_map(|value| (Type::Number, Dyn::Number(value.into()))),
        proptest::num::f64::NORMAL.prop_map(|value| (Type::Number, Dyn::Number(value.into()))),
        "-?[1-9][0-9]{0,40}(\\.[0-9]{0,20}[1-9])?"
            .prop_map(|text| (Type::Number, Dyn::Number(Number::parse(&text).unwrap()))),
        Just((Type::String, Dyn::Null)),
        promises().prop_map(|promises| (Type::Bool, Dyn::Unknown(promises))),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            (inner.clone(), 0..40_usize).prop_map(|((kind, value), count)| {
                (Type::List(Box::new(kind)), Dyn::List(vec![value; count]))
            }),
            (inner.clone(), prop::collection::btree_set(".{0,40}", 0..20)).prop_map(
                |((kind, value), keys)| {
                    let items = keys.into_iter().map(|key| (key, value.clone())).collect();
                    (Type::Map(Box::new(kind)), Dyn::Map(items))
                }
            ),
            prop::collection::btree_map("[a-z_]{1,12}", inner, 0..20).prop_map(|attributes| {
                let (mut kinds, mut values) = (BTreeMap::new(), BTreeMap::new());
                for (name, (kind, value)) in attributes {
                    kinds.insert(name.clone(), kind);
                    values.insert(name, value);
                }
                (Type::Object(kinds), Dyn::Map(values))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again((kind, value) in typed()) {
        prop_assert_eq!(decode(&encode(&value, &kind), &kind).unwrap(), value);
    }

    #[test]
    fn cut_and_changed_bytes_never_panic(
        (kind, value) in typed(), cut in any::<prop::sample::Index>(), change in any::<u8>()
    ) {
        let mut bytes = encode(&value, &kind);
        let place = cut.index(bytes.len());
        let _ = decode(&bytes[..place], &kind);
        bytes[place] = change;
        let _ = decode(&bytes, &kind);
    }

    #[test]
    fn noise_never_panics((kind, _) in typed(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes, &kind);
    }
}
