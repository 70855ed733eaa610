//! Runs author code so that a panic, a timeout and a dropped call are failures like others.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::diag::{Diag, Diags, Result};
use crate::duration;

/// How long an operation whose time is up may take to return what it reached.
const GRACE: Duration = Duration::from_secs(30);

/// Runs a call; a panic in it becomes an error.
pub(super) async fn guard<T>(doing: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
    let result = match AssertUnwindSafe(call).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(panicked(&*panic)),
    };
    result.map_err(|diags| diags.summarise(&format!("Unable to {doing}")))
}

/// Runs an operation in a task of its own, with a time limit.
///
/// In a task, because a call that Terraform drops must not stop half-way between two awaits.
pub(super) async fn supervise<T: Send + 'static>(
    operation: impl Future<Output = Result<T>> + Send + 'static,
    tasks: &TaskTracker,
    token: &CancellationToken,
    limit: Option<Duration>,
) -> Result<T> {
    supervise_with(operation, tasks, token, limit, GRACE).await
}

async fn supervise_with<T: Send + 'static>(
    operation: impl Future<Output = Result<T>> + Send + 'static,
    tasks: &TaskTracker,
    token: &CancellationToken,
    limit: Option<Duration>,
    grace: Duration,
) -> Result<T> {
    let mut task = tasks.spawn(operation);
    let Some(limit) = limit else { return joined(task.await) };
    if let Ok(result) = tokio::time::timeout(limit, &mut task).await {
        return joined(result);
    }
    token.cancel();
    let late = if let Ok(result) = tokio::time::timeout(grace, &mut task).await {
        joined(result)
    } else {
        task.abort();
        Err(Diags::none())
    };
    late.map_err(|reached| {
        let over = Diag::error(String::new()).detail(format!(
            "It took longer than {}. The limit is set by the timeouts of the resource.",
            duration::format(limit)
        ));
        reached.into_iter().chain([over]).collect()
    })
}

fn joined<T>(result: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match result {
        Ok(result) => result,
        Err(fault) => match fault.try_into_panic() {
            Ok(panic) => Err(panicked(&*panic)),
            Err(_) => Err(Diag::error(String::new()).detail("The operation was aborted.").into()),
        },
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Diags {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Diag::error("The provider has a bug and stopped")
        .detail(format!("Please report this, with the trace that is shown: {message}"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(diags: &Diags) -> Vec<&str> {
        diags.iter().map(|diag| diag.detail.as_str()).collect()
    }

    #[tokio::test]
    async fn an_operation_that_is_late_may_say_what_it_reached() {
        let token = CancellationToken::new();
        let seen = token.clone();
        let operation = async move {
            seen.cancelled().await;
            Err::<(), _>(Diag::error("Half done").detail("reached").into())
        };
        let faults =
            supervise(operation, &TaskTracker::new(), &token, Some(Duration::from_millis(1)))
                .await
                .unwrap_err();
        assert_eq!(details(&faults)[0], "reached");
        assert!(details(&faults)[1].starts_with("It took longer than 1ms."));
    }

    #[tokio::test]
    async fn an_operation_that_ignores_the_cancellation_is_aborted() {
        let token = CancellationToken::new();
        let operation = std::future::pending::<Result<()>>();
        let moment = Duration::from_millis(1);
        let faults = supervise_with(operation, &TaskTracker::new(), &token, Some(moment), moment)
            .await
            .unwrap_err();
        assert_eq!(details(&faults).len(), 1);
        assert!(token.is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let token = CancellationToken::new();
        let operation = async { panic!("index {}", 7) };
        let faults =
            supervise::<()>(operation, &TaskTracker::new(), &token, None).await.unwrap_err();
        assert!(details(&faults)[0].ends_with("index 7"));
        let faults = guard::<()>("plan", async { panic!("oh") }).await.unwrap_err();
        assert!(details(&faults)[0].ends_with("oh"));
    }
}
