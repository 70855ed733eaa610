//! Firewall `IPSets`, of the data centre and of each machine: the address ledger rides on them.
//!
//! Creating an entry is create-if-absent; changing and deleting one compare the digest of the whole set if one is
//! given. The node of the URL is not looked at and the machine may even be missing, as on the real thing.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::api::{Answer, Call, Refusal, done};
use super::formats;
use super::state::State;

/// The sets of one firewall file.
pub(crate) type Sets = BTreeMap<String, Set>;

/// One set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) comment: Option<String>,
    /// Entries by their stored form.
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// One entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) comment: Option<String>,
    pub(crate) nomatch: bool,
}

impl Set {
    /// One value for the whole set: SHA-1 over the entries in the order of their addresses, keys sorted.
    fn digest(&self) -> String {
        let mut text = String::new();
        for (cidr, entry) in &self.entries {
            text += &format!("cidr:{cidr}\n");
            if let Some(comment) = &entry.comment {
                text += &format!("comment:{comment}\n");
            }
            if entry.nomatch {
                text += "nomatch:1\n";
            }
        }
        hex::encode(Sha1::digest(text))
    }

    fn row(&self, cidr: &str, entry: &Entry) -> Value {
        let mut row = json!({"cidr": cidr, "digest": self.digest()});
        if let Some(comment) = &entry.comment {
            row["comment"] = comment.as_str().into();
        }
        if entry.nomatch {
            row["nomatch"] = 1.into();
        }
        row
    }
}

/// The sets that the URL means: a machine's if it names one.
fn sets<'a>(state: &'a mut State, call: &Call) -> &'a mut Sets {
    match call.params.get("vmid") {
        Some(_) => state.vm_sets.entry(call.vmid()).or_default(),
        None => &mut state.cluster_sets,
    }
}

fn set<'a>(state: &'a mut State, call: &Call) -> Result<&'a mut Set, Refusal> {
    let name = call.params.text("name");
    sets(state, call)
        .get_mut(name)
        .ok_or_else(|| Refusal::failed(format!("no such IPSet '{name}'")))
}

/// One line, the spaces at its end trimmed: how the file keeps it.
fn comment(call: &Call) -> Option<String> {
    call.params
        .get("comment")
        .map(|text| text.trim_end().replace('\n', " "))
        .filter(|text| !text.is_empty())
}

fn stored_cidr(call: &Call) -> String {
    let given = call.params.text("cidr");
    formats::network(given).unwrap_or_else(|| given.to_owned())
}

/// One value for the whole list of sets.
fn list_digest(sets: &Sets) -> String {
    let mut text = String::new();
    for (name, set) in sets {
        if let Some(comment) = &set.comment {
            text += &format!("comment:{comment}\n");
        }
        text += &format!("name:{name}\n");
    }
    hex::encode(Sha1::digest(text))
}

/// `GET .../ipset`.
pub(crate) fn list(call: &Call) -> Answer {
    let mut state = call.state();
    let sets = sets(&mut state, call);
    let digest = list_digest(sets);
    let rows = sets.iter().map(|(name, set)| {
        let mut row = json!({"name": name, "digest": digest});
        if let Some(comment) = &set.comment {
            row["comment"] = comment.as_str().into();
        }
        row
    });
    Ok(rows.collect::<Value>().into())
}

/// `POST .../ipset`. Names are read back in lower case, so that one with capitals is created and never found again.
pub(crate) fn create(call: &Call) -> Answer {
    let mut state = call.state();
    let sets = sets(&mut state, call);
    let name = call.params.text("name");
    let comment = comment(call);
    let refused = |text: String| Err(Refusal::parameter("name", text));
    if let Some(old) = call.params.get("rename") {
        if call.params.get("digest").is_some_and(|digest| digest != list_digest(sets)) {
            return Err(Refusal::modified());
        }
        if !sets.contains_key(old) {
            return refused(format!("IPSet '{old}' does not exist"));
        }
        if name != old && sets.contains_key(name) {
            return refused(format!("IPSet '{name}' does already exist"));
        }
        let mut set = sets.remove(old).unwrap_or_default();
        set.comment = comment.or(set.comment);
        sets.insert(name.to_lowercase(), set);
        return done();
    }
    if sets.contains_key(name) {
        return refused(format!("IPSet '{name}' already exists"));
    }
    sets.insert(name.to_lowercase(), Set { comment, entries: BTreeMap::new() });
    done()
}

/// `DELETE .../ipset/{name}`: only an empty one, unless forced.
pub(crate) fn delete(call: &Call) -> Answer {
    let mut state = call.state();
    let name = call.params.text("name");
    if !set(&mut state, call)?.entries.is_empty() && !call.params.flag("force") {
        return Err(Refusal::failed(format!("IPSet '{name}' is not empty")));
    }
    sets(&mut state, call).remove(name);
    done()
}

/// `GET .../ipset/{name}`.
pub(crate) fn entries(call: &Call) -> Answer {
    let mut state = call.state();
    let set = set(&mut state, call)?;
    Ok(set.entries.iter().map(|(cidr, entry)| set.row(cidr, entry)).collect::<Value>().into())
}

/// `POST .../ipset/{name}`: create if absent, atomic in the whole cluster.
pub(crate) fn create_entry(call: &Call) -> Answer {
    let mut state = call.state();
    let set = set(&mut state, call)?;
    let cidr = stored_cidr(call);
    if set.entries.contains_key(&cidr) {
        return Err(Refusal::parameter("cidr", format!("address '{cidr}' already exists")));
    }
    if cidr.ends_with("/0") {
        let text = "a zero prefix is not allowed in ipset entries";
        return Err(Refusal::parameter("cidr", text));
    }
    if formats::network(&cidr).is_none() {
        let name = cidr.trim_start_matches("dc/").trim_start_matches("guest/");
        return Err(Refusal::failed(format!("no such alias '{name}'")));
    }
    set.entries
        .insert(cidr, Entry { comment: comment(call), nomatch: call.params.flag("nomatch") });
    done()
}

fn no_such_entry() -> Refusal {
    Refusal::parameter("cidr", "no such IP/Network")
}

/// `GET .../ipset/{name}/{cidr}`.
pub(crate) fn entry(call: &Call) -> Answer {
    let mut state = call.state();
    let set = set(&mut state, call)?;
    let cidr = stored_cidr(call);
    set.entries.get(&cidr).map(|entry| set.row(&cidr, entry).into()).ok_or_else(no_such_entry)
}

fn check_digest(call: &Call, set: &Set) -> Result<(), Refusal> {
    match call.params.get("digest") {
        Some(digest) if digest != set.digest() => Err(Refusal::modified()),
        _ => Ok(()),
    }
}

/// `PUT .../ipset/{name}/{cidr}`: without a digest it overwrites whatever is there.
pub(crate) fn update_entry(call: &Call) -> Answer {
    let mut state = call.state();
    let set = set(&mut state, call)?;
    check_digest(call, set)?;
    let entry = set.entries.get_mut(&stored_cidr(call)).ok_or_else(no_such_entry)?;
    *entry = Entry { comment: comment(call), nomatch: call.params.flag("nomatch") };
    done()
}

/// `DELETE .../ipset/{name}/{cidr}`: of a missing entry this is a success.
pub(crate) fn delete_entry(call: &Call) -> Answer {
    let mut state = call.state();
    let set = set(&mut state, call)?;
    check_digest(call, set)?;
    set.entries.remove(&stored_cidr(call));
    done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_that_a_real_server_computed() {
        let row = |index: u8| Entry {
            comment: Some(format!(
                "ks1 l=demo x=abcdef0123456789 b=10.40.19.201 n=2 i={index} t=1795347486"
            )),
            nomatch: false,
        };
        let entries = BTreeMap::from([
            ("10.40.19.202".to_owned(), row(1)),
            ("10.40.19.201".to_owned(), row(0)),
        ]);
        assert_eq!(
            Set { comment: None, entries }.digest(),
            "4178f01662a030c6c24fa481e3b2dc9e55b50cb2"
        );
        let entries = BTreeMap::from([
            ("10.0.0.1".to_owned(), Entry { comment: Some("x".to_owned()), nomatch: false }),
            ("10.1.0.0/16".to_owned(), Entry { comment: None, nomatch: true }),
        ]);
        assert_eq!(
            Set { comment: None, entries }.digest(),
            "9482d602b7782a5c388ba30f5696201d6fb03743"
        );
    }

    #[test]
    fn addresses_are_stored_without_host_bits() {
        let stored = |text| formats::network(text).unwrap_or_else(|| "refused".to_owned());
        assert_eq!(stored("10.1.2.3/16"), "10.1.0.0/16");
        assert_eq!(stored("10.0.0.1/32"), "10.0.0.1");
        assert_eq!(stored("fe80::1/64"), "fe80::/64");
        for bad in ["999.1.2.3", "10.0.0.1-10.0.0.5", "10.0.0.0/33", "10.0.0.0/"] {
            assert_eq!(stored(bad), "refused");
        }
    }
}
