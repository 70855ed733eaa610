//! The protocol's calls: look up, decode, call, encode.
//!
//! A failure is always a diagnostic, never a gRPC status, and a panic is a failure like others:
//! after a broken call Terraform would forget objects that were just made.

mod apply;
mod data_source;
mod ephemeral;
mod function;
mod identity;
mod nothing;
mod provider;
mod resource;
mod state;
mod supervise;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use crate::cx::{Cx, Notes};
use crate::diag::{Diag, Result};
use crate::dynamic::Dyn;
use crate::engine::Shape;
use crate::erased::{AnyDataSource, AnyEphemeral, AnyResource};
use crate::function::AnyFunction;
use crate::json;
use crate::msgpack;
use crate::provider::Provider;
use crate::schema::Type;
use crate::wire::{self, tfplugin6 as tf};
use supervise::{guard, supervise};

/// One provider, serving.
pub(crate) struct Service<P: Provider>(Arc<Inner<P>>);

struct Inner<P: Provider> {
    provider: P,
    config: Shape,
    resources: BTreeMap<&'static str, Arc<dyn AnyResource<P::Client>>>,
    data_sources: BTreeMap<&'static str, Arc<dyn AnyDataSource<P::Client>>>,
    ephemerals: BTreeMap<&'static str, Arc<dyn AnyEphemeral<P::Client>>>,
    functions: BTreeMap<&'static str, AnyFunction>,
    configured: RwLock<Configured<P::Client>>,
    /// Cancels the operations that run now. Replaced when used: one that comes later, in a
    /// debugged process that serves several commands, must not find itself cancelled.
    generation: Mutex<CancellationToken>,
    /// The operations that run, so that the process can wait for them at its end.
    tasks: TaskTracker,
}

/// What `ConfigureProvider` left.
enum Configured<C> {
    Client(Arc<C>),
    /// There is none, and this is why.
    Without {
        reason: String,
        /// Is that because something in the provider block is not known yet?
        unknown: bool,
    },
}

impl<P: Provider> Service<P> {
    pub(crate) fn new(provider: P) -> Self {
        Self(Arc::new(Inner {
            config: Shape::of_provider::<P::Config>(),
            resources: by_name(provider.resources().0, |one| one.type_name()),
            data_sources: by_name(provider.data_sources().0, |one| one.type_name()),
            ephemerals: by_name(provider.ephemeral_resources().0, |one| one.type_name()),
            functions: by_name(provider.functions().0, |one| one.name),
            configured: RwLock::new(Configured::Without {
                reason: "Terraform has not configured the provider.".to_owned(),
                unknown: false,
            }),
            generation: Mutex::new(CancellationToken::new()),
            tasks: TaskTracker::new(),
            provider,
        }))
    }

    /// The type of a resource's objects.
    #[cfg(feature = "testing")]
    pub(crate) fn object_type(&self, type_name: &str) -> Option<&Type> {
        self.0.resources.get(type_name).map(|resource| &resource.shape().object)
    }

    /// What still runs when the last call is over.
    pub(crate) fn tasks(&self) -> TaskTracker {
        self.0.tasks.clone()
    }

    /// A handle that cancels whatever runs, for the end of the process.
    pub(crate) fn canceller(&self) -> impl Fn() + Send + Sync + 'static {
        let inner = Arc::clone(&self.0);
        move || inner.cancel()
    }
}

impl<P: Provider> Inner<P> {
    fn resource(&self, type_name: &str) -> Result<Arc<dyn AnyResource<P::Client>>> {
        find(&self.resources, type_name, "resource type").map(Arc::clone)
    }

    fn data_source(&self, type_name: &str) -> Result<Arc<dyn AnyDataSource<P::Client>>> {
        find(&self.data_sources, type_name, "data source").map(Arc::clone)
    }

    fn ephemeral(&self, type_name: &str) -> Result<Arc<dyn AnyEphemeral<P::Client>>> {
        find(&self.ephemerals, type_name, "ephemeral resource").map(Arc::clone)
    }

    /// Runs an operation of author code, and says what it left beside its result.
    async fn operate<T, F>(
        &self,
        limit: Option<Duration>,
        private: &[u8],
        operation: impl FnOnce(Cx<P::Client>) -> F,
    ) -> (Result<T>, Arc<Notes>)
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let deadline = limit.map(|limit| tokio::time::Instant::now() + limit);
        let (token, notes) = (self.token(), Arc::new(Notes::with_private(private)));
        let operation = operation(self.cx(token.clone(), deadline, Arc::clone(&notes)));
        (supervise(operation, &self.tasks, &token, limit).await, notes)
    }

    fn cx(
        &self,
        token: CancellationToken,
        deadline: Option<tokio::time::Instant>,
        notes: Arc<Notes>,
    ) -> Cx<P::Client> {
        let (client, reason) =
            match &*self.configured.read().unwrap_or_else(PoisonError::into_inner) {
                Configured::Client(client) => (Some(Arc::clone(client)), String::new()),
                Configured::Without { reason, .. } => (None, reason.clone()),
            };
        Cx::new(client, reason, token, deadline, notes)
    }

    /// Refuses when there is no client.
    fn require_client(&self) -> Result<()> {
        match &*self.configured.read().unwrap_or_else(PoisonError::into_inner) {
            Configured::Client(_) => Ok(()),
            Configured::Without { reason, .. } => {
                Err(Diag::error("The provider is not configured").detail(reason.as_str()).into())
            }
        }
    }

    /// May we answer "later" because the provider block is not known yet?
    fn deferral(&self, capabilities: Option<&tf::ClientCapabilities>) -> Option<tf::Deferred> {
        let allowed = capabilities.is_some_and(|capabilities| capabilities.deferral_allowed);
        let configured = self.configured.read().unwrap_or_else(PoisonError::into_inner);
        let unknown = matches!(&*configured, Configured::Without { unknown: true, .. });
        (allowed && unknown)
            .then(|| tf::Deferred { reason: tf::deferred::Reason::ProviderConfigUnknown.into() })
    }

    fn token(&self) -> CancellationToken {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner).child_token()
    }

    fn cancel(&self) {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *generation).cancel();
    }
}

fn by_name<T>(things: Vec<T>, name: fn(&T) -> &'static str) -> BTreeMap<&'static str, T> {
    let count = things.len();
    let things: BTreeMap<_, _> = things.into_iter().map(|thing| (name(&thing), thing)).collect();
    assert_eq!(things.len(), count, "two things of the provider have one name");
    things
}

/// Looks up what a call is about. Terraform asks only for what the schema has, so this is seen
/// when the provider was exchanged under its feet.
fn find<'a, T>(things: &'a BTreeMap<&'static str, T>, name: &str, kind: &str) -> Result<&'a T> {
    things.get(name).ok_or_else(|| {
        Diag::error(format!("There is no {kind} {name}"))
            .detail("This version of the provider does not have it.")
            .into()
    })
}

/// Reads a value; one that was not sent is null.
fn decode(value: Option<&tf::DynamicValue>, kind: &Type) -> Result<Dyn> {
    match value {
        Some(value) if !value.msgpack.is_empty() => msgpack::decode(&value.msgpack, kind),
        Some(value) if !value.json.is_empty() => json::decode(&value.json, kind),
        _ => Ok(Dyn::Null),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every field of an answer is optional on the wire")]
fn encode(value: &Dyn, kind: &Type) -> Option<tf::DynamicValue> {
    Some(tf::DynamicValue { msgpack: msgpack::encode(value, kind), json: Vec::new() })
}

/// The answers of a call that has several.
type Events<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

/// Every call whose answer has diagnostics, with the words for "Unable to …".
macro_rules! calls {
    ($($method:ident: $doing:literal;)*) => {
        #[expect(clippy::needless_update, reason = "some answers have nothing else")]
        #[tonic::async_trait]
        impl<P: Provider> tf::provider_server::Provider for Service<P> {
            $(
                async fn $method(
                    &self,
                    request: Request<tf::$method::Request>,
                ) -> std::result::Result<Response<tf::$method::Response>, Status> {
                    let answer = guard($doing, self.0.$method(request.into_inner())).await;
                    Ok(Response::new(answer.unwrap_or_else(|diags| tf::$method::Response {
                        diagnostics: wire::diagnostics(diags),
                        ..Default::default()
                    })))
                }
            )*

            async fn call_function(
                &self,
                request: Request<tf::call_function::Request>,
            ) -> std::result::Result<Response<tf::call_function::Response>, Status> {
                Ok(Response::new(self.0.call_function(request.into_inner()).await))
            }

            async fn list_resource(
                &self,
                request: Request<tf::list_resource::Request>,
            ) -> std::result::Result<Response<Events<tf::list_resource::Event>>, Status> {
                Ok(Response::new(nothing::list_resource(&request.into_inner())))
            }

            async fn invoke_action(
                &self,
                request: Request<tf::invoke_action::Request>,
            ) -> std::result::Result<Response<Events<tf::invoke_action::Event>>, Status> {
                Ok(Response::new(nothing::invoke_action(&request.into_inner())))
            }

            async fn stop_provider(
                &self,
                _request: Request<tf::stop_provider::Request>,
            ) -> std::result::Result<Response<tf::stop_provider::Response>, Status> {
                tracing::info!("terraform was interrupted: cancelling the running operations");
                self.0.cancel();
                Ok(Response::new(tf::stop_provider::Response::default()))
            }
        }
    };
}

calls! {
    get_metadata: "describe the provider";
    get_provider_schema: "describe the provider";
    get_functions: "list the functions";
    get_resource_identity_schemas: "describe the identities";
    validate_provider_config: "validate the provider block";
    configure_provider: "configure the provider";
    validate_resource_config: "validate the resource";
    upgrade_resource_state: "read the state";
    upgrade_resource_identity: "read the identity";
    move_resource_state: "move the resource";
    generate_resource_config: "write the configuration";
    read_resource: "read the resource";
    plan_resource_change: "plan the resource";
    apply_resource_change: "apply the resource";
    import_resource_state: "import the resource";
    validate_data_resource_config: "validate the data source";
    read_data_source: "read the data source";
    validate_ephemeral_resource_config: "validate the ephemeral resource";
    open_ephemeral_resource: "open the ephemeral resource";
    renew_ephemeral_resource: "renew the ephemeral resource";
    close_ephemeral_resource: "close the ephemeral resource";
    validate_list_resource_config: "validate the list";
    validate_action_config: "validate the action";
    plan_action: "plan the action";
}
