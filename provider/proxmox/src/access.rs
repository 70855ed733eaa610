//! Who may do what: roles, users, tokens, the access list and pools. An administrator's calls; provisioning needs none.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::client::{Client, delete, get, post, put};
use crate::error::Error;
use crate::token::{ApiToken, InvalidToken};
use crate::wire;

/// A named set of privileges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub roleid: String,
    /// What it allows, for instance `VM.Audit`.
    pub privileges: BTreeSet<String>,
}

/// A row of the access list: a role, granted on a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclRow {
    /// For instance `/pool/net1`.
    pub path: String,
    /// The role.
    pub roleid: String,
    /// Who has it: a user, a group or a token (`user@realm!name`).
    pub ugid: String,
    /// Whether it holds below the path as well.
    pub propagates: bool,
}

/// What a row of the access list is about, when it is set or taken away.
#[derive(Debug, Clone, Copy)]
pub struct Acl<'a> {
    /// For instance `/pool/net1`.
    pub path: &'a str,
    /// The role.
    pub role: &'a str,
    /// The user who gets or loses it.
    pub user: &'a str,
    /// Whether it holds below the path as well.
    pub propagates: bool,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    roleid: String,
    #[serde(default)]
    privs: String,
    #[serde(default)]
    userid: String,
    #[serde(default)]
    tokenid: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    ugid: String,
    #[serde(default, deserialize_with = "wire::flag")]
    propagate: Option<bool>,
}

#[derive(Deserialize)]
struct Made {
    #[serde(rename = "full-tokenid")]
    id: String,
    value: String,
}

impl Client {
    /// All roles, the built-in ones among them.
    pub async fn roles(&self) -> Result<Vec<Role>, Error> {
        let rows: Vec<Row> = self.send(get(&["access", "roles"])).await?;
        let privileges = |privs: &str| wire::list(privs).map(str::to_owned).collect();
        Ok(rows
            .into_iter()
            .map(|row| Role { privileges: privileges(&row.privs), roleid: row.roleid })
            .collect())
    }

    /// Make a role.
    pub async fn create_role(&self, role: &Role) -> Result<(), Error> {
        let request =
            post(&["access", "roles"]).with("roleid", &role.roleid).with("privs", role.list());
        self.send::<Value>(request).await.map(drop)
    }

    /// Give a role exactly these privileges.
    pub async fn set_role(&self, role: &Role) -> Result<(), Error> {
        let request = put(&["access", "roles", &role.roleid]).with("privs", role.list());
        self.send::<Value>(request).await.map(drop)
    }

    /// Remove a role; rows of the access list with it go too.
    pub async fn delete_role(&self, roleid: &str) -> Result<(), Error> {
        self.send::<Value>(delete(&["access", "roles", roleid])).await.map(drop)
    }

    /// The users that one may see, by `name@realm`.
    pub async fn users(&self) -> Result<BTreeSet<String>, Error> {
        let rows: Vec<Row> = self.send(get(&["access", "users"])).await?;
        Ok(rows.into_iter().map(|row| row.userid).collect())
    }

    /// Make a user of the realm `pve` without a password: nobody can log in as it.
    pub async fn create_user(&self, userid: &str, comment: &str) -> Result<(), Error> {
        let request = post(&["access", "users"]).with("userid", userid).with("comment", comment);
        self.send::<Value>(request).await.map(drop)
    }

    /// Remove a user with its tokens and its rows of the access list.
    pub async fn delete_user(&self, userid: &str) -> Result<(), Error> {
        self.send::<Value>(delete(&["access", "users", userid])).await.map(drop)
    }

    /// The names of a user's tokens.
    pub async fn tokens(&self, userid: &str) -> Result<BTreeSet<String>, Error> {
        let rows: Vec<Row> = self.send(get(&["access", "users", userid, "token"])).await?;
        Ok(rows.into_iter().map(|row| row.tokenid).collect())
    }

    /// Make a token that may do all that its user may. Its secret is in this answer and nowhere else.
    pub async fn create_token(&self, userid: &str, name: &str) -> Result<ApiToken, Error> {
        let request = post(&["access", "users", userid, "token", name]).with("privsep", "0");
        let made: Made = self.send(request).await?;
        format!("{}={}", made.id, made.value)
            .parse()
            .map_err(|error: InvalidToken| Error::local(crate::Class::Malformed, error.to_string()))
    }

    /// The access list.
    pub async fn acl(&self) -> Result<Vec<AclRow>, Error> {
        let rows: Vec<Row> = self.send(get(&["access", "acl"])).await?;
        Ok(rows
            .into_iter()
            .map(|row| AclRow {
                path: row.path,
                roleid: row.roleid,
                ugid: row.ugid,
                propagates: row.propagate != Some(false),
            })
            .collect())
    }

    /// Grant.
    pub async fn grant(&self, acl: Acl<'_>) -> Result<(), Error> {
        self.change_acl(acl, false).await
    }

    /// Take away what was granted.
    pub async fn revoke(&self, acl: Acl<'_>) -> Result<(), Error> {
        self.change_acl(acl, true).await
    }

    async fn change_acl(&self, acl: Acl<'_>, away: bool) -> Result<(), Error> {
        let request = put(&["access", "acl"])
            .with("path", acl.path)
            .with("roles", acl.role)
            .with("users", acl.user)
            .with("propagate", wire::boolean(acl.propagates))
            .with("delete", wire::boolean(away));
        self.send::<Value>(request).await.map(drop)
    }

    /// Make a pool.
    pub async fn create_pool(&self, poolid: &str, comment: &str) -> Result<(), Error> {
        let request = post(&["pools"]).with("poolid", poolid).with("comment", comment);
        self.send::<Value>(request).await.map(drop)
    }

    /// Remove a pool, which must be empty.
    pub async fn delete_pool(&self, poolid: &str) -> Result<(), Error> {
        self.send::<Value>(delete(&["pools", poolid])).await.map(drop)
    }
}

impl Role {
    fn list(&self) -> String {
        self.privileges.iter().map(String::as_str).collect::<Vec<_>>().join(",")
    }
}
