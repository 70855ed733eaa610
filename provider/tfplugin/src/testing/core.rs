//! The calls, asked as Terraform asks them, and what every answer is held to.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tokio::runtime::Runtime;

use super::codec::{decode, encode};
use super::connect::{Line, Wire};
use super::propose::proposed;
use super::rules::{Failure, Message, Rule, Violation};
use super::schema::{self, Object};
use super::value::Value;
use super::{compatible, plan_valid};
use crate::wire::tfplugin6::{self as tf, provider_client::ProviderClient};

type Result<T> = std::result::Result<T, Failure>;

/// The message limit of Terraform.
const MAX_MESSAGE: usize = 64 << 20;

/// One provider, and what it said of itself.
pub(crate) struct Core {
    line: Line,
    client: ProviderClient<Wire>,
    runtime: Runtime,
    provider: Object,
    resources: BTreeMap<String, Object>,
    plan_destroy: bool,
    warnings: RefCell<Vec<Message>>,
}

/// What a state file holds of an object.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) value: Value,
    pub(crate) private: Vec<u8>,
}

/// A plan that Terraform would accept.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) value: Value,
    pub(crate) private: Vec<u8>,
    /// The paths whose change needs a new object, those that did not change left out.
    pub(crate) replace: Vec<String>,
}

impl Stored {
    pub(crate) fn none() -> Self {
        Self { value: Value::Null, private: Vec::new() }
    }
}

/// What a call is about, for the messages in its answer.
struct Asked<'a> {
    call: &'static str,
    schema: &'a Object,
    /// The values that were sent: what is sensitive in them must not be shown.
    values: Vec<&'a Value>,
}

impl Core {
    pub(crate) fn new(line: Line, runtime: Runtime) -> Result<Self> {
        let client = ProviderClient::new(line.wire()).max_decoding_message_size(MAX_MESSAGE);
        let request = tf::get_provider_schema::Request::default();
        let answer = runtime
            .block_on(client.clone().get_provider_schema(request))
            .map_err(|status| lost("describe the provider", &status))?
            .into_inner();
        let unsound = |faults| Failure::Broken("describing the provider", faults);
        let nothing = tf::Schema::default();
        let provider = answer.provider.as_ref().unwrap_or(&nothing);
        Ok(Self {
            line,
            client,
            runtime,
            provider: Object::read("provider", provider).map_err(unsound)?,
            resources: schema::all(&answer.resource_schemas).map_err(unsound)?,
            plan_destroy: answer.server_capabilities.unwrap_or_default().plan_destroy,
            warnings: RefCell::default(),
        })
    }

    pub(crate) fn resource_types(&self) -> impl Iterator<Item = &str> {
        self.resources.keys().map(String::as_str)
    }

    pub(crate) fn provider(&self) -> &Object {
        &self.provider
    }

    pub(crate) fn resource(&self, type_name: &str) -> Result<&Object> {
        let unknown = || Failure::Harness(format!("there is no resource type {type_name}"));
        self.resources.get(type_name).ok_or_else(unknown)
    }

    /// The warnings since the last time.
    pub(crate) fn take_warnings(&self) -> Vec<Message> {
        self.warnings.take()
    }

    pub(crate) fn configure(&self, config: &Value) -> Result<()> {
        let schema = &self.provider;
        let asked = |call| Asked { call, schema, values: vec![config] };
        let wire = encode(config, &schema.kind());
        let request = tf::validate_provider_config::Request { config: Some(wire.clone()) };
        let answer = self.ask(self.client.clone().validate_provider_config(request))?;
        self.heard(&asked("validate the provider block"), answer.diagnostics)?;
        let request = tf::configure_provider::Request {
            terraform_version: "1.11.4".to_owned(),
            config: Some(wire),
            client_capabilities: capabilities(),
        };
        let answer = self.ask(self.client.clone().configure_provider(request))?;
        self.heard(&asked("configure the provider"), answer.diagnostics)
    }

    pub(crate) fn validate(&self, type_name: &str, config: &Value) -> Result<()> {
        let schema = self.resource(type_name)?;
        let request = tf::validate_resource_config::Request {
            type_name: type_name.to_owned(),
            config: Some(encode(config, &schema.kind())),
            client_capabilities: capabilities(),
        };
        let answer = self.ask(self.client.clone().validate_resource_config(request))?;
        let asked = Asked { call: "validate the resource", schema, values: vec![config] };
        self.heard(&asked, answer.diagnostics)
    }

    /// A state as it stands in a file that some version of the provider wrote.
    pub(crate) fn upgrade(&self, type_name: &str, version: i64, json: &str) -> Result<Value> {
        const CALL: &str = "upgrade the state";
        let schema = self.resource(type_name)?;
        let raw = tf::RawState { json: json.as_bytes().to_vec(), ..Default::default() };
        let request = tf::upgrade_resource_state::Request {
            type_name: type_name.to_owned(),
            version,
            raw_state: Some(raw),
        };
        let answer = self.ask(self.client.clone().upgrade_resource_state(request))?;
        self.heard(&Asked { call: CALL, schema, values: Vec::new() }, answer.diagnostics)?;
        state(CALL, schema, answer.upgraded_state.as_ref())
    }

    /// `None` if the object is gone.
    pub(crate) fn read(&self, type_name: &str, stored: &Stored) -> Result<Option<Stored>> {
        const CALL: &str = "read the resource";
        let schema = self.resource(type_name)?;
        let request = tf::read_resource::Request {
            type_name: type_name.to_owned(),
            current_state: Some(encode(&stored.value, &schema.kind())),
            private: stored.private.clone(),
            client_capabilities: capabilities(),
            ..Default::default()
        };
        let answer = self.ask(self.client.clone().read_resource(request))?;
        let asked = Asked { call: CALL, schema, values: vec![&stored.value] };
        self.heard(&asked, answer.diagnostics)?;
        not_deferred(CALL, answer.deferred.as_ref())?;
        let value = state(CALL, schema, answer.new_state.as_ref())?;
        Ok((!value.is_null()).then_some(Stored { value, private: answer.private }))
    }

    /// A plan, held to the rules. With a null configuration: of a destroy.
    pub(crate) fn plan(&self, type_name: &str, prior: &Stored, config: &Value) -> Result<Planned> {
        const CALL: &str = "plan the resource";
        let schema = self.resource(type_name)?;
        if config.is_null() && !self.plan_destroy {
            return Ok(Planned {
                value: Value::Null,
                private: prior.private.clone(),
                replace: Vec::new(),
            });
        }
        let kind = schema.kind();
        let request = tf::plan_resource_change::Request {
            type_name: type_name.to_owned(),
            prior_state: Some(encode(&prior.value, &kind)),
            proposed_new_state: Some(encode(&proposed(schema, &prior.value, config), &kind)),
            config: Some(encode(config, &kind)),
            prior_private: prior.private.clone(),
            client_capabilities: capabilities(),
            ..Default::default()
        };
        let answer = self.ask(self.client.clone().plan_resource_change(request.clone()))?;
        let asked = Asked { call: CALL, schema, values: vec![&prior.value, config] };
        self.heard(&asked, answer.diagnostics)?;
        not_deferred(CALL, answer.deferred.as_ref())?;

        let shape = |said: String| broken(CALL, Rule::Shape, "", said);
        let value = decode(answer.planned_state.as_ref(), &kind).map_err(shape)?;
        let mut faults = plan_valid::faults(schema, &prior.value, config, &value);
        if answer.legacy_type_system {
            faults.push(Violation::new(Rule::NoExemption, "", "legacy_type_system is set"));
        }
        let replace = replacements(&prior.value, &value, &answer.requires_replace, &mut faults);
        let again = self.ask(self.client.clone().plan_resource_change(request))?;
        let second = decode(again.planned_state.as_ref(), &kind).map_err(shape)?;
        if second != value || again.requires_replace != answer.requires_replace {
            let said = format!("planned {value}, and asked the same again {second}");
            faults.push(Violation::new(Rule::PureFunction, "", said));
        }
        if !faults.is_empty() {
            return Err(Failure::Broken(CALL, faults));
        }
        Ok(Planned { value, private: answer.planned_private, replace })
    }

    /// Carries a plan out.
    pub(crate) fn apply(
        &self,
        type_name: &str,
        prior: &Value,
        planned: &Planned,
        config: &Value,
    ) -> Result<Stored> {
        const CALL: &str = "apply the resource";
        let schema = self.resource(type_name)?;
        let kind = schema.kind();
        let request = tf::apply_resource_change::Request {
            type_name: type_name.to_owned(),
            prior_state: Some(encode(prior, &kind)),
            planned_state: Some(encode(&planned.value, &kind)),
            config: Some(encode(config, &kind)),
            planned_private: planned.private.clone(),
            ..Default::default()
        };
        let answer = self.ask(self.client.clone().apply_resource_change(request))?;
        let asked = Asked { call: CALL, schema, values: vec![prior, &planned.value, config] };
        self.heard(&asked, answer.diagnostics)?;

        let shape = |said: String| broken(CALL, Rule::Shape, "", said);
        let value = decode(answer.new_state.as_ref(), &kind).map_err(shape)?;
        let mut faults = Vec::new();
        if answer.legacy_type_system {
            faults.push(Violation::new(Rule::NoExemption, "", "legacy_type_system is set"));
        }
        if let Some(place) = value.unknown_place("") {
            let said = format!("still unknown after apply: {}", planned.value);
            faults.push(Violation::new(Rule::Known, &place, said));
        } else {
            faults.extend(compatible::faults(schema, &planned.value, &value));
        }
        faults.extend(write_only(schema, &value));
        if !faults.is_empty() {
            return Err(Failure::Broken(CALL, faults));
        }
        Ok(Stored { value, private: answer.private })
    }

    pub(crate) fn import(&self, type_name: &str, id: &str) -> Result<Stored> {
        const CALL: &str = "import the resource";
        let schema = self.resource(type_name)?;
        let request = tf::import_resource_state::Request {
            type_name: type_name.to_owned(),
            id: id.to_owned(),
            client_capabilities: capabilities(),
            ..Default::default()
        };
        let answer = self.ask(self.client.clone().import_resource_state(request))?;
        self.heard(&Asked { call: CALL, schema, values: Vec::new() }, answer.diagnostics)?;
        not_deferred(CALL, answer.deferred.as_ref())?;
        let fault = |said: String| broken(CALL, Rule::Import, "", said);
        let [one] = &answer.imported_resources[..] else {
            return Err(fault(format!("found {} objects", answer.imported_resources.len())));
        };
        if one.type_name != type_name {
            return Err(fault(format!("found a {}", one.type_name)));
        }
        let value = state(CALL, schema, one.state.as_ref())?;
        if value.is_null() {
            return Err(fault("found nothing, and said no error".to_owned()));
        }
        Ok(Stored { value, private: one.private.clone() })
    }

    fn ask<T>(
        &self,
        call: impl Future<Output = std::result::Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T> {
        let answer = self.runtime.block_on(call);
        answer.map(tonic::Response::into_inner).map_err(|status| lost(self.line.name(), &status))
    }

    /// Takes note of warnings; errors end the call. Both are held to the rules for messages.
    fn heard(&self, asked: &Asked<'_>, diagnostics: Vec<tf::Diagnostic>) -> Result<()> {
        let secrets: Vec<_> =
            asked.values.iter().flat_map(|value| asked.schema.secrets(value)).collect();
        let mut faults = Vec::new();
        let mut errors = Vec::new();
        for diagnostic in diagnostics {
            let message = Message {
                is_error: diagnostic.severity() == tf::diagnostic::Severity::Error,
                path: diagnostic.attribute.as_ref().map(shown),
                summary: diagnostic.summary,
                detail: diagnostic.detail,
            };
            let names = &asked.schema.attributes;
            let known =
                |path: &String| path.is_empty() || names.iter().any(|one| within(path, &one.name));
            if let Some(path) = message.path.as_ref().filter(|path| !known(path)) {
                let said = format!("the schema has no such attribute: {}", message.summary);
                faults.push(Violation::new(Rule::MessagePath, path, said));
            }
            let text = format!("{} {}", message.summary, message.detail);
            if secrets.iter().any(|secret| secret.len() > 5 && text.contains(secret)) {
                let place = message.path.clone().unwrap_or_default();
                let said = "a message shows a sensitive value";
                faults.push(Violation::new(Rule::Secrecy, &place, said));
            }
            if message.is_error {
                errors.push(message);
            } else {
                self.warnings.borrow_mut().push(message);
            }
        }
        if !faults.is_empty() {
            Err(Failure::Broken(asked.call, faults))
        } else if !errors.is_empty() {
            Err(Failure::Refused(asked.call, errors))
        } else {
            Ok(())
        }
    }
}

/// What 1.11 says of itself while it plans.
#[expect(clippy::unnecessary_wraps, reason = "every field of a request is optional on the wire")]
fn capabilities() -> Option<tf::ClientCapabilities> {
    Some(tf::ClientCapabilities { write_only_attributes_allowed: true, ..Default::default() })
}

fn lost(call: &str, status: &tonic::Status) -> Failure {
    Failure::Harness(format!(
        "{call}: the provider did not answer ({:?}): {}",
        status.code(),
        status.message()
    ))
}

fn broken(call: &'static str, rule: Rule, path: &str, said: String) -> Failure {
    Failure::Broken(call, vec![Violation::new(rule, path, said)])
}

fn not_deferred(call: &'static str, deferred: Option<&tf::Deferred>) -> Result<()> {
    match deferred {
        None => Ok(()),
        Some(_) => {
            Err(broken(call, Rule::Deferral, "", "put off, which was not allowed".to_owned()))
        }
    }
}

fn write_only(schema: &Object, value: &Value) -> Option<Violation> {
    let place = schema.written_only(value)?;
    Some(Violation::new(Rule::WriteOnly, &place, "a value for a write-only attribute"))
}

/// A value that goes into a state file: of the type, known, and without what is write-only.
fn state(call: &'static str, schema: &Object, value: Option<&tf::DynamicValue>) -> Result<Value> {
    let value = decode(value, &schema.kind());
    let value = value.map_err(|said| broken(call, Rule::Shape, "", said))?;
    if let Some(place) = value.unknown_place("") {
        return Err(broken(call, Rule::Known, &place, "an unknown value in a state".to_owned()));
    }
    match write_only(schema, &value) {
        Some(fault) => Err(Failure::Broken(call, vec![fault])),
        None => Ok(value),
    }
}

/// The replacing paths whose value changes; what is not known counts as changed.
fn replacements(
    prior: &Value,
    planned: &Value,
    paths: &[tf::AttributePath],
    faults: &mut Vec<Violation>,
) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths {
        let (before, after) = (at(prior, path), at(planned, path));
        let changed = match (before, after) {
            (None, None) => {
                let said = "requires replacement for a non-existent attribute path";
                faults.push(Violation::new(Rule::ReplacePath, &shown(path), said));
                false
            }
            (Some(before), Some(after)) => before != after || !after.is_wholly_known(),
            _ => true,
        };
        if changed && !prior.is_null() {
            found.push(shown(path));
        }
    }
    found
}

/// The value at a path; `None` if the path leads nowhere.
fn at<'a>(value: &'a Value, path: &tf::AttributePath) -> Option<&'a Value> {
    use tf::attribute_path::step::Selector;
    path.steps.iter().try_fold(value, |value, step| match (value, step.selector.as_ref()?) {
        (Value::Unknown(_), _) => Some(value),
        (Value::Map(items), Selector::AttributeName(key) | Selector::ElementKeyString(key)) => {
            items.get(key)
        }
        (Value::List(items), Selector::ElementKeyInt(index)) => {
            items.get(usize::try_from(*index).ok()?)
        }
        _ => None,
    })
}

/// A path as Terraform shows it.
fn shown(path: &tf::AttributePath) -> String {
    use tf::attribute_path::step::Selector;
    let steps = path.steps.iter().map(|step| match &step.selector {
        Some(Selector::AttributeName(name)) => format!(".{name}"),
        Some(Selector::ElementKeyString(key)) => format!("[{key:?}]"),
        Some(Selector::ElementKeyInt(index)) => format!("[{index}]"),
        None => "[?]".to_owned(),
    });
    steps.collect()
}

/// Is the path this attribute or something in it?
fn within(path: &str, name: &str) -> bool {
    let rest = path.strip_prefix('.').and_then(|path| path.strip_prefix(name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
