//! Sets of objects: elements have no place, only a value.

use super::*;
use crate::dynamic::UNKNOWN;

#[test]
fn elements_of_a_set_are_known_by_what_is_written() {
    let set = |texts: serde_json::Value| object(serde_json::json!({ "stickers": texts }));
    let stickers = |value: &Dyn| value.attribute("stickers").items().to_vec();
    let before = stickers(&set(serde_json::json!([
        {"text": "a", "colour": "white", "number": 1},
        {"text": "b", "colour": "red", "number": 2},
        {"text": "c", "colour": "white", "number": 3},
    ])));
    let mut prior = prior();
    let Dyn::Map(items) = &mut prior else { panic!() };
    items.insert("stickers".to_owned(), Dyn::List(before.clone()));

    // Another order, a default written out: nothing changes.
    let same_set = serde_json::json!([
        {"text": "c"}, {"text": "b", "colour": "red"}, {"text": "a", "colour": "white"},
    ]);
    let planned =
        plan(&shape().schema, &config(|json| json["stickers"] = same_set.clone()), &prior);
    assert!(same(&shape().object, &planned.value, &prior), "{:?}", planned.value);

    // One leaves, one changes its colour, one comes: the others keep what they have.
    let changed = serde_json::json!([{"text": "d"}, {"text": "b"}, {"text": "c"}]);
    let planned = plan(&shape().schema, &config(|json| json["stickers"] = changed.clone()), &prior);
    let planned = stickers(&planned.value);
    assert!(planned[0].attribute("number").is_unknown());
    assert_eq!(planned[0].attribute("colour"), &Dyn::from("white"));
    assert!(planned[1].attribute("number").is_unknown());
    assert_eq!(planned[2], before[2]);
}

/// A room.
#[derive(crate::Model)]
struct Room {
    /// Keys.
    #[tf(required)]
    keys: BTreeSet<Key>,
}

/// Key.
#[derive(PartialEq, Eq, PartialOrd, Ord, crate::Model)]
struct Key {
    /// Door.
    #[tf(required)]
    door: String,
    /// Colour.
    #[tf(default = "white")]
    colour: String,
}

/// Defaults make one of two: said before Terraform counts them and calls the plan broken.
#[test]
fn twins_in_a_set_are_found() {
    let schema = Room::schema();
    let key = |door: &str, colour| Dyn::object([("door", door.into()), ("colour", colour)]);
    for (keys, is_sound) in [
        ([key("a", Dyn::Null), key("b", Dyn::Null)], true),
        ([key("a", Dyn::Null), key("a", "red".into())], true),
        ([key("a", Dyn::Null), key("a", "white".into())], false),
        ([key("a", Dyn::Null), key("a", UNKNOWN)], true),
    ] {
        let config = Dyn::object([("keys", Dyn::List(keys.into()))]);
        let mut faults = Diags::none();
        find_faults(&schema, &config, &Path::root(), &mut faults);
        assert_eq!(faults.is_empty(), is_sound, "{config:?} {faults:?}");
    }
}

#[test]
fn every_planned_element_of_a_set_must_come_back() {
    let state = |stickers: serde_json::Value| {
        let mut state = prior();
        let Dyn::Map(items) = &mut state else { panic!() };
        let new = object(serde_json::json!({ "stickers": stickers }));
        items.insert("stickers".to_owned(), new.attribute("stickers").clone());
        state
    };
    let mut planned = state(serde_json::json!([
        {"text": "a", "colour": "?"}, {"text": "a", "colour": "red"},
    ]));
    let Dyn::Map(items) = &mut planned else { panic!() };
    let Some(Dyn::List(stickers)) = items.get_mut("stickers") else { panic!() };
    for sticker in stickers {
        let Dyn::Map(sticker) = sticker else { panic!() };
        sticker.insert("number".to_owned(), UNKNOWN);
    }
    let made = state(serde_json::json!([
        {"text": "a", "colour": "red", "number": 1}, {"text": "a", "colour": "blue", "number": 2},
    ]));
    let (_, faults) = fill(&shape().schema, &planned, &made);
    assert_eq!(faults, Diags::none());
    for stickers in [
        serde_json::json!([{"text": "a", "colour": "red", "number": 1}]),
        serde_json::json!([
            {"text": "a", "colour": "red", "number": 1}, {"text": "b", "colour": "x", "number": 2},
        ]),
    ] {
        let (_, faults) = fill(&shape().schema, &planned, &state(stickers));
        let places: Vec<_> = faults.iter().map(|diag| diag.path.clone().unwrap()).collect();
        assert_eq!(paths(&places), ["stickers"]);
    }
}
