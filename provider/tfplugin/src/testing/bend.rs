//! Providers that break the rules, to see that it is noticed. The framework makes that impossible, so
//! an honest provider's answers are bent on their way out.

use std::process::ExitCode;

use tonic::{Request, Response, Status};

use crate::dynamic::Dyn;
use crate::path::Path;
use crate::provider::Provider;
use crate::schema::Type;
use crate::serve;
use crate::service::Service;
use crate::wire::{self, tfplugin6 as tf};
use crate::{json, msgpack};

/// The calls whose answers hold a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A state file was read.
    Upgrade,
    /// An object was looked at.
    Read,
    /// A change was planned.
    Plan,
    /// A change was made.
    Apply,
    /// An object was imported.
    Import,
}

/// An honest answer, before Terraform sees it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// To which call.
    pub call: Call,
    /// The object.
    pub value: Dyn,
    /// The type that it is written with.
    pub kind: Type,
    /// What requires replacement; only of a plan.
    pub replace: Vec<Path>,
}

/// Like [`serve`](crate::serve()), but every answer goes through `bend` first.
pub fn serve_bent(address: &str, provider: impl Provider, bend: fn(&mut Answer)) -> ExitCode {
    let honest = Service::new(provider);
    let (tasks, cancel) = (honest.tasks(), honest.canceller());
    serve::host(address, Bent { honest, bend }, tasks, cancel)
}

struct Bent<P: Provider> {
    honest: Service<P>,
    bend: fn(&mut Answer),
}

impl<P: Provider> Bent<P> {
    fn bent(
        &self,
        call: Call,
        type_name: &str,
        value: &mut Option<tf::DynamicValue>,
        replace: &mut Vec<tf::AttributePath>,
    ) {
        let (Some(kind), Some(sent)) = (self.honest.object_type(type_name), value.as_ref()) else {
            return;
        };
        let read = if sent.json.is_empty() {
            msgpack::decode(&sent.msgpack, kind)
        } else {
            json::decode(&sent.json, kind)
        };
        let Ok(honest) = read else { return };
        let mut answer = Answer { call, value: honest, kind: kind.clone(), replace: Vec::new() };
        (self.bend)(&mut answer);
        let msgpack = msgpack::encode(&answer.value, &answer.kind);
        *value = Some(tf::DynamicValue { msgpack, json: Vec::new() });
        replace.extend(answer.replace.iter().map(wire::attribute_path));
    }
}

macro_rules! calls {
    (
        straight { $($straight:ident)* }
        bent { $($method:ident: $call:ident, $answer:ident => $value:expr, $replace:expr;)* }
    ) => {
        #[tonic::async_trait]
        impl<P: Provider> tf::provider_server::Provider for Bent<P> {
            $(
                async fn $straight(
                    &self,
                    request: Request<tf::$straight::Request>,
                ) -> Result<Response<tf::$straight::Response>, Status> {
                    self.honest.$straight(request).await
                }
            )*
            $(
                async fn $method(
                    &self,
                    request: Request<tf::$method::Request>,
                ) -> Result<Response<tf::$method::Response>, Status> {
                    let type_name = request.get_ref().type_name.clone();
                    let mut response = self.honest.$method(request).await?;
                    let $answer = response.get_mut();
                    self.bent(Call::$call, &type_name, $value, $replace);
                    Ok(response)
                }
            )*
        }
    };
}

calls! {
    straight {
        get_metadata get_provider_schema get_resource_identity_schemas get_functions validate_provider_config configure_provider
        stop_provider validate_resource_config
    }
    bent {
        upgrade_resource_state: Upgrade, answer => &mut answer.upgraded_state, &mut Vec::new();
        read_resource: Read, answer => &mut answer.new_state, &mut Vec::new();
        plan_resource_change: Plan, answer => &mut answer.planned_state, &mut answer.requires_replace;
        apply_resource_change: Apply, answer => &mut answer.new_state, &mut Vec::new();
        import_resource_state: Import,
            answer => answer.imported_resources.first_mut().map_or(&mut None, |one| &mut one.state),
            &mut Vec::new();
    }
}
