//! Environments (courses and groups) and their members.

use sqlx::FromRow;

use crate::environments::{Kind, Settings};
use crate::ids::{EnvironmentId, PersonId};
use crate::rights::{Actor, Role};
use crate::store::{Result, Store};
use crate::time::Time;

/// A course or group, and what of Proxmox belongs to it.
#[derive(Debug, Clone, FromRow, serde::Serialize, utoipa::ToSchema)]
pub struct Environment {
    /// Made by the portal.
    #[schema(value_type = String)]
    pub id: EnvironmentId,
    /// A DNS label.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Course or group.
    pub kind: Kind,
    /// The Proxmox resource pool that machines become members of.
    pub proxmox_pool: Option<String>,
    /// The bridge or virtual network of its machines.
    pub bridge: String,
    /// Their VLAN.
    pub vlan: Option<i64>,
    /// The pool that addresses are leased from.
    pub address_pool: String,
    /// When it was made.
    #[schema(value_type = String)]
    pub created_at: Time,
    /// Since when nothing new is made in it.
    #[schema(value_type = Option<String>)]
    pub archived_at: Option<Time>,
}

/// A member, and their local role.
#[derive(Debug, Clone, FromRow, serde::Serialize, utoipa::ToSchema)]
pub struct Member {
    /// Who.
    #[schema(value_type = String)]
    pub person: PersonId,
    /// What they sign in with.
    pub login: String,
    /// What they are called.
    pub name: String,
    /// As what; counts only up to their role on the site.
    pub role: Role,
    /// Their role on the site.
    pub site_role: Role,
}

const COLUMNS: &str =
    "id, name, title, kind, proxmox_pool, bridge, vlan, address_pool, created_at, archived_at";

impl Store {
    /// Those that the actor may see, by name.
    pub async fn environments_for(&self, actor: &Actor) -> Result<Vec<Environment>> {
        let query = format!(
            "SELECT {COLUMNS} FROM environments e
             WHERE ? OR EXISTS (SELECT 1 FROM members m WHERE m.environment = e.id AND m.person = ?) ORDER BY name"
        );
        sqlx::query_as(sqlx::AssertSqlSafe(query))
            .bind(actor.role == Role::Admin || actor.auditor)
            .bind(&actor.person)
            .fetch_all(self.read())
            .await
    }

    /// One of them.
    pub async fn environment(&self, id: &EnvironmentId) -> Result<Environment> {
        let query = format!("SELECT {COLUMNS} FROM environments WHERE id = ?");
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(id).fetch_one(self.read()).await
    }

    /// The one of this name.
    pub async fn environment_by_name(&self, name: &str) -> Result<Option<EnvironmentId>> {
        let select = sqlx::query_scalar("SELECT id FROM environments WHERE name = ?");
        select.bind(name).fetch_optional(self.read()).await
    }

    /// Somebody's role as a member; the outer `None` if there is no such environment.
    pub async fn membership(
        &self,
        environment: &EnvironmentId,
        person: &PersonId,
    ) -> Result<Option<(String, Option<Role>)>> {
        sqlx::query_as(
            "SELECT e.name, m.role FROM environments e LEFT JOIN members m ON m.environment = e.id AND m.person = ?
             WHERE e.id = ?",
        )
        .bind(person)
        .bind(environment)
        .fetch_optional(self.read())
        .await
    }

    /// Where somebody is a member: identifier, title, role.
    pub async fn memberships_of(
        &self,
        person: &PersonId,
    ) -> Result<Vec<(EnvironmentId, String, Role)>> {
        sqlx::query_as(
            "SELECT e.id, e.title, m.role FROM members m JOIN environments e ON e.id = m.environment
             WHERE m.person = ? ORDER BY e.title",
        )
        .bind(person)
        .fetch_all(self.read())
        .await
    }

    /// A new one. Fails as [`super::is_taken`] if there is such a name.
    pub async fn add_environment(&self, name: &str, settings: &Settings) -> Result<EnvironmentId> {
        let Settings { title, kind, proxmox_pool, bridge, vlan, address_pool } = settings;
        let id = EnvironmentId::new();
        sqlx::query(
            "INSERT INTO environments (id, name, title, kind, proxmox_pool, bridge, vlan, address_pool, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(name)
        .bind(title)
        .bind(kind)
        .bind(proxmox_pool)
        .bind(bridge)
        .bind(vlan)
        .bind(address_pool)
        .bind(Time::now())
        .execute(self.write())
        .await?;
        Ok(id)
    }

    /// Changes its settings; clusters that exist keep what they were made with.
    pub async fn change_environment(&self, id: &EnvironmentId, settings: &Settings) -> Result<()> {
        let Settings { title, kind, proxmox_pool, bridge, vlan, address_pool } = settings;
        sqlx::query(
            "UPDATE environments SET title = ?, kind = ?, proxmox_pool = ?, bridge = ?, vlan = ?, address_pool = ? WHERE id = ?",
        )
        .bind(title)
        .bind(kind)
        .bind(proxmox_pool)
        .bind(bridge)
        .bind(vlan)
        .bind(address_pool)
        .bind(id)
        .execute(self.write())
        .await?;
        Ok(())
    }

    /// Its members, by login.
    pub async fn members_of(&self, environment: &EnvironmentId) -> Result<Vec<Member>> {
        sqlx::query_as(
            "SELECT m.person, p.login, p.name, m.role, p.role AS site_role
             FROM members m JOIN people p ON p.id = m.person WHERE m.environment = ? ORDER BY p.login",
        )
        .bind(environment)
        .fetch_all(self.read())
        .await
    }

    /// Adds a member, or changes their role.
    pub async fn set_member(
        &self,
        environment: &EnvironmentId,
        person: &PersonId,
        role: Role,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO members (environment, person, role, added_at) VALUES (?, ?, ?, ?)
             ON CONFLICT (environment, person) DO UPDATE SET role = excluded.role",
        )
        .bind(environment)
        .bind(person)
        .bind(role)
        .bind(Time::now())
        .execute(self.write())
        .await?;
        Ok(())
    }

    /// Removes a member; `false` if they were none. What they own stays theirs.
    pub async fn remove_member(
        &self,
        environment: &EnvironmentId,
        person: &PersonId,
    ) -> Result<bool> {
        let done = sqlx::query("DELETE FROM members WHERE environment = ? AND person = ?")
            .bind(environment)
            .bind(person)
            .execute(self.write());
        Ok(done.await?.rows_affected() > 0)
    }
}
