//! The queue of runs.

use crate::ids::{ClusterId, PersonId, RunId};
use crate::rights::Role;
use crate::store::{Result, Store};

impl Store {
    /// The unfinished run whose Terraform shows this token, its cluster, and who requested it.
    pub async fn run_by_token(
        &self,
        hash: &str,
    ) -> Result<Option<(RunId, ClusterId, PersonId, String, String, Role)>> {
        sqlx::query_as(
            "SELECT r.id, r.cluster, p.id, p.login, p.name, p.role FROM runs r JOIN people p ON p.id = r.requested_by
             WHERE r.token_hash = ? AND r.finished_at IS NULL",
        )
        .bind(hash)
        .fetch_optional(self.read())
        .await
    }
}
