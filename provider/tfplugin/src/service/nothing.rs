//! What newer Terraforms may ask for and no provider here has: list resources and actions.
//!
//! The schema has none, so these calls do not come. Should one come, it is answered like a call
//! about anything else that does not exist, and not with a failure of the connection.

use super::{Events, Inner, find};
use crate::diag::{Diags, Result};
use crate::provider::Provider;
use crate::wire::{self, tfplugin6 as tf};

#[expect(clippy::unused_async, reason = "all calls have one shape")]
impl<P: Provider> Inner<P> {
    pub(super) async fn validate_list_resource_config(
        &self,
        request: tf::validate_list_resource_config::Request,
    ) -> Result<tf::validate_list_resource_config::Response> {
        Err(no("list resource", &request.type_name))
    }

    pub(super) async fn validate_action_config(
        &self,
        request: tf::validate_action_config::Request,
    ) -> Result<tf::validate_action_config::Response> {
        Err(no("action", &request.action_type))
    }

    pub(super) async fn plan_action(
        &self,
        request: tf::plan_action::Request,
    ) -> Result<tf::plan_action::Response> {
        Err(no("action", &request.action_type))
    }
}

pub(super) fn list_resource(
    request: &tf::list_resource::Request,
) -> Events<tf::list_resource::Event> {
    let diagnostic = wire::diagnostics(no("list resource", &request.type_name));
    only(tf::list_resource::Event { diagnostic, ..Default::default() })
}

pub(super) fn invoke_action(
    request: &tf::invoke_action::Request,
) -> Events<tf::invoke_action::Event> {
    use tf::invoke_action::event::{Completed, Type};
    let diagnostics = wire::diagnostics(no("action", &request.action_type));
    only(tf::invoke_action::Event { r#type: Some(Type::Completed(Completed { diagnostics })) })
}

fn no(kind: &str, name: &str) -> Diags {
    match find::<()>(&[].into(), name, kind) {
        Ok(()) => Diags::none(),
        Err(faults) => faults,
    }
}

fn only<T: Send + 'static>(event: T) -> Events<T> {
    Box::pin(tokio_stream::once(Ok(event)))
}
