//! People.

use sqlx::FromRow;

use crate::ids::PersonId;
use crate::rights::Role;
use crate::store::{Result, Store};
use crate::time::Time;

/// A person as they are stored, without their password's hash.
#[derive(Debug, Clone, FromRow, serde::Serialize, utoipa::ToSchema)]
pub struct Person {
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
    /// Whether they have set a password.
    pub has_password: bool,
    /// When they were invited.
    #[schema(value_type = String)]
    pub created_at: Time,
    /// Since when they may not sign in.
    #[schema(value_type = Option<String>)]
    pub disabled_at: Option<Time>,
}

const COLUMNS: &str = "id, login, name, role, auditor, password_hash IS NOT NULL AS has_password, created_at, disabled_at";

impl Store {
    /// Everybody, by login.
    pub async fn people(&self) -> Result<Vec<Person>> {
        let query = format!("SELECT {COLUMNS} FROM people ORDER BY login");
        sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(self.read()).await
    }

    /// One of them.
    pub async fn person(&self, id: &PersonId) -> Result<Person> {
        let query = format!("SELECT {COLUMNS} FROM people WHERE id = ?");
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(id).fetch_one(self.read()).await
    }

    /// By what they sign in with.
    pub async fn person_by_login(&self, login: &str) -> Result<Option<Person>> {
        let query = format!("SELECT {COLUMNS} FROM people WHERE login = ?");
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(login).fetch_optional(self.read()).await
    }

    /// Who it is and the hash of their password, if they may sign in.
    pub async fn sign_in_data(&self, login: &str) -> Result<Option<(PersonId, Option<String>)>> {
        sqlx::query_as(
            "SELECT id, password_hash FROM people WHERE login = ? AND disabled_at IS NULL",
        )
        .bind(login)
        .fetch_optional(self.read())
        .await
    }

    /// A new person without a password. Fails as [`super::is_taken`] if there is such a login.
    pub async fn add_person(
        &self,
        login: &str,
        name: &str,
        role: Role,
        auditor: bool,
    ) -> Result<PersonId> {
        let id = PersonId::new();
        sqlx::query("INSERT INTO people (id, login, name, role, auditor, created_at) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(&id)
            .bind(login)
            .bind(name)
            .bind(role)
            .bind(auditor)
            .bind(Time::now())
            .execute(self.write())
            .await?;
        Ok(id)
    }

    /// Changes name and role. The last administrator who can sign in stays one: `false` if that would be lost.
    pub async fn change_person(
        &self,
        id: &PersonId,
        name: &str,
        role: Role,
        auditor: bool,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE people SET name = ?, role = ?, auditor = ? WHERE id = ?")
            .bind(name)
            .bind(role)
            .bind(auditor)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        commit_if_administered(transaction).await
    }

    /// Disables or enables somebody; ends their sessions. `false` if nobody would be left to administer.
    pub async fn set_disabled(&self, id: &PersonId, disabled: bool) -> Result<bool> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE people SET disabled_at = ? WHERE id = ?")
            .bind(disabled.then(Time::now))
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM sessions WHERE person = ?")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM links WHERE person = ?")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        commit_if_administered(transaction).await
    }

    /// Sets the hash of a password and ends every other session.
    pub async fn set_password(
        &self,
        id: &PersonId,
        hash: &str,
        except: Option<&crate::ids::SessionId>,
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE people SET password_hash = ? WHERE id = ?")
            .bind(hash)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM sessions WHERE person = ? AND id IS NOT ?")
            .bind(id)
            .bind(except)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Whether anybody can administer the site.
    pub async fn is_administered(&self) -> Result<bool> {
        sqlx::query_scalar(ADMINISTERED).fetch_one(self.read()).await
    }
}

const ADMINISTERED: &str = "SELECT EXISTS (SELECT 1 FROM people WHERE role = 'admin' AND disabled_at IS NULL AND password_hash IS NOT NULL)";

async fn commit_if_administered(
    mut transaction: sqlx::Transaction<'static, sqlx::Sqlite>,
) -> Result<bool> {
    let administered: bool = sqlx::query_scalar(ADMINISTERED).fetch_one(&mut *transaction).await?;
    if administered {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(administered)
}
