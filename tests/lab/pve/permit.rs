//! Who may call an endpoint; checked before parameters are verified, so that a forbidden request with bad parameters is
//! forbidden.
//!
//! The tests are the server's own, as its schema has them: `["perm", "/vms/{vmid}", ["VM.Audit"], "any", 1]`, joined by
//! `and` and `or`. A failed `or` names nothing, everything else names what is missing.

use serde_json::Value;

use super::access::Principal;
use super::api::Refusal;
use super::formats::split_list;
use super::params::Raw;
use super::state::State;

/// Whether nobody needs to say who they are.
pub(crate) fn is_open(check: &Value) -> bool {
    check == "world"
}

/// Refuses unless `who` passes `check`.
pub(crate) fn require(
    check: &Value,
    state: &State,
    who: &Principal,
    raw: &Raw,
) -> Result<(), Refusal> {
    if is_open(check) || check == "all" || who.is_root() {
        return Ok(());
    }
    Test { state, who, raw }.run(check)
}

/// A parameter as text, before anybody looked at it.
fn given(raw: &Raw, name: &str) -> Option<String> {
    match raw.get(name)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

struct Test<'a> {
    state: &'a State,
    who: &'a Principal,
    raw: &'a Raw,
}

impl Test<'_> {
    fn run(&self, check: &Value) -> Result<(), Refusal> {
        let parts = check.as_array().map(Vec::as_slice).unwrap_or_default();
        let Some((kind, parts)) = parts.split_first() else { return Err(Refusal::forbidden("")) };
        match kind.as_str().unwrap_or_default() {
            "and" => parts.iter().try_for_each(|part| self.run(part)),
            "or" if parts.iter().any(|part| self.run(part).is_ok()) => Ok(()),
            "perm" => self.privileges(parts),
            "perm-modify" => self.state.require_modify(self.who, &self.param("path")),
            "userid-param" => self.user(parts),
            "userid-group" => self.group(parts),
            _ => Err(Refusal::forbidden("")),
        }
    }

    fn param(&self, name: &str) -> String {
        given(self.raw, name).unwrap_or_default()
    }

    /// Privileges on a path in which `{names}` stand for parameters: all of them, or with `any` one.
    fn privileges(&self, parts: &[Value]) -> Result<(), Refusal> {
        let path = fill(parts.first().and_then(Value::as_str).unwrap_or_default(), self.raw);
        let privileges = texts(parts.get(1));
        if let Some(name) = option(parts, "require_param").and_then(Value::as_str)
            && !self.raw.contains_key(name)
        {
            return Err(Refusal::forbidden(""));
        }
        if option(parts, "any").is_some() {
            return self.state.require_any(self.who, &path, &privileges);
        }
        privileges.iter().try_for_each(|privilege| self.state.require(self.who, &path, privilege))
    }

    fn user(&self, parts: &[Value]) -> Result<(), Refusal> {
        let user = self.param("userid");
        if parts.first().is_some_and(|part| part == "self") {
            let is_self = self.state.access.users.contains_key(&user) && self.who.id() == user;
            return if is_self { Ok(()) } else { Err(Refusal::forbidden("")) };
        }
        let realm = user.rsplit('@').next().unwrap_or_default();
        self.state.require(self.who, &format!("/access/realm/{realm}"), "Realm.AllocateUser")
    }

    /// The right to look at or change a user: on all groups, or on one that the user is in (or is put into).
    fn group(&self, parts: &[Value]) -> Result<(), Refusal> {
        let privileges = texts(parts.first());
        let parameter = option(parts, "groups_param").and_then(Value::as_str);
        let user = self.param("userid");
        let exists = parameter != Some("create");
        if exists && !self.state.access.users.contains_key(&user) {
            return Err(Refusal::no_such_user(&user));
        }
        let all = "/access/groups";
        if self.state.may_any(self.who, all, &privileges) {
            return Ok(());
        }
        let may =
            |group: &str| self.state.may_any(self.who, &format!("{all}/{group}"), &privileges);
        let names = privileges.join("|");
        if parameter.is_some() {
            let groups = self.param("groups");
            if split_list(&groups).next().is_none() {
                return Err(Refusal::forbidden(&format!("{all}, {names}")));
            }
            if let Some(group) = split_list(&groups).find(|group| !may(group)) {
                return Err(Refusal::forbidden(&format!("{all}/{group}, {names}")));
            }
        }
        let is_member = self
            .state
            .access
            .groups
            .iter()
            .any(|(name, group)| group.members.contains(&user) && may(name));
        if !exists || is_member { Ok(()) } else { Err(Refusal::forbidden("")) }
    }
}

fn texts(list: Option<&Value>) -> Vec<&str> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

/// What follows a name among the parts of a test.
fn option<'a>(parts: &'a [Value], name: &str) -> Option<&'a Value> {
    let at = parts.iter().position(|part| part == name)?;
    parts.get(at + 1)
}

fn fill(template: &str, raw: &Raw) -> String {
    let mut path = String::new();
    for part in template.split('/').skip(1) {
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        let value =
            name.map_or_else(|| part.to_owned(), |name| given(raw, name).unwrap_or_default());
        if !value.is_empty() {
            path = format!("{path}/{value}");
        }
    }
    if path.is_empty() { "/".to_owned() } else { path }
}
