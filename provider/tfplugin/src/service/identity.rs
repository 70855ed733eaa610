//! Identities: the values of the attributes that tell an object from all others of its kind.

use super::{Inner, decode, encode};
use crate::diag::Result;
use crate::dynamic::Dyn;
use crate::engine::Shape;
use crate::identity::Identity;
use crate::json;
use crate::provider::Provider;
use crate::schema::Schema;
use crate::wire::{tfplugin6 as tf, type_bytes};

#[expect(clippy::unused_async, reason = "all calls have one shape")]
impl<P: Provider> Inner<P> {
    pub(super) async fn get_resource_identity_schemas(
        &self,
        _request: tf::get_resource_identity_schemas::Request,
    ) -> Result<tf::get_resource_identity_schemas::Response> {
        let shapes = self.resources.iter().map(|(name, resource)| (name, resource.shape()));
        let schemas = shapes.filter(|(_, shape)| shape.schema.identity().next().is_some());
        let schemas = schemas.map(|(name, shape)| ((*name).to_owned(), schema(&shape.schema)));
        Ok(tf::get_resource_identity_schemas::Response {
            identity_schemas: schemas.collect(),
            ..Default::default()
        })
    }

    pub(super) async fn upgrade_resource_identity(
        &self,
        request: tf::upgrade_resource_identity::Request,
    ) -> Result<tf::upgrade_resource_identity::Response> {
        let resource = self.resource(&request.type_name)?;
        let shape = resource.shape();
        let mut bytes = request.raw_identity.unwrap_or_default().json;
        if request.version < shape.schema.identity_version {
            let mut identity = json::untyped(&bytes)?;
            for version in request.version..shape.schema.identity_version {
                identity = resource.upgrade_identity(version, identity)?;
            }
            bytes = serde_json::to_vec(&identity)?;
        }
        let identity = json::decode(&bytes, &shape.identity)?;
        Ok(tf::upgrade_resource_identity::Response {
            upgraded_identity: Some(data(shape, &identity)),
            ..Default::default()
        })
    }
}

fn schema(schema: &Schema) -> tf::ResourceIdentitySchema {
    let attributes =
        schema.identity().map(|attribute| tf::resource_identity_schema::IdentityAttribute {
            name: attribute.name.to_owned(),
            r#type: type_bytes(&attribute.kind.as_type()),
            required_for_import: !attribute.optional,
            optional_for_import: attribute.optional,
            description: attribute.description.clone(),
        });
    tf::ResourceIdentitySchema {
        version: schema.identity_version,
        identity_attributes: attributes.collect(),
    }
}

fn data(shape: &Shape, identity: &Dyn) -> tf::ResourceIdentityData {
    tf::ResourceIdentityData { identity_data: encode(identity, &shape.identity) }
}

/// The identity within a plan; parts of it may be unknown.
pub(super) fn of_plan(shape: &Shape, planned: &Dyn) -> Option<tf::ResourceIdentityData> {
    let has_one = shape.schema.identity().next().is_some();
    (has_one && !planned.is_null()).then(|| data(shape, planned))
}

/// The identity within a state. One that is not complete is none: a create that failed early.
pub(super) fn of_state(shape: &Shape, state: &Dyn) -> Option<tf::ResourceIdentityData> {
    let mut parts = shape.schema.identity();
    let is_complete = parts.all(|part| part.optional || !state.attribute(part.name).is_null());
    of_plan(shape, state).filter(|_| is_complete)
}

/// The identity that an import names.
pub(super) fn of_import(
    shape: &Shape,
    sent: Option<&tf::ResourceIdentityData>,
) -> Result<Option<Identity>> {
    let Some(sent) = sent else { return Ok(None) };
    let identity = decode(sent.identity_data.as_ref(), &shape.identity)?;
    Ok((!identity.is_null()).then_some(Identity(identity)))
}
