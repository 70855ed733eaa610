//! The calls about an ephemeral resource.

use std::sync::Arc;
use std::time::SystemTime;

use super::apply::time_limit;
use super::{Inner, decode, encode};
use crate::diag::Result;
use crate::dynamic::Dyn;
use crate::engine::{fill, find_config_faults, plan};
use crate::provider::Provider;
use crate::wire::{self, tfplugin6 as tf};

impl<P: Provider> Inner<P> {
    #[expect(clippy::unused_async, reason = "all calls have one shape")]
    pub(super) async fn validate_ephemeral_resource_config(
        &self,
        request: tf::validate_ephemeral_resource_config::Request,
    ) -> Result<tf::validate_ephemeral_resource_config::Response> {
        let ephemeral = self.ephemeral(&request.type_name)?;
        let shape = ephemeral.shape();
        let config = decode(request.config.as_ref(), &shape.object)?;
        let diags = find_config_faults(shape, &config, |filled| ephemeral.validate(filled));
        Ok(tf::validate_ephemeral_resource_config::Response {
            diagnostics: wire::diagnostics(diags.summarise("Invalid configuration")),
        })
    }

    pub(super) async fn open_ephemeral_resource(
        &self,
        request: tf::open_ephemeral_resource::Request,
    ) -> Result<tf::open_ephemeral_resource::Response> {
        let ephemeral = self.ephemeral(&request.type_name)?;
        let shape = ephemeral.shape();
        let config = decode(request.config.as_ref(), &shape.object)?;
        let planned = plan(&shape.schema, &config, &Dyn::Null).value;
        if let Some(deferred) = self.deferral(request.client_capabilities.as_ref()) {
            return Ok(tf::open_ephemeral_resource::Response {
                result: encode(&planned, &shape.object),
                deferred: Some(deferred),
                ..Default::default()
            });
        }
        self.require_client()?;

        let limit = time_limit(&shape.schema, "open", &planned)?;
        let (opener, wanted) = (Arc::clone(&ephemeral), planned.clone());
        let open = |cx| async move { opener.open(&cx, wanted).await };
        let (result, notes) = self.operate(limit, &[], open).await;

        let mut diags = notes.take_warnings();
        let mut answer = tf::open_ephemeral_resource::Response {
            renew_at: notes.renewal().map(timestamp),
            private: Some(notes.private()),
            ..Default::default()
        };
        match result {
            Ok(model) => {
                let (opened, faults) = fill(&shape.schema, &planned, &model);
                diags.extend(faults);
                answer.result = encode(&opened, &shape.object);
            }
            Err(faults) => diags.extend(faults),
        }
        let diags = diags.summarise(&format!("Unable to open {}", request.type_name));
        answer.diagnostics = wire::diagnostics(diags);
        Ok(answer)
    }

    pub(super) async fn renew_ephemeral_resource(
        &self,
        request: tf::renew_ephemeral_resource::Request,
    ) -> Result<tf::renew_ephemeral_resource::Response> {
        let ephemeral = self.ephemeral(&request.type_name)?;
        self.require_client()?;
        let private = request.private.unwrap_or_default();
        let renew = |cx| async move { ephemeral.renew(&cx).await };
        let (result, notes) = self.operate(None, &private, renew).await;

        let mut diags = notes.take_warnings();
        diags.extend(result.err().unwrap_or_default());
        let diags = diags.summarise(&format!("Unable to renew {}", request.type_name));
        Ok(tf::renew_ephemeral_resource::Response {
            diagnostics: wire::diagnostics(diags),
            renew_at: notes.renewal().map(timestamp),
            private: Some(notes.private()),
        })
    }

    pub(super) async fn close_ephemeral_resource(
        &self,
        request: tf::close_ephemeral_resource::Request,
    ) -> Result<tf::close_ephemeral_resource::Response> {
        let ephemeral = self.ephemeral(&request.type_name)?;
        self.require_client()?;
        let private = request.private.unwrap_or_default();
        let close = |cx| async move { ephemeral.close(&cx).await };
        let (result, notes) = self.operate(None, &private, close).await;

        let mut diags = notes.take_warnings();
        diags.extend(result.err().unwrap_or_default());
        let diags = diags.summarise(&format!("Unable to close {}", request.type_name));
        Ok(tf::close_ephemeral_resource::Response { diagnostics: wire::diagnostics(diags) })
    }
}

fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    time.into()
}
