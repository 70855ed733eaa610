//! The calls about a data source.

use std::sync::Arc;

use super::apply::time_limit;
use super::{Inner, decode, encode};
use crate::diag::Result;
use crate::dynamic::Dyn;
use crate::engine::{fill, find_config_faults, plan};
use crate::provider::Provider;
use crate::wire::{self, tfplugin6 as tf};

impl<P: Provider> Inner<P> {
    #[expect(clippy::unused_async, reason = "all calls have one shape")]
    pub(super) async fn validate_data_resource_config(
        &self,
        request: tf::validate_data_resource_config::Request,
    ) -> Result<tf::validate_data_resource_config::Response> {
        let source = self.data_source(&request.type_name)?;
        let shape = source.shape();
        let config = decode(request.config.as_ref(), &shape.object)?;
        let diags = find_config_faults(shape, &config, |filled| source.validate(filled));
        Ok(tf::validate_data_resource_config::Response {
            diagnostics: wire::diagnostics(diags.summarise("Invalid configuration")),
        })
    }

    pub(super) async fn read_data_source(
        &self,
        request: tf::read_data_source::Request,
    ) -> Result<tf::read_data_source::Response> {
        let source = self.data_source(&request.type_name)?;
        let shape = source.shape();
        let config = decode(request.config.as_ref(), &shape.object)?;
        let planned = plan(&shape.schema, &config, &Dyn::Null).value;
        if let Some(deferred) = self.deferral(request.client_capabilities.as_ref()) {
            return Ok(tf::read_data_source::Response {
                state: encode(&planned, &shape.object),
                deferred: Some(deferred),
                ..Default::default()
            });
        }
        self.require_client()?;

        let limit = time_limit(&shape.schema, "read", &planned)?;
        let (reader, wanted) = (Arc::clone(&source), planned.clone());
        let read = |cx| async move { reader.read(&cx, wanted).await };
        let (result, notes) = self.operate(limit, &[], read).await;

        let mut diags = notes.take_warnings();
        let mut answer = tf::read_data_source::Response::default();
        match result {
            Ok(model) => {
                let (state, faults) = fill(&shape.schema, &planned, &model);
                diags.extend(faults);
                answer.state = encode(&state, &shape.object);
            }
            Err(faults) => diags.extend(faults),
        }
        let diags = diags.summarise(&format!("Unable to read {}", request.type_name));
        answer.diagnostics = wire::diagnostics(diags);
        Ok(answer)
    }
}
