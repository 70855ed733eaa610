//! The description of the API, made from the handlers themselves: served, and printed by `kubesmith-portal openapi`.
//!
//! A test holds it to [`crate::routes`]: every route below `/api/v1` stands in it, and nothing else.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Ref, RefOr, Response};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

use crate::api;
use crate::extract::Json;

/// How every refusal looks (RFC 9457).
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// `urn:kubesmith:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// Stable, for programs.
    code: String,
    /// For people, with the next step.
    detail: String,
    /// The request's number, as it stands in the portal's log.
    request: String,
    /// What is wrong with single fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<ProblemField>,
}

/// What is wrong with one field.
#[derive(Serialize, ToSchema)]
pub struct ProblemField {
    /// Its name in the document.
    field: String,
    /// What is wrong with it.
    detail: String,
}

/// What any request may be answered with.
#[derive(IntoResponses)]
pub enum Problems {
    /// A parameter can't be read.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Problem),
    /// Nobody is signed in, or the key is unknown, expired or revoked.
    #[response(status = 401, content_type = "application/problem+json")]
    NotSignedIn(#[to_schema] Problem),
    /// One may see it but not do this, or the key lacks the scope, or the request came from another site.
    #[response(status = 403, content_type = "application/problem+json")]
    NotAllowed(#[to_schema] Problem),
    /// There is no such thing, or one may not see it.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Problem),
    /// The address does not take that method.
    #[response(status = 405, content_type = "application/problem+json")]
    OtherMethod(#[to_schema] Problem),
    /// Too often.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(#[to_schema] Problem),
    /// The portal has as much to do as it can.
    #[response(status = 503, content_type = "application/problem+json")]
    Full(#[to_schema] Problem),
}

/// What a request with a document may be answered with besides.
#[derive(IntoResponses)]
pub enum BodyProblems {
    /// It can't be done as things stand.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] Problem),
    /// The document is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Problem),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(#[to_schema] Problem),
    /// Fields are wrong.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(#[to_schema] Problem),
}

/// What a request that goes on to a cluster may be answered with besides.
#[derive(IntoResponses)]
pub enum ClusterProblems {
    /// The cluster has no machines yet, or none any more.
    #[response(status = 409, content_type = "application/problem+json")]
    NotThere(#[to_schema] Problem),
    /// The cluster can't be reached, or refused.
    #[response(status = 502, content_type = "application/problem+json")]
    Unreachable(#[to_schema] Problem),
    /// The cluster is busy with other requests, or the portal is.
    #[response(status = 503, content_type = "application/problem+json")]
    Busy(#[to_schema] Problem),
    /// The cluster did not answer in time.
    #[response(status = 504, content_type = "application/problem+json")]
    TimedOut(#[to_schema] Problem),
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kubesmith portal",
        description = "Everything that the portal's pages do. Send an API key as `Authorization: Bearer ks_...`."
    ),
    modifiers(&Security, &Refusals),
    security(("key" = [])),
    paths(
        api::audit::list,
        api::environments::list,
        api::environments::create,
        api::environments::show,
        api::environments::change,
        api::environments::members,
        api::environments::set,
        api::environments::remove,
        api::grants::list,
        api::grants::set,
        api::grants::remove,
        api::keys::list,
        api::keys::make,
        api::keys::revoke,
        api::me::show,
        api::users::list,
        api::users::invite,
        api::users::show,
        api::users::change,
        api::users::link,
        api::clusters::list,
        api::clusters::show,
        api::clusters::create,
        api::clusters::change,
        api::clusters::retry,
        api::clusters::destroy,
        api::clusters::protect,
        api::clusters::main_tf,
        api::clusters::export,
        api::clusters::restore_files,
        api::quotas::of_environment,
        api::quotas::limit_environment,
        api::quotas::of_person,
        api::quotas::limit_person,
        api::quotas::of_site,
        api::quotas::limit_site,
        api::runs::list,
        api::runs::show,
        api::runs::approve,
        api::runs::cancel,
        api::runs::events,
        api::runs::log,
        api::state::read,
        api::state::write,
        api::state::delete,
        api::state::lock,
        api::state::unlock,
        api::namespaces::list,
        api::namespaces::create,
        api::namespaces::show,
        api::namespaces::delete,
        api::namespaces::health,
        api::kubeconfigs::list,
        api::kubeconfigs::create,
        api::kubeconfigs::create_admin,
        api::kubeconfigs::revoke,
        serve,
    )
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let key = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("key", key);
    }
}

/// Every operation may be refused, whatever it does: its handler says only what is its own.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut shared = BTreeMap::new();
        for item in document.paths.paths.values_mut() {
            let operations =
                [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                let mut refusals = Problems::responses();
                if operation.request_body.is_some() {
                    refusals.extend(BodyProblems::responses());
                }
                for (status, response) in refusals {
                    operation.responses.responses.entry(status).or_insert(response);
                }
                for (status, response) in &mut operation.responses.responses {
                    share(&mut shared, status, response);
                }
            }
        }
        document.components.get_or_insert_default().responses.extend(shared);
    }
}

/// A refusal that several operations share stands in the document once.
fn share(
    shared: &mut BTreeMap<String, RefOr<Response>>,
    status: &str,
    response: &mut RefOr<Response>,
) {
    if status >= "400" && matches!(response, RefOr::T(_)) {
        let name = format!("refused-{status}");
        let known = shared.entry(name.clone()).or_insert_with(|| response.clone());
        if *known == *response {
            *response = RefOr::Ref(Ref::from_response_name(name));
        }
    }
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// This description itself.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "openapi", security(()), responses((status = 200, description = "An OpenAPI document.")))]
pub async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_of_the_api_is_described_and_nothing_else() {
        let routes: BTreeSet<_> = crate::routes::table()
            .into_iter()
            .filter(|route| route.path.starts_with("/api/v1"))
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        let mut described = BTreeSet::new();
        for (path, item) in document().paths.paths {
            let methods = [
                ("GET", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("PUT", item.put.is_some()),
                ("PATCH", item.patch.is_some()),
                ("DELETE", item.delete.is_some()),
            ];
            for (method, _) in methods.into_iter().filter(|(_, is_there)| *is_there) {
                described.insert(format!("{method} {path}"));
            }
        }
        assert_eq!(described, routes);
    }

    /// Whoever changes what programs rely on sees it here: every operation with what it takes and answers, every object
    /// with its fields.
    #[test]
    fn what_programs_rely_on_is_as_it_was() {
        let document = serde_json::to_value(document()).unwrap();
        let mut lines = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                lines.push(format!("{} {path}", method.to_uppercase()));
                let body = &operation["requestBody"]["content"];
                lines.extend(body.is_object().then(|| format!("  takes {}", contents(body))));
                let (done, refused): (Vec<_>, Vec<_>) = operation["responses"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .partition(|(status, _)| status.as_str() < "400");
                lines.extend(
                    done.iter()
                        .map(|(status, it)| format!("  {status} {}", contents(&it["content"]))),
                );
                let refused: Vec<_> = refused.iter().map(|(status, _)| status.as_str()).collect();
                lines.push(format!("  refused with {}", refused.join(" ")));
            }
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            lines.push(format!("{name} {}", kind(schema)));
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                let optional = if required.contains(&field.as_str().into()) { "" } else { "?" };
                lines.push(format!("  {field}{optional} {}", kind(schema)));
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    fn contents(content: &serde_json::Value) -> String {
        let kinds = content.as_object().into_iter().flatten();
        let kinds = kinds.map(|(media, it)| format!("{} as {media}", kind(&it["schema"])));
        kinds.collect::<Vec<_>>().join(", ")
    }

    fn kind(schema: &serde_json::Value) -> String {
        if let Some(name) = schema["$ref"].as_str() {
            return name.rsplit('/').next().unwrap().to_owned();
        }
        for several in ["oneOf", "anyOf", "allOf"] {
            if let Some(all) = schema[several].as_array() {
                return all.iter().map(kind).collect::<Vec<_>>().join(" | ");
            }
        }
        if let Some(values) = schema["enum"].as_array() {
            return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        }
        match schema["type"].as_str() {
            Some("array") => format!("[{}]", kind(&schema["items"])),
            Some(name) => name.to_owned(),
            None => schema["type"].to_string(),
        }
    }
}
