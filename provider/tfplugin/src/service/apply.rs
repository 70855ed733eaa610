//! The one call that changes the world.

use std::sync::Arc;
use std::time::Duration;

use super::{Inner, decode, encode, identity};
use crate::cx::Cx;
use crate::diag::{Diag, Diags, Result};
use crate::duration;
use crate::dynamic::Dyn;
use crate::engine::{fill, same_for_author, settle, with_write_only};
use crate::erased::AnyResource;
use crate::provider::Provider;
use crate::schema::Schema;
use crate::wire::{self, tfplugin6 as tf};

/// What an apply does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    fn of(prior: &Dyn, planned: &Dyn) -> Self {
        match (prior.is_null(), planned.is_null()) {
            (_, true) => Self::Delete,
            (true, false) => Self::Create,
            (false, false) => Self::Update,
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl<P: Provider> Inner<P> {
    /// The answer always has a state that Terraform can read and that says what exists: on a
    /// failure the last checkpoint, or else what was before.
    pub(super) async fn apply_resource_change(
        &self,
        request: tf::apply_resource_change::Request,
    ) -> Result<tf::apply_resource_change::Response> {
        let resource = self.resource(&request.type_name)?;
        let shape = resource.shape();
        let prior = decode(request.prior_state.as_ref(), &shape.object)?;
        let planned = decode(request.planned_state.as_ref(), &shape.object)?;
        let operation = Operation::of(&prior, &planned);

        // What the operation needs beside the plan, and must not leave in the state.
        let config = decode(request.config.as_ref(), &shape.object)?;
        let wanted = with_write_only(&shape.schema, &planned, &config);

        let mut answer = tf::apply_resource_change::Response {
            private: request.planned_private,
            ..Default::default()
        };
        let work = Work { operation, prior: &prior, planned: &planned, wanted };
        let (state, diags) = match self.perform(&resource, work, &mut answer.private).await {
            Ok(done) => done,
            Err(faults) => (prior, faults),
        };
        let summary = format!("Unable to {} {}", operation.verb(), request.type_name);
        answer.new_identity = identity::of_state(shape, &state);
        answer.new_state = encode(&state, &shape.object);
        answer.diagnostics = wire::diagnostics(diags.summarise(&summary));
        Ok(answer)
    }

    async fn perform(
        &self,
        resource: &Arc<dyn AnyResource<P::Client>>,
        work: Work<'_>,
        private: &mut Vec<u8>,
    ) -> Result<(Dyn, Diags)> {
        let Work { operation, prior, planned, wanted } = work;
        let schema = &resource.shape().schema;
        if operation == Operation::Update && same_for_author(schema, prior, planned) {
            return Ok((planned.clone(), Diags::none()));
        }
        self.require_client()?;
        let holder = if operation == Operation::Delete { prior } else { planned };
        let limit = time_limit(schema, operation.verb(), holder)?;
        let (resource, before) = (Arc::clone(resource), prior.clone());
        let run = |cx| run(resource, cx, operation, before, wanted);
        let (result, notes) = self.operate(limit, private, run).await;

        *private = notes.private();
        let mut diags = notes.take_warnings();
        let state = match (result, notes.take_checkpoint()) {
            (Ok(None), _) => Dyn::Null,
            (Ok(Some(model)), _) => {
                let (state, faults) = fill(schema, planned, &model);
                diags.extend(faults);
                state
            }
            (Err(faults), checkpoint) => {
                diags.extend(faults);
                checkpoint.map_or_else(|| prior.clone(), |model| settle(schema, holder, &model))
            }
        };
        Ok((state, diags))
    }
}

/// What is to be done.
struct Work<'a> {
    operation: Operation,
    prior: &'a Dyn,
    planned: &'a Dyn,
    /// The plan as the author sees it: with the write-only values.
    wanted: Dyn,
}

async fn run<C: Send + Sync + 'static>(
    resource: Arc<dyn AnyResource<C>>,
    cx: Cx<C>,
    operation: Operation,
    prior: Dyn,
    planned: Dyn,
) -> Result<Option<Dyn>> {
    match operation {
        Operation::Create => resource.create(&cx, planned).await.map(Some),
        Operation::Update => resource.update(&cx, prior, planned).await.map(Some),
        Operation::Delete => resource.delete(&cx, prior).await.map(|()| None),
    }
}

/// The time limit of an operation: what the user wrote, else the resource's default.
pub(super) fn time_limit(
    schema: &Schema,
    operation: &str,
    object: &Dyn,
) -> Result<Option<Duration>> {
    if let Dyn::String(text) = object.attribute("timeouts").attribute(operation)
        && schema.timeouts.is_some()
    {
        let limit = duration::parse(text)
            .map_err(|reason| Diag::error("Invalid timeout").detail(reason).at("timeouts"))?;
        return Ok(Some(limit));
    }
    Ok(schema.timeouts.as_ref().and_then(|timeouts| match operation {
        "create" => timeouts.create,
        "read" => timeouts.read,
        "update" => timeouts.update,
        "delete" => timeouts.delete,
        "open" => timeouts.open,
        _ => None,
    }))
}
