//! Who one is, as the portal sees it.

use serde::Serialize;

use crate::extract::Json;
use crate::ids::PersonId;
use crate::rights::{Actor, KeyScope, Role, Via};

/// The actor of a request.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Me {
    /// Made by the portal.
    #[schema(value_type = String)]
    pub id: PersonId,
    /// What they sign in with.
    pub login: String,
    /// What they are called.
    pub name: String,
    /// Their role on the site.
    pub role: Role,
    /// Whether they may look at everything.
    pub auditor: bool,
    /// What the key is good for, if a key was used.
    pub scopes: Option<Vec<KeyScope>>,
}

/// Who the key or session belongs to.
#[utoipa::path(get, path = "/api/v1/me", tag = "users", responses((status = 200, body = Me)))]
pub async fn show(actor: Actor) -> Json<Me> {
    let Actor { person, login, name, role, auditor, via } = actor;
    let scopes = if let Via::Key { scopes, .. } = via { Some(scopes) } else { None };
    Json(Me { id: person, login, name, role, auditor, scopes })
}
