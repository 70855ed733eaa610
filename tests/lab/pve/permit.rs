//! The permission that an endpoint declares; checked before parameters are verified, so that a forbidden request with
//! bad parameters is forbidden.

use serde_json::Value;

use super::Version;
use super::access::Principal;
use super::api::Refusal;
use super::params::Raw;
use super::state::State;

/// Who may call an endpoint. `{names}` in a path stand for parameters.
#[derive(Clone, Copy)]
pub(crate) enum Permit {
    /// Anybody, without credentials.
    World,
    /// Anybody who is authenticated; the endpoint may check more.
    User,
    /// Who has this privilege on this path.
    All(&'static str, &'static str),
    /// Who has any one of these.
    Any(&'static str, &'static [&'static str]),
    /// A privilege of the guest agent, which 8.4 does not have: there it is VM.Monitor.
    Agent(&'static str),
    /// VM.Clone on the source, and VM.Allocate on the new id or on the pool.
    Clone,
    /// The user whom the URL names, or who manages users.
    Oneself,
    /// Who may grant rights on the path that is being changed.
    Granting,
}

fn given<'a>(raw: &'a Raw, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    match raw.get(name)? {
        Value::String(text) => Some(text.into()),
        other => Some(other.to_string().into()),
    }
}

fn fill(template: &str, raw: &Raw) -> String {
    let mut path = String::new();
    for part in template.split('/').skip(1) {
        let value = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        path += "/";
        path += &value.map_or_else(|| part.into(), |name| given(raw, name).unwrap_or_default());
    }
    path
}

impl Permit {
    /// Refuses unless `who` may.
    pub(crate) fn check(self, state: &State, who: &Principal, raw: &Raw) -> Result<(), Refusal> {
        match self {
            Self::World | Self::User => Ok(()),
            Self::All(path, privilege) => state.require(who, &fill(path, raw), privilege),
            Self::Any(path, privileges) => state.require_any(who, &fill(path, raw), privileges),
            Self::Agent(privilege) => {
                let path = fill("/vms/{vmid}", raw);
                match (state.access.version, privilege) {
                    (Version::V8_4, _) => state.require(who, &path, "VM.Monitor"),
                    (Version::V9_1, "") => state.require(who, &path, "VM.GuestAgent.Unrestricted"),
                    (Version::V9_1, one) => {
                        state.require_any(who, &path, &[one, "VM.GuestAgent.Unrestricted"])
                    }
                }
            }
            Self::Clone => {
                state.require(who, &fill("/vms/{vmid}", raw), "VM.Clone")?;
                let on_id = state.may(who, &fill("/vms/{newid}", raw), "VM.Allocate");
                let in_pool = raw.contains_key("pool")
                    && state.may(who, &fill("/pool/{pool}", raw), "VM.Allocate");
                if on_id || in_pool { Ok(()) } else { Err(Refusal::forbidden("")) }
            }
            Self::Oneself if given(raw, "userid").is_some_and(|user| user == who.user) => Ok(()),
            Self::Oneself => state.require(who, "/access/groups", "User.Modify"),
            Self::Granting => {
                let path = given(raw, "path").unwrap_or_default();
                // A path that cannot exist is refused for what it is, not for a missing right, by whoever may grant.
                state.require(who, &path, "Permissions.Modify")
            }
        }
    }
}
