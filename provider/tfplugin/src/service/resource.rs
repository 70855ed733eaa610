//! The calls about a resource that change nothing: validate, read, plan, import.

use std::sync::Arc;

use super::apply::time_limit;
use super::{Inner, decode, encode, identity};
use crate::cx::Notes;
use crate::diag::{Diag, Result};
use crate::dynamic::Dyn;
use crate::engine::{find_config_faults, find_write_only, plan, settle, with_defaults};
use crate::path::Path;
use crate::provider::Provider;
use crate::wire::{self, tfplugin6 as tf};

#[expect(clippy::unused_async, reason = "all calls have one shape")]
impl<P: Provider> Inner<P> {
    pub(super) async fn validate_resource_config(
        &self,
        request: tf::validate_resource_config::Request,
    ) -> Result<tf::validate_resource_config::Response> {
        let resource = self.resource(&request.type_name)?;
        let shape = resource.shape();
        let config = decode(request.config.as_ref(), &shape.object)?;
        let capabilities = request.client_capabilities.unwrap_or_default();
        let mut diags = find_config_faults(shape, &config, |filled| resource.validate(filled));
        if !capabilities.write_only_attributes_allowed {
            diags
                .extend(find_write_only(&shape.schema, &config, &Path::root()).iter().map(too_new));
        }
        Ok(tf::validate_resource_config::Response {
            diagnostics: wire::diagnostics(diags.summarise("Invalid configuration")),
        })
    }

    pub(super) async fn read_resource(
        &self,
        request: tf::read_resource::Request,
    ) -> Result<tf::read_resource::Response> {
        let resource = self.resource(&request.type_name)?;
        let mut answer = tf::read_resource::Response {
            new_state: request.current_state.clone(),
            private: request.private,
            new_identity: request.current_identity,
            deferred: self.deferral(request.client_capabilities.as_ref()),
            ..Default::default()
        };
        if answer.deferred.is_some() {
            return Ok(answer);
        }
        self.require_client()?;

        let shape = resource.shape();
        let before = decode(request.current_state.as_ref(), &shape.object)?;
        let limit = time_limit(&shape.schema, "read", &before)?;
        let (reader, state) = (Arc::clone(&resource), before.clone());
        let read = |cx| async move { reader.read(&cx, state).await };
        let (result, notes) = self.operate(limit, &answer.private, read).await;

        answer.private = notes.private();
        let mut diags = notes.take_warnings();
        match result {
            Ok(None) => {
                answer.new_state = encode(&Dyn::Null, &shape.object);
                answer.new_identity = None;
            }
            Ok(Some(model)) => {
                let before = with_defaults(&shape.schema, &before);
                let state = settle(&shape.schema, &before, &model);
                answer.new_identity = identity::of_state(shape, &state);
                answer.new_state = encode(&state, &shape.object);
            }
            Err(faults) => diags.extend(faults),
        }
        let diags = diags.summarise(&format!("Unable to read {}", request.type_name));
        answer.diagnostics = wire::diagnostics(diags);
        Ok(answer)
    }

    pub(super) async fn plan_resource_change(
        &self,
        request: tf::plan_resource_change::Request,
    ) -> Result<tf::plan_resource_change::Response> {
        let resource = self.resource(&request.type_name)?;
        let shape = resource.shape();
        let prior = decode(request.prior_state.as_ref(), &shape.object)?;
        let config = decode(request.config.as_ref(), &shape.object)?;

        let planned = plan(&shape.schema, &config, &prior);
        // The last plan goes on from what the first one kept, where Terraform says what that was.
        let private = match request.planned_private {
            kept if kept.is_empty() => request.prior_private,
            kept => kept,
        };
        let notes = Arc::new(Notes::with_private(&private));
        let cx = self.cx(self.token(), None, Arc::clone(&notes));
        let (planned, mut diags) = resource.plan(&cx, config, &prior, planned).await?;
        diags.extend(notes.take_warnings());

        let mut replace = planned.replace;
        replace.sort();
        replace.dedup();
        let diags = diags.summarise(&format!("Unable to plan {}", request.type_name));
        Ok(tf::plan_resource_change::Response {
            planned_state: encode(&planned.value, &shape.object),
            requires_replace: replace.iter().map(wire::attribute_path).collect(),
            planned_private: notes.private(),
            planned_identity: identity::of_plan(shape, &planned.value),
            diagnostics: wire::diagnostics(diags),
            ..Default::default()
        })
    }

    pub(super) async fn import_resource_state(
        &self,
        request: tf::import_resource_state::Request,
    ) -> Result<tf::import_resource_state::Response> {
        let resource = self.resource(&request.type_name)?;
        self.require_client()?;
        let named = identity::of_import(resource.shape(), request.identity.as_ref())?;
        let (importer, id) = (Arc::clone(&resource), request.id.clone());
        let import = |cx| async move {
            match &named {
                Some(identity) if id.is_empty() => importer.import_identity(&cx, identity).await,
                _ => importer.import(&cx, &id).await,
            }
        };
        let (found, notes) = self.operate(None, &[], import).await;

        let type_name = request.type_name;
        let mut diags = notes.take_warnings();
        let mut answer = tf::import_resource_state::Response::default();
        match found {
            Ok(Some(model)) => {
                let shape = resource.shape();
                let state = settle(&shape.schema, &with_defaults(&shape.schema, &model), &model);
                answer.imported_resources.push(tf::import_resource_state::ImportedResource {
                    state: encode(&state, &shape.object),
                    type_name: type_name.clone(),
                    private: notes.private(),
                    identity: identity::of_state(shape, &state),
                });
            }
            Ok(None) => diags.push(
                Diag::error(format!("There is no {type_name} {:?}", request.id))
                    .detail("Nothing with this id exists, so there is nothing to import."),
            ),
            Err(faults) => diags.extend(faults),
        }
        answer.diagnostics =
            wire::diagnostics(diags.summarise(&format!("Unable to import {type_name}")));
        Ok(answer)
    }
}

/// The error for a write-only value that this Terraform would store.
fn too_new(path: &Path) -> Diag {
    Diag::error(format!("{path} needs a newer Terraform"))
        .detail(
            "It is a write-only attribute: Terraform 1.11 and later keep its value out of the \
             state. Remove it, or update Terraform.",
        )
        .at(path)
}
