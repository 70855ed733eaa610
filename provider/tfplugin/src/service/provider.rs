//! The calls about the provider as a whole.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::{Configured, Inner, decode};
use crate::diag::{Diags, Result};
use crate::dynamic::Dyn;
use crate::engine::{Shape, find_faults, plan};
use crate::model::Model;
use crate::path::Path;
use crate::provider::Provider;
use crate::schema::{Kind, Schema};
use crate::wire::{self, tfplugin6 as tf};

#[expect(clippy::unused_async, reason = "all calls have one shape")]
impl<P: Provider> Inner<P> {
    pub(super) async fn get_metadata(
        &self,
        _request: tf::get_metadata::Request,
    ) -> Result<tf::get_metadata::Response> {
        let functions = self.functions.keys();
        let functions =
            functions.map(|name| tf::get_metadata::FunctionName { name: (*name).to_owned() });
        Ok(tf::get_metadata::Response {
            server_capabilities: Some(capabilities()),
            resources: type_names(&self.resources),
            data_sources: type_names(&self.data_sources),
            ephemeral_resources: type_names(&self.ephemerals),
            functions: functions.collect(),
            ..Default::default()
        })
    }

    pub(super) async fn get_provider_schema(
        &self,
        _request: tf::get_provider_schema::Request,
    ) -> Result<tf::get_provider_schema::Response> {
        let functions = self.get_functions(tf::get_functions::Request {}).await?.functions;
        Ok(tf::get_provider_schema::Response {
            provider: Some(wire::schema(&self.config.schema)),
            resource_schemas: schemas(&self.resources, |one| one.shape()),
            data_source_schemas: schemas(&self.data_sources, |one| one.shape()),
            ephemeral_resource_schemas: schemas(&self.ephemerals, |one| one.shape()),
            functions,
            server_capabilities: Some(capabilities()),
            ..Default::default()
        })
    }

    pub(super) async fn validate_provider_config(
        &self,
        request: tf::validate_provider_config::Request,
    ) -> Result<tf::validate_provider_config::Response> {
        let config = decode(request.config.as_ref(), &self.config.object)?;
        let mut diags = Diags::none();
        find_faults(&self.config.schema, &config, &Path::root(), &mut diags);
        Ok(tf::validate_provider_config::Response { diagnostics: wire::diagnostics(diags) })
    }

    pub(super) async fn configure_provider(
        &self,
        request: tf::configure_provider::Request,
    ) -> Result<tf::configure_provider::Response> {
        let config = match decode(request.config.as_ref(), &self.config.object)? {
            Dyn::Null => Dyn::object([]),
            config => config,
        };
        // The defaults, and nulls for what is missing.
        let config = plan(&self.config.schema, &config, &Dyn::Null).value;
        let unknown = unknown_attributes(&self.config.schema, &config, &Path::root());
        let configured = if unknown.is_empty() {
            let config = P::Config::decode(&config, &Path::root())?;
            let client = self.provider.configure(&request.terraform_version, config).await?;
            Configured::Client(Arc::new(client))
        } else {
            // Objects can be planned without a client, so this is no error yet.
            Configured::Without {
                reason: format!(
                    "These attributes of the provider block are only known after apply: {}. Apply \
                     what they come from first, with -target.",
                    unknown.join(", ")
                ),
                unknown: true,
            }
        };
        *self.configured.write().unwrap_or_else(PoisonError::into_inner) = configured;
        Ok(tf::configure_provider::Response::default())
    }
}

/// Every call works without `GetProviderSchema` before it, so Terraform needs to ask only once.
fn capabilities() -> tf::ServerCapabilities {
    tf::ServerCapabilities {
        plan_destroy: true,
        get_provider_schema_optional: true,
        move_resource_state: true,
        generate_resource_config: true,
    }
}

fn type_names<T>(things: &BTreeMap<&'static str, T>) -> Vec<tf::get_metadata::TypeName> {
    let names = things.keys();
    names.map(|name| tf::get_metadata::TypeName { type_name: (*name).to_owned() }).collect()
}

fn schemas<T>(
    things: &BTreeMap<&'static str, T>,
    shape: fn(&T) -> &Shape,
) -> BTreeMap<String, tf::Schema> {
    let schema =
        |(name, thing): (&&str, &T)| ((*name).to_owned(), wire::schema(&shape(thing).schema));
    things.iter().map(schema).collect()
}

fn unknown_attributes(schema: &Schema, config: &Dyn, path: &Path) -> Vec<String> {
    let mut unknown = Vec::new();
    for attribute in &schema.attributes {
        let (value, path) = (config.attribute(attribute.name), path.attribute(attribute.name));
        match (&attribute.kind, value) {
            (Kind::Nested(_, nested), Dyn::Map(_)) => {
                unknown.extend(unknown_attributes(nested, value, &path));
            }
            _ if !value.is_wholly_known() => unknown.push(path.to_string()),
            _ => {}
        }
    }
    unknown
}
