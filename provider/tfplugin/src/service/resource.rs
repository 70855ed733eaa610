//! The calls about a resource that change nothing: validate, upgrade, read, plan, import.

use std::sync::Arc;

use super::supervise::supervise;
use super::{Inner, decode, encode};
use crate::cx::Notes;
use crate::diag::{Diag, Diags, Result};
use crate::dynamic::Dyn;
use crate::engine::{find_faults, plan, settle, with_defaults};
use crate::json;
use crate::path::Path;
use crate::provider::Provider;
use crate::service::apply::time_limit;
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
        let mut diags = Diags::none();
        find_faults(&shape.schema, &config, &Path::root(), &mut diags);
        if !diags.has_errors() && config.is_wholly_known() {
            // With the defaults filled in, as create will see it.
            diags.extend(resource.validate(&plan(&shape.schema, &config, &Dyn::Null).value));
        }
        Ok(tf::validate_resource_config::Response {
            diagnostics: wire::diagnostics(diags.summarise("Invalid configuration")),
        })
    }

    pub(super) async fn upgrade_resource_state(
        &self,
        request: tf::upgrade_resource_state::Request,
    ) -> Result<tf::upgrade_resource_state::Response> {
        let resource = self.resource(&request.type_name)?;
        let shape = resource.shape();
        let raw = request.raw_state.unwrap_or_default();
        if raw.json.is_empty() {
            return Err(Diag::error("The state is too old")
                .detail("It was written by Terraform 0.11 or before.")
                .into());
        }
        let mut bytes = raw.json;
        if request.version < shape.schema.version {
            let mut state: serde_json::Value = serde_json::from_slice(&bytes)?;
            for version in request.version..shape.schema.version {
                state = resource.upgrade(version, state)?;
            }
            bytes = serde_json::to_vec(&state)?;
        }
        let state = json::decode(&bytes, &shape.object)?;
        Ok(tf::upgrade_resource_state::Response {
            upgraded_state: encode(&state, &shape.object),
            ..Default::default()
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
            deferred: self.deferral(request.client_capabilities.as_ref()),
            ..Default::default()
        };
        if answer.deferred.is_some() {
            return Ok(answer);
        }
        self.require_client()?;

        let shape = resource.shape();
        let before = decode(request.current_state.as_ref(), &shape.object)?;
        let (token, notes) = (self.token(), Arc::new(Notes::default()));
        let limit = time_limit(&shape.schema, "read", &before)?;
        let deadline = limit.map(|limit| tokio::time::Instant::now() + limit);
        let cx = self.cx(token.clone(), deadline, Arc::clone(&notes));
        let reader = Arc::clone(&resource);
        let state = before.clone();
        let result =
            supervise(async move { reader.read(&cx, state).await }, &self.tasks, &token, limit)
                .await;

        let mut diags = notes.take_warnings();
        match result {
            Ok(None) => answer.new_state = encode(&Dyn::Null, &shape.object),
            Ok(Some(model)) => {
                let before = with_defaults(&shape.schema, &before);
                let state = settle(&shape.schema, &before, &model);
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
        let notes = Arc::new(Notes::default());
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
            planned_private: request.prior_private,
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
        let (token, notes) = (self.token(), Arc::new(Notes::default()));
        let cx = self.cx(token.clone(), None, Arc::clone(&notes));
        let (importer, id) = (Arc::clone(&resource), request.id.clone());
        let found =
            supervise(async move { importer.import(&cx, &id).await }, &self.tasks, &token, None)
                .await;

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
                    ..Default::default()
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
