//! The calls about stored states: upgraded, moved between types, written as configuration.

use super::{Inner, decode, encode, identity};
use crate::diag::{Diag, Result};
use crate::dynamic::Dyn;
use crate::engine::{Shape, configuration, with_write_only};
use crate::json;
use crate::private::Private;
use crate::provider::Provider;
use crate::resource::Moved;
use crate::wire::tfplugin6 as tf;

#[expect(clippy::unused_async, reason = "all calls have one shape")]
impl<P: Provider> Inner<P> {
    pub(super) async fn upgrade_resource_state(
        &self,
        request: tf::upgrade_resource_state::Request,
    ) -> Result<tf::upgrade_resource_state::Response> {
        let resource = self.resource(&request.type_name)?;
        let shape = resource.shape();
        let mut bytes = json_of(request.raw_state)?;
        if request.version < shape.schema.version {
            let mut state = json::untyped(&bytes)?;
            for version in request.version..shape.schema.version {
                state = resource.upgrade(version, state)?;
            }
            bytes = serde_json::to_vec(&state)?;
        }
        let state = stored(shape, &bytes)?;
        Ok(tf::upgrade_resource_state::Response {
            upgraded_state: encode(&state, &shape.object),
            ..Default::default()
        })
    }

    pub(super) async fn move_resource_state(
        &self,
        request: tf::move_resource_state::Request,
    ) -> Result<tf::move_resource_state::Response> {
        let resource = self.resource(&request.target_type_name)?;
        let shape = resource.shape();
        let bytes = json_of(request.source_state)?;
        let source = Moved {
            provider: &request.source_provider_address,
            type_name: &request.source_type_name,
            version: request.source_schema_version,
            state: json::untyped(&bytes)?,
        };
        let Some(state) = resource.moved(&source)? else {
            let (from, to) = (&request.source_type_name, &request.target_type_name);
            return Err(Diag::error(format!("A {from} cannot become a {to}"))
                .detail(format!(
                    "The provider knows no way from a {from} of {}. Remove the moved block; to \
                     keep the object, take it out of the state and import it.",
                    request.source_provider_address
                ))
                .into());
        };
        let state = stored(shape, state.to_string().as_bytes())?;
        Ok(tf::move_resource_state::Response {
            target_state: encode(&state, &shape.object),
            target_private: Private::decode(&request.source_private).encode(),
            target_identity: identity::of_state(shape, &state),
            ..Default::default()
        })
    }

    pub(super) async fn generate_resource_config(
        &self,
        request: tf::generate_resource_config::Request,
    ) -> Result<tf::generate_resource_config::Response> {
        let resource = self.resource(&request.type_name)?;
        let shape = resource.shape();
        let state = decode(request.state.as_ref(), &shape.object)?;
        let config = configuration(&shape.schema, &state);
        Ok(tf::generate_resource_config::Response {
            config: encode(&config, &shape.object),
            ..Default::default()
        })
    }
}

/// A state of the current version. Write-only values that an older version stored are left out.
fn stored(shape: &Shape, bytes: &[u8]) -> Result<Dyn> {
    let state = json::decode(bytes, &shape.object)?;
    Ok(with_write_only(&shape.schema, &state, &Dyn::Null))
}

fn json_of(raw: Option<tf::RawState>) -> Result<Vec<u8>> {
    let raw = raw.unwrap_or_default();
    if raw.json.is_empty() {
        return Err(Diag::error("The state is too old")
            .detail("It was written by Terraform 0.11 or before.")
            .into());
    }
    Ok(raw.json)
}
